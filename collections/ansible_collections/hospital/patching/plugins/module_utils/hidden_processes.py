# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes at which this one may not look: what they run is not known, and is never taken for nothing.

Root needs CAP_SYS_PTRACE for processes of other users, which a container's root often lacks; a security module may
forbid it too (ptrace(2), "Ptrace access mode checking"). Everyone may read their command line, unit and start.
"""

import os
import re
import time
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

#: ``words`` are the command line's, as the process may have rewritten it.
Hidden = NamedTuple(
    "Hidden", [("pid", int), ("command", str), ("unit", Optional[str]), ("started_s", int), ("words", List[str])]
)

WHY = "root may not see what it runs: it lacks CAP_SYS_PTRACE, or a security module forbids it"
VEILED = "/proc hides other users' processes (its mount option hidepid), and root lacks CAP_SYS_PTRACE"
_MERGED = re.compile(r"\A/usr(?=/(?:bin|sbin|lib|lib32|lib64|libx32)/)")
_CODE = re.compile(r"\.(?:jar|war|py|pl|rb|js|php|sh)\Z")


def words_of(command_line: str) -> List[str]:
    """Return the words of a /proc/pid/cmdline, the program first.

    What is between blanks follows: a process that names itself anew has blanks instead of NULs.
    """
    whole = [word for word in command_line.split("\0") if word.strip()]
    return list(dict.fromkeys(whole + [part for word in whole for part in word.split()]))


class Changed:
    """What a transaction has replaced, to be held against the command lines of hidden processes.

    ``paths`` are the files of its packages, installed until ``ended``, in seconds since the epoch. ``left`` are
    folders, ending in a slash, of versions that are no longer in use, and ``links`` those that lead to another now.
    """

    def __init__(
        self, paths: Mapping[str, Sequence[str]], ended: int, left: Sequence[str] = (), links: Sequence[str] = ()
    ) -> None:
        self.ended = ended
        self.left = tuple(left)
        self.links = links
        self.packages: Dict[str, str] = {}
        for package in paths:
            self.packages.update((_plain(path), package) for path in paths[package])

    def reason(self, process: Hidden) -> Optional[str]:
        """Return why a process runs what was replaced, as far as its command line tells it."""
        for number, word in enumerate(process.words):
            if not word.startswith("/"):
                continue
            package = self.packages.get(_plain(word)) if process.started_s <= self.ended else None
            if package and _is_code(number, word):
                return _named(process, word, "package {} has replaced".format(package))
            if word.startswith(self.left):
                return _named(process, word, "is of a version that is no longer in use")
            if any(word.startswith(link + "/") and process.started_s <= _moment(link) for link in self.links):
                return _named(process, word, "leads to another version now")
        return None


def told(processes: Sequence[Hidden]) -> List[Tuple[Optional[str], Hidden, str]]:
    """Return each unit with the first of its processes and what is to be said; one without a unit stands alone."""
    groups: Dict[Tuple[Optional[str], int], List[Hidden]] = {}
    for process in sorted(processes, key=lambda one: one.pid):
        groups.setdefault((process.unit, 0 if process.unit else process.pid), []).append(process)
    found = []
    for (unit, _pid), (first, *others) in groups.items():
        more = " and {} more".format(len(others)) if others else ""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(first.started_s))
        found.append(
            (unit, first, "{} ({}){} runs since {}, and {}".format(first.command, first.pid, more, since, WHY))
        )
    return found


def _named(process: Hidden, word: str, what: str) -> str:
    return "{} ({}) has {} on its command line, which {}".format(process.command, process.pid, word, what)


def _is_code(number: int, word: str) -> bool:
    """Whether a changed file is what runs: the program, or an argument that can be one, and no folder or setting."""
    if os.path.isdir(word):
        return False
    if number == 0:
        return True
    code = os.path.isfile(word) and (os.access(word, os.X_OK) or bool(_CODE.search(word)))
    return code and not word.startswith(("/etc/", "/var/"))


def _moment(link: str) -> int:
    """Return when a link was made, which is when it was made to lead there; one that is gone is younger than all."""
    try:
        return int(os.lstat(link).st_mtime)
    except OSError:
        return int(time.time())


def _plain(path: str) -> str:
    """Where /bin is a link to /usr/bin, packages name either."""
    return _MERGED.sub("", path) if path.startswith("/usr/") else path
