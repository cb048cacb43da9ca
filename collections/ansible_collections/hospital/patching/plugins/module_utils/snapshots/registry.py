# SPDX-License-Identifier: GPL-3.0-or-later
"""All snapshot providers by name. Explicit imports, because only what is imported travels to a host."""

from typing import Any, Dict, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_ebs import AwsEbsProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import SnapshotProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs import BtrfsProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.container import ContainerProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.hook import HookProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.libvirt import LibvirtProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm import LvmProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.none import NoneProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.preserved import PreservedProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.proxmox import ProxmoxProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.snapper import SnapperProvider
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere import VsphereProvider

PROVIDERS = {
    provider.NAME: provider
    for provider in (
        AwsEbsProvider,
        BtrfsProvider,
        ContainerProvider,
        HookProvider,
        LibvirtProvider,
        LvmProvider,
        NoneProvider,
        PreservedProvider,
        ProxmoxProvider,
        SnapperProvider,
        VsphereProvider,
    )
}


def create_provider(name: str, options: Optional[Dict[str, Any]], runner: Runner, clock: Clock) -> SnapshotProvider:
    """Return the provider called ``name``.

    Raises:
        PatchingError: an unknown name or a bad option.
    """
    if name not in PROVIDERS:
        raise PatchingError(
            "snapshot provider {!r}".format(name),
            "an unknown provider",
            "one of {}".format(", ".join(sorted(PROVIDERS))),
            "correct patching_snapshot",
        )
    return PROVIDERS[name](options or {}, runner, clock)
