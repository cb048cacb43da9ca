# SPDX-License-Identifier: GPL-3.0-or-later
"""The part that package managers share whose hosts are assessed and not patched yet."""

from typing import Any, Dict, List

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import (
    InstallRequest,
    PackageManager,
    StageRequest,
)


class AssessedOnly(PackageManager):
    """Refuses everything that would change a host, or that presumes that this project has changed it."""

    def stage(self, request: StageRequest) -> Dict[str, Any]:
        raise self._refusal()

    def install(self, request: InstallRequest) -> Dict[str, Any]:
        raise self._refusal()

    def verify(self, transaction: Dict[str, Any], expect: str, names: List[str]) -> Dict[str, Any]:
        raise self._refusal()

    def rollback(self, request: InstallRequest, names: List[str]) -> Dict[str, Any]:
        raise self._refusal()

    def _refusal(self) -> PatchingError:
        return PatchingError(
            "package manager {}".format(self.NAME),
            "this release assesses hosts of the rpm family and does not patch them yet",
            "a host that is run by apt",
            "set patching_policy to observed for this host, and patch it by hand",
        )
