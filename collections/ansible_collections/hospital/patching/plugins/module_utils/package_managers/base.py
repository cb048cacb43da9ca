# SPDX-License-Identifier: GPL-3.0-or-later
"""What every package manager of this project can do; one file an implementation."""

from abc import ABC, abstractmethod
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set

from ansible_collections.hospital.patching.plugins.module_utils.data_owners import BUILT_IN, DataRules
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.journal import Journal

#: Which pending updates are asked for; pending_filters.py gives the meaning of each field. ``carried`` is the digest
#: of the carried folder that takes the repositories' place, or empty.
PendingRequest = NamedTuple(
    "PendingRequest",
    [
        ("security_only", bool),
        ("classes", Sequence[str]),
        ("include", Sequence[str]),
        ("exclude", Sequence[str]),
        ("min_age_days", int),
        ("allow", Sequence[str]),
        ("deny", Sequence[Dict[str, str]]),
        ("first_seen", Optional[Dict[str, str]]),
        ("carried", str),
    ],
)

PendingRequest.__new__.__defaults__ = ("",)  # Python 3.6 knows no other way

#: No filter; ``EVERYTHING._replace(security_only=True)`` asks for less.
EVERYTHING = PendingRequest(False, (), (), (), 0, (), (), None, "")

#: What a stage is asked for: the plan's updates of one host, within its manifest. ``window_end`` is when they can be
#: begun no longer, or empty.
StageRequest = NamedTuple(
    "StageRequest",
    [
        ("run_id", str),
        ("host", str),
        ("updates", List[Dict[str, Any]]),
        ("manifest", Optional[Dict[str, Any]]),
        ("check", bool),
        ("carried", str),
        ("window_end", str),
    ],
)
StageRequest.__new__.__defaults__ = ("", "")

#: What an installation (or its way back) is asked for.
InstallRequest = NamedTuple(
    "InstallRequest",
    [
        ("run_id", str),
        ("transaction", Dict[str, Any]),
        ("lock_timeout_s", int),
        ("timeout_s", int),
        ("check", bool),
        # Which packages own data, and which of them may be downgraded all the same; only the way back asks.
        ("data_rules", DataRules),
    ],
)
InstallRequest.__new__.__defaults__ = (BUILT_IN,)  # Python 3.6 has no other way


class PackageManager(ABC):
    """One family of package tools. Methods return the shapes of the modules' RETURN sections."""

    #: The value of the option ``manager``.
    NAME = ""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.journal = Journal(host.state_dir, host.clock)

    @staticmethod
    @abstractmethod
    def present(root: str) -> bool:
        """Return whether the host under ``root`` is run by this package manager."""

    @abstractmethod
    def pending(self, wanted: PendingRequest) -> Dict[str, Any]:
        """Resolve what the host would update within ``wanted``; leaves nothing behind."""

    @abstractmethod
    def stage(self, request: StageRequest) -> Dict[str, Any]:
        """Download the host's transaction, and the installed versions for the way back."""

    @abstractmethod
    def install(self, request: InstallRequest) -> Dict[str, Any]:
        """Install exactly the transaction from its stage."""

    @abstractmethod
    def verify(self, transaction: Dict[str, Any], expect: str, names: List[str]) -> Dict[str, Any]:
        """Compare the host with the ``to`` or ``from`` versions of ``names`` (empty: of all); reads only."""

    @abstractmethod
    def files(self, entries: List[Dict[str, Any]]) -> Dict[str, List[str]]:
        """Return by name the paths that the installed packages of a transaction's entries have brought."""

    @abstractmethod
    def rollback(self, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
        """Put the versions back that ``transaction`` replaced; empty ``names`` means all."""

    def platform(self) -> str:
        """Return what must be equal for a carried folder to serve this host."""
        raise self._cannot_carry()

    def carry_request(self) -> Dict[str, Any]:
        """Return what a connected host must know of this one to fetch its updates; reads only."""
        raise self._cannot_carry()

    def carry(self, requests: Dict[str, Dict[str, Any]], have: Set[str], archive: str) -> Dict[str, Any]:
        """Fetch what ``requests`` by host need into the tar file ``archive``, without the files of ``have``."""
        raise self._cannot_carry()

    def _cannot_carry(self) -> PatchingError:
        return PatchingError(
            "package manager {}".format(self.NAME),
            "a carried folder",
            "a host of apt",
            "give this host a local mirror of its repositories instead",
        )
