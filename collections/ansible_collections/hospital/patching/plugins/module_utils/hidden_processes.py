# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes at which this one may not look: what they run is not known, and is never taken for nothing.

Root needs CAP_SYS_PTRACE for processes of other users, which a container's root often lacks; a security module may
forbid it too (ptrace(2), "Ptrace access mode checking"). Everyone may read their command line, unit and start.
"""

import re
import time
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

#: ``words`` are the command line's, as the process may have rewritten it.
Hidden = NamedTuple(
    "Hidden", [("pid", int), ("command", str), ("unit", Optional[str]), ("started_s", int), ("words", List[str])]
)

WHY = "root may not see what it runs: it lacks CAP_SYS_PTRACE, or a security module forbids it"
_MERGED = re.compile(r"/usr(?=/(?:bin|sbin|lib|lib32|lib64|libx32)/)")


def words_of(command_line: str) -> List[str]:
    """Return the words of a /proc/pid/cmdline; a process that names itself anew has blanks instead of NULs."""
    return [word for word in re.split(r"[\0\s]+", command_line) if word]


def changed_by(process: Hidden, paths: Mapping[str, Sequence[str]], left: Sequence[str] = ()) -> Optional[str]:
    """Return why a process runs what was changed, as far as its command line tells it.

    ``paths`` are the files that were installed, by package; ``left`` are folders, ending in a slash, of versions that
    are no longer in use.
    """
    named = {_plain(word): word for word in process.words if word.startswith("/")}
    found = [(package, _plain(path)) for package in sorted(paths) for path in paths[package] if _plain(path) in named]
    who = "{} ({}) was started".format(process.command, process.pid)
    for package, plain in found:
        return "{} from {}, which its package {} has replaced".format(who, named[plain], package)
    for word in named.values():
        if word.startswith(tuple(left)):
            return "{} from {}, a version that is no longer in use".format(who, word)
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


def _plain(path: str) -> str:
    """Where /bin is a link to /usr/bin, packages name either."""
    return _MERGED.sub("", path, count=1) if path.startswith("/usr/") else path
