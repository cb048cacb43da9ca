# SPDX-License-Identifier: GPL-3.0-or-later
"""What every installer of third-party software can do; one file an implementation.

An installer brings one piece of software to a version, or away, from material
that stage put on the host. The way back is the same call with the old version.
"""

import os
import re
import stat
from abc import ABC, abstractmethod
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result, without_logins
from ansible_collections.hospital.patching.plugins.module_utils.third_party.trusted import refuse_foreign

Spec = Dict[str, Any]
#: What was seen, and what was expected.
Problem = Tuple[str, str]


class Installer(ABC):
    """One piece of software on one host, as its entry describes it."""

    #: The value of the entry's ``type``.
    NAME = ""
    #: What an entry of this type has beside the common options.
    OPTIONS: Dict[str, Dict[str, Any]] = {}
    #: Whether the entry names a source, which is downloaded and held against its SHA-256.
    FETCHES = True
    #: Whether work that is cut off may leave any version behind, or none.
    MAY_BREAK = False
    #: Whether whoever uses the software sees the old or the new version, never a mixture.
    IS_ATOMIC = False
    #: Whether it may change what lies in /etc.
    WRITES_ETC = False
    #: Whose package database it changes, ``dpkg``'s or ``rpm``'s, and so waits for; empty: nobody's.
    DATABASE = ""

    def __init__(self, host: Host, spec: Spec, store: str) -> None:
        self.host = host
        self.spec = spec
        self.name = str(spec["name"])
        #: Where the files of this software's versions are kept on the host.
        self.store = store

    @staticmethod
    def problem(spec: Spec) -> Optional[Problem]:
        """Return what of an entry this type cannot work with."""
        return None

    @abstractmethod
    def installed(self) -> Optional[str]:
        """Return the installed version, None when there is none.

        Raises:
            PatchingError: it is there, and its version cannot be told.
        """

    @abstractmethod
    def stage(self, version: str, path: str) -> None:
        """Make ``version`` ready from the checked file at ``path``; disrupts nothing."""

    @abstractmethod
    def keep(self, version: str) -> Optional[str]:
        """Keep the installed ``version`` for the way back; return why it cannot be, or None."""

    @abstractmethod
    def lacking(self, version: Optional[str]) -> Optional[str]:
        """Return what is missing to become ``version`` (None: absent) offline, or None."""

    @abstractmethod
    def become(self, version: Optional[str]) -> None:
        """Bring the software to ``version``, None removes it; safe to repeat after it was cut off."""

    @property
    def package(self) -> str:
        """The name by which its package manager knows it."""
        return str(self.spec.get("package", self.name))

    def rehearse_removal(self, gone: Sequence[str] = ()) -> None:  # noqa: B027 - most take nothing else with them
        """Let the package manager say whether the software could be removed alone; changes nothing.

        ``gone`` are packages of the same package manager that are removed before it.

        Raises:
            PatchingError: it could not, or others would go with it.
        """

    def is_half_done(self) -> bool:
        """Return whether the package manager was cut off, so that it is repaired before anything can be rehearsed."""
        return False

    def bring_back_etc(self, before: Optional[Dict[str, Any]]) -> None:  # noqa: B027 - most bring it by themselves
        """On the way back, put the host's own configuration in force again; ``before`` tells what was proposed then."""

    def room_bytes(self, path: str) -> Dict[str, int]:
        """Return by path how many bytes making the file at ``path`` ready takes."""
        return {}

    def folders(self, version: str) -> List[str]:
        """Return the folders whose programs are of ``version``; empty where files are replaced in place."""
        return []

    def staged_home(self, version: str) -> str:
        """Return where the commands of a version that is not in use yet begin; empty where there is no such place."""
        return ""

    def home(self) -> str:
        """Return what relative paths of the entry's commands begin at; empty: PATH."""
        return ""

    def kept_digest(self, version: str) -> Optional[str]:
        """Return the SHA-256 of what is kept of ``version``, where there is one file."""
        return None

    def command(self, words: List[str], home: Optional[str] = None) -> List[str]:
        """Return a command of the entry; a first word with a slash that is not absolute begins at ``home``.

        Raises:
            PatchingError: such a program is not root's alone.
        """
        home = self.home() if home is None else home
        if home and "/" in words[0] and not os.path.isabs(words[0]):
            program = os.path.join(home, words[0])
            refuse_foreign("software {}".format(self.name), program)
            return [program] + words[1:]
        return list(words)

    def detected(self, home: Optional[str] = None) -> Optional[str]:
        """Return the version that the entry's ``detect`` finds; None only when what it asks is not there.

        Raises:
            PatchingError: it is there and tells no version, also where the pattern's group is optional and matched
                nothing.
        """
        detect = self.spec["detect"]
        if "file" in detect:
            path = os.path.join(self.home() if home is None else home, detect["file"])
            try:
                text = self._read(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
            what = "{} does not".format(path)  # its text is not shown: a link could lead to a secret
        else:
            words = self.command(detect["command"], home)
            if os.path.isabs(words[0]) and not os.path.exists(words[0]):
                return None
            result = self.host.runner.run(words, timeout_s=60, check=False)
            text = result.stdout + result.stderr
            said = without_logins(text.strip())[:120]
            what = "{} says {!r}, which does not".format(without_logins(" ".join(words)), said)
        found = re.search(detect.get("pattern", r"(\S+)"), text)
        version = found.group(1) if found is not None else None
        if not version:
            raise PatchingError(
                "software {}".format(self.name),
                "{} tell a version".format(what),
                "a version by {}".format(detect.get("pattern", r"(\S+)")),
                "correct the entry's detect, or repair what is installed",
            )
        return version

    def refuse_untold(self, said: Result, absent: str) -> None:
        """Refuse to take a question that failed for "none is installed", unless its answer says so by ``absent``.

        Raises:
            PatchingError: it failed for another reason, so nobody can tell.
        """
        lines = [line.strip() for line in (said.stderr + "\n" + said.stdout).splitlines()]
        others = [line for line in lines if line.startswith("error") and absent not in line]
        if others or not any(absent in line for line in lines):
            told = without_logins("; ".join(others or [line for line in lines if line]))[:300]
            raise PatchingError(
                "software {}".format(self.name),
                "{} ended with {}: {}".format(" ".join(said.args[:2]), said.rc, told or "nothing was printed"),
                "a version, or that none is installed",
                "repair what it names, or correct the entry, then run again",
            )

    def _read(self, path: str) -> str:
        """Return the beginning of a plain file; waits for no pipe and asks no device."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise PatchingError(
                    "software {}".format(self.name),
                    "{} is no plain file".format(path),
                    "a file that tells the version",
                    "correct the entry's detect, or repair what is installed",
                )
            with open(descriptor, encoding="utf-8", errors="replace", closefd=False) as handle:
                return handle.read(1024 * 1024)
        finally:
            os.close(descriptor)
