# SPDX-License-Identifier: GPL-3.0-or-later
"""Every version that apt knows of the installed packages, with its priority and apt's candidate.

apt hands this to external solvers (External Dependency Solver Protocol, EDSP 0.5,
in apt's doc/external-dependency-solver-protocol.md). Its own solver ``dump`` writes
it to a file and then says that it cannot solve.
"""

import os
from typing import Dict, Iterable, List, NamedTuple, Optional, Set

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

#: ``offered``: some repository has it, as ``o=Debian,a=stable,…``; empty for what is only installed.
#: ``phased``: the share of machines in per cent that it is offered to, None where it is not phased.
Version = NamedTuple(
    "Version",
    [
        ("name", str),
        ("arch", str),
        ("version", str),
        ("priority", int),
        ("candidate", bool),
        ("offered", str),
        ("source", str),
        ("source_version", str),
        ("phased", Optional[int]),
    ],
)


def parse(lines: Iterable[bytes], names: Set[str]) -> List[Version]:
    """Return the versions of ``names``; of the other packages, tens of thousands, nothing is kept."""
    wanted = {b"Package: " + name.encode() for name in names}
    found: List[Version] = []
    fields: Optional[Dict[str, str]] = None
    last = ""
    for line in lines:
        if line.startswith(b"Package: "):
            fields = {} if line.rstrip() in wanted else None
        if fields is None:
            continue
        text = line.decode("utf-8", "replace").rstrip("\n")
        if not text:
            found.extend(_version(fields))
            fields = None
        elif text.startswith(" "):
            fields[last] += text
        else:
            last, _colon, value = text.partition(":")
            fields[last] = value.strip()
    return found + (_version(fields) if fields else [])


def _version(fields: Dict[str, str]) -> List[Version]:
    priority, phased = fields.get("APT-Pin", ""), fields.get("Phased-Update-Percentage", "")
    if not fields.get("Version") or not priority.lstrip("-").isdigit():
        return []
    return [
        Version(
            fields["Package"],
            fields.get("Architecture", ""),
            fields["Version"],
            int(priority),
            fields.get("APT-Candidate") == "yes",
            fields.get("APT-Release", "").strip(),
            fields.get("Source", fields["Package"]),
            fields.get("Source-Version", fields["Version"]),
            int(phased) if phased.isdigit() else None,
        )
    ]


def versions(runner: Runner, options: List[str], directory: str, names: Set[str]) -> List[Version]:
    """Return all versions of ``names`` that apt knows.

    Raises:
        PatchingError: apt wrote no scenario.
    """
    path = os.path.join(directory, "scenario.edsp")
    result = runner.run(
        # As root: the user _apt could not write into this private directory.
        ["apt-get", "-s", "-q", "--solver", "dump"] + options + ["-o", "APT::Sandbox::User=root", "dist-upgrade"],
        timeout_s=120,
        env={"APT_EDSP_DUMP_FILENAME": path, "DEBIAN_FRONTEND": "noninteractive"},
        check=False,  # the dumping solver always ends as failed
    )
    try:
        with open(path, "rb") as handle:
            return parse(handle, names)
    except OSError:
        raise PatchingError(
            "apt-get --solver dump",
            "no scenario: {}".format(" ".join(result.stderr.split())[-300:]),
            "apt's own solver `dump`",
            "look at what it prints on the host; updates that are kept back cannot be listed",
        )
    finally:
        if os.path.exists(path):
            os.unlink(path)
