# SPDX-License-Identifier: GPL-3.0-or-later
"""States of one more rpm repository of the lab, and what a host of that family is found to be."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from hospital_lab import rpm_repository
from hospital_lab.places import from_environment
from hospital_lab.rpm_packages import RpmPackage

from tests.support import lab

#: The repository's folder below the hosts' /srv/rpm.
FOLDER = "exact"
CONFIG = "/etc/hospital-agent.conf"
RESTART = "systemctl try-restart hospital-agent.service"

#: What gives rpm's scripts the shell that a Debian has without rpm's knowledge.
SHELL = RpmPackage("hospital-shell", "1.0", "the shell of package scripts", provides=("/bin/sh",))
AGENT = RpmPackage(
    "hospital-agent",
    "1.0",
    "agent that runs all the time",
    requires=("hospital-library",),
    configuration=((CONFIG, "level = 1\n"),),
    service="/bin/sleep infinity",
    post=RESTART,
)
LIBRARY = RpmPackage("hospital-library", "1.0", "what the agent is made of", epoch=1)
#: In no repository any more: the way back is packed from its files.
ARCHIVE = RpmPackage("hospital-archive", "1.0", "archive of letters")
LABELS = RpmPackage("hospital-labels", "1.0", "labels of samples")

BEFORE = (SHELL, AGENT, LIBRARY, ARCHIVE, LABELS)
NEW_AGENT = AGENT._replace(
    version="1.1", configuration=((CONFIG, "level = 2\n"),), requires=("hospital-library", "hospital-words")
)
NEW_LIBRARY = LIBRARY._replace(version="1.1")
NEW_ARCHIVE = ARCHIVE._replace(version="1.1")
WORDS = RpmPackage("hospital-words", "1.0", "what the agent says")
PRINT = RpmPackage("hospital-print", "2.0", "labels and letters", obsoletes=("hospital-labels < 2.0",))
UPDATED = (SHELL, AGENT, LIBRARY, LABELS, NEW_AGENT, NEW_LIBRARY, NEW_ARCHIVE, WORDS, PRINT)
#: What the vendor publishes while the night is under way.
NEWER = (*UPDATED, NEW_AGENT._replace(version="1.2"), NEW_LIBRARY._replace(version="1.2"))
#: An update whose script fails after its files are in place.
FAILING = (*BEFORE, NEW_LIBRARY, NEW_ARCHIVE._replace(post="echo the index is full >&2\nexit 3"))
#: One whose script leaves time to kill rpm in the middle of the transaction.
SLOW = (*BEFORE, WORDS, NEW_AGENT, NEW_LIBRARY._replace(post="test -e /run/quick || sleep 300"), NEW_ARCHIVE)

NAMES = tuple(sorted({package.name for package in UPDATED}))


def offer(packages: Sequence[RpmPackage]) -> Path:
    """Offer exactly these packages."""
    return rpm_repository.offer(from_environment(), FOLDER, packages)


def cut_off(host: str) -> None:
    """Take every repository away from a host: what is mounted there is empty until it is reset."""
    lab.in_mount_namespace(host, "mount -t tmpfs -o size=4k none /srv/rpm")


def reconnect(host: str) -> None:
    """Undo ``cut_off``."""
    lab.in_mount_namespace(host, "umount /srv/rpm")


def versions(host: str) -> dict[str, str]:
    """Every installed package with its version."""
    printed = lab.exec(host, "rpm -qa --queryformat '%{NAME} %{EVR}\\n'")
    return dict(line.split() for line in printed.splitlines() if not line.startswith("gpg-pubkey"))


def reasons(host: str) -> dict[str, str]:
    """Why dnf says that each package is there."""
    query = "dnf --cacheonly --quiet repoquery --installed --queryformat '%{name} %{reason}'"
    return dict(line.split() for line in lab.exec(host, query).splitlines() if not line.startswith("gpg-pubkey"))


def locks(host: str) -> list[str]:
    """What versionlock holds."""
    return lab.exec(host, "cat /etc/dnf/plugins/versionlock.list").splitlines()


def verified(host: str) -> set[str]:
    """What ``rpm -Va`` finds."""
    return set(lab.exec(host, "rpm -Va", check=False).splitlines())


def pid(host: str, unit: str = "hospital-agent.service") -> str:
    """The main process of a unit."""
    return lab.exec(host, f"systemctl show --value --property MainPID {shlex.quote(unit)}").strip()


def journal(host: str) -> list[dict[str, object]]:
    """The records of the host's journal."""
    text = lab.exec(host, "cat /var/lib/hospital-patching/journal.jsonl 2>/dev/null || true")
    return [json.loads(line) for line in text.splitlines()]
