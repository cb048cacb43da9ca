# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs zypper with repositories, caches, logs and, where a question needs them, locks of its own.

The host keeps nothing of it.
"""

import os
from typing import Dict, Iterable, List, Optional, Tuple
from xml.etree import ElementTree

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    rpm_pending,
    zypper_locks,
    zypper_repositories,
    zypper_xml,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.private_directory import (
    PrivateDirectory,
    seed,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_xml import Change, Repository
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins

#: The host's own cache, copied so that only what changed is fetched.
CACHED = ("raw/*", "solv/*")
#: zypper(8), EXIT CODES: 100 to 103 inform of what is or will be needed; anything else is no answer.
ANSWERED = (0, 100, 101, 102, 103)
NO_REPOSITORIES = 6
GLOBAL_OPTIONS = ["zypper", "--xmlout", "--non-interactive", "--non-interactive-include-reboot-patches"]
#: ``update`` as an administrator calls it. Nothing is installed, so a license is not agreed to by asking.
UPDATE = ["update", "--dry-run", "--details", "--auto-agree-with-licenses"]


class Zypper:
    """Runs zypper on caches of its own."""

    def __init__(self, host: Host, private: PrivateDirectory) -> None:
        self.host = host
        self.directory = private.path
        self.cache = private.folder("cache")
        self.definitions = private.folder("repos.d")
        self.log = os.path.join(private.path, "zypper.log")
        seed(os.path.join(host.root, "var/cache/zypp"), CACHED, self.cache)
        zypper_repositories.copy(host.root, self.definitions)

    def ask(self, command: List[str]) -> ElementTree.Element:
        """Return zypper's document for one command; metadata is refreshed by :meth:`refresh` only."""
        return _document(command, self._run(["--no-refresh"], command))

    def repositories(self) -> List[Repository]:
        """Return the enabled repositories, the preferred first; there is at least one."""
        rc, _out, _err = answer = self._run(["--no-refresh"], ["repos"])
        found = [] if rc == NO_REPOSITORIES else zypper_xml.repositories(_document(["repos"], answer))
        rpm_pending.require_repositories(found, "/etc/zypp/repos.d")
        return found

    def refresh(self, repositories: List[Repository]) -> None:
        """Fetch what changed in the host's repositories.

        Raises:
            PatchingError: naming the repository that cannot be fetched, or whose signature is not trusted.
        """
        rc, out, err = self._run([], ["refresh"])
        if rc == 0:
            return
        for repo in repositories:
            rc, out, err = self._run([], ["refresh", repo.alias])
            if rc != 0:
                raise PatchingError(
                    "repository {}".format(repo.alias),
                    _line(zypper_xml.errors(out) or err.strip().splitlines()[-1:], rc),
                    "metadata that can be fetched, and is signed by a trusted key where zypper is set to check it",
                    "repair or disable this repository in /etc/zypp/repos.d, then run again; nothing was changed",
                )

    def update(self, names: Iterable[str] = (), locked: Iterable[str] = ()) -> List[Change]:
        """Return the transaction of ``zypper update``, of ``names`` only, or while ``locked`` stay as they are.

        Raises:
            PatchingError: it cannot be resolved, or changes what is locked.
        """
        kept = sorted(set(locked))
        environment = {"ZYPP_CONF": zypper_locks.with_locks(self.host.root, self.directory, kept)} if kept else {}
        command = UPDATE + sorted(set(names))
        found = zypper_xml.changes(_document(command, self._run(["--no-refresh"], command, environment)))
        changed = sorted({change.name for change in found} & set(kept))
        if changed:
            raise _refused(command, 0, ["{} would not stay as it is".format(", ".join(changed[:5]))])
        return found

    def metadata(self, repo: Repository) -> Optional[str]:
        """Return the folder with ``repodata`` of a repository, None if it has none (YaST's format, a plain folder)."""
        folder = os.path.join(self.cache, "raw", repo.alias.replace("/", "_"))
        return folder if os.path.exists(os.path.join(folder, "repodata/repomd.xml")) else None

    def resolve(self, specs: List[str]) -> List[Change]:
        """Return what ``zypper install`` of ``specs`` would do.

        A license that is new here is not agreed to: the package is refused with zypper's question.

        Raises:
            PatchingError: it cannot be resolved.
        """
        command = ["install", "--dry-run", "--details", "--no-recommends"] + specs
        return zypper_xml.changes(self.ask(command))

    def download(self, specs: List[str], target: str) -> List[str]:
        """Fetch package files into the folder ``target``, and return their paths.

        zypper checks each against the repository's checksum, and against its signing
        key as the repository is set. One that is not offered is simply not there.

        Raises:
            PatchingError: a file cannot be fetched, or is not what the repository says.
        """
        if not specs:
            return []
        command = ["download"] + specs
        answer = _document(command, self._run(["--no-refresh", "--pkg-cache-dir", target], command))
        return [found.get("path", "") for found in answer.iter("localfile") if found.get("path")]

    def _run(
        self, options: List[str], command: List[str], environment: Optional[Dict[str, str]] = None
    ) -> Tuple[int, str, str]:
        options = options + ["--reposd-dir", self.definitions, "--cache-dir", self.cache]
        return _answer(self.host, options, command, dict({"ZYPP_LOGFILE": self.log}, **(environment or {})))


def document(host: Host, options: List[str], command: List[str], environment: Dict[str, str]) -> ElementTree.Element:
    """Return zypper's document for one command.

    Raises:
        PatchingError: it gives none, or says what is wrong.
    """
    return _document(command, _answer(host, options, command, environment))


def _document(command: List[str], answer: Tuple[int, str, str]) -> ElementTree.Element:
    rc, out, err = answer
    try:
        found = zypper_xml.parse(out)
    except ValueError as error:
        raise _refused(command, rc, [str(error)] + err.strip().splitlines()[-1:])
    if rc not in ANSWERED:
        raise _refused(command, rc, zypper_xml.errors(out) or err.strip().splitlines()[-1:])
    return found


def _answer(host: Host, options: List[str], command: List[str], environment: Dict[str, str]) -> Tuple[int, str, str]:
    result = host.runner.run(
        GLOBAL_OPTIONS + options + command,
        timeout_s=900,
        # libzypp waits so long for another zypper.
        env=dict({"ZYPP_LOCK_TIMEOUT": "120"}, **environment),
        check=False,
    )
    return result.rc, result.stdout, result.stderr


def _refused(command: List[str], rc: int, seen: List[str]) -> PatchingError:
    return PatchingError(
        "zypper {}".format(command[0]),
        _line(seen, rc),
        "a transaction that zypper can resolve",
        "look at `zypper update --dry-run` on the host; lock the package that is named, or repair its state",
    )


def _line(messages: List[str], rc: int) -> str:
    return without_logins("; ".join(messages))[:600] or "exit {}".format(rc)
