# SPDX-License-Identifier: GPL-3.0-or-later
"""A collector that could read only some of its part."""

from typing import Any, List

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: Problems told by name; the rest is counted.
NAMED = 5


class PartialError(PatchingError):
    """Not everything could be read: ``part`` is what could, and stands."""

    def __init__(self, subject: str, part: Any, problems: List[str]) -> None:
        self.part = part
        self.problems = problems
        more = len(problems) - NAMED
        seen = "; ".join(problems[:NAMED]) + ("; and {} more".format(more) if more > 0 else "")
        super().__init__(subject, seen, "all of it readable", "correct what is named; what was read is in the facts")


def whole(subject: str, part: Any, problems: List[str]) -> Any:
    """Return ``part``.

    Raises:
        PartialError: there are problems.
    """
    if problems:
        raise PartialError(subject, part, problems)
    return part
