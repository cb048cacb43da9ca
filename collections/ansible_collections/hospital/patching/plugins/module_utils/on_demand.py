# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds by name, each imported when it is asked for.

What a module imports is compiled on the host at every call, because a payload
has no compiled files; a host needs one package manager and one snapshot
provider of many. The importing functions are written out: only what an import
statement names travels to a host. A name that does not exist is noticed when
it is asked for, not when the payload is built; a test asks for all of them.
"""

from typing import Callable, Dict, Iterator, Mapping, TypeVar

Kind = TypeVar("Kind")


class OnDemand(Mapping[str, Kind]):
    """A mapping of names to what their functions import.

    To iterate or to ask whether a name is known imports nothing; ``values()``, ``items()`` and ``==`` import them all.
    """

    def __init__(self, importers: Dict[str, Callable[[], Kind]]) -> None:
        self._importers = importers

    def __getitem__(self, name: str) -> Kind:
        return self._importers[name]()

    def __contains__(self, name: object) -> bool:
        return name in self._importers

    def __iter__(self) -> Iterator[str]:
        return iter(self._importers)

    def __len__(self) -> int:
        return len(self._importers)
