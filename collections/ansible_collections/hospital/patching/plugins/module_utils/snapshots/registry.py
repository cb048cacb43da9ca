# SPDX-License-Identifier: GPL-3.0-or-later
"""All snapshot providers by name, each imported when it is asked for (on_demand.py)."""

from typing import Any, Dict, Optional, Type

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.on_demand import OnDemand
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import SnapshotProvider


def _aws_ebs() -> Type[SnapshotProvider]:
    from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_ebs import AwsEbsProvider

    return AwsEbsProvider


def _btrfs() -> Type[SnapshotProvider]:
    from ansible_collections.hospital.patching.plugins.module_utils.snapshots.btrfs import BtrfsProvider

    return BtrfsProvider


def _container() -> Type[SnapshotProvider]:
    from ansible_collections.hospital.patching.plugins.module_utils.snapshots.container import ContainerProvider

    return ContainerProvider


def _hook() -> Type[SnapshotProvider]:
    from ansible_collections.hospital.patching.plugins.module_utils.snapshots.hook import HookProvider

    return HookProvider


def _libvirt() -> Type[SnapshotProvider]:
    from ansible_collections.hospital.patching.plugins.module_utils.snapshots.libvirt import LibvirtProvider

    return LibvirtProvider


def _lvm() -> Type[SnapshotProvider]:
    from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm import LvmProvider

    return LvmProvider


def _none() -> Type[SnapshotProvider]:
    from ansible_collections.hospital.patching.plugins.module_utils.snapshots.none import NoneProvider

    return NoneProvider


def _preserved() -> Type[SnapshotProvider]:
    from ansible_collections.hospital.patching.plugins.module_utils.snapshots.preserved import PreservedProvider

    return PreservedProvider


def _proxmox() -> Type[SnapshotProvider]:
    from ansible_collections.hospital.patching.plugins.module_utils.snapshots.proxmox import ProxmoxProvider

    return ProxmoxProvider


def _snapper() -> Type[SnapshotProvider]:
    from ansible_collections.hospital.patching.plugins.module_utils.snapshots.snapper import SnapperProvider

    return SnapperProvider


def _vsphere() -> Type[SnapshotProvider]:
    from ansible_collections.hospital.patching.plugins.module_utils.snapshots.vsphere import VsphereProvider

    return VsphereProvider


PROVIDERS = OnDemand(
    {
        "aws_ebs": _aws_ebs,
        "btrfs": _btrfs,
        "container": _container,
        "hook": _hook,
        "libvirt": _libvirt,
        "lvm": _lvm,
        "none": _none,
        "preserved": _preserved,
        "proxmox": _proxmox,
        "snapper": _snapper,
        "vsphere": _vsphere,
    }
)  # type: OnDemand[Type[SnapshotProvider]]


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
