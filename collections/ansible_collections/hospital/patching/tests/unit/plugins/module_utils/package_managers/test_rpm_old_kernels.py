# SPDX-License-Identifier: GPL-3.0-or-later
"""Old kernels of rpm hosts: neither the running one nor the newest two, and the command that removes the others."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import disk_space
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.dnf_stage import DnfStage
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_installed import RpmInstalled
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_old_kernels import removable
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.zypper_stage import ZypperStage
from ansible_collections.hospital.patching.plugins.module_utils.rpm_database import RpmPackage


def kernels(name, *releases, arch="x86_64"):
    """Return packages of ``VERSION-RELEASE`` texts."""
    found = []
    for one in releases:
        version, _dash, release = one.rpartition("-")
        found.append(RpmPackage(name, 0, version, release, arch, None, None, 0, None))
    return found


EL = ("5.14.0-70.13.1.el9_0", "5.14.0-362.8.1.el9_3", "5.14.0-427.13.1.el9_4", "5.14.0-503.11.1.el9_5")
SUSE = ("6.4.0-150600.21.3", "6.4.0-150600.23.7.3", "6.4.0-150600.23.14.2", "6.4.0-150600.23.25.1")


@pytest.mark.parametrize(
    ("installed", "running", "expected"),
    [
        (kernels("kernel-core", *EL), EL[3] + ".x86_64", list(EL[:2])),  # by version, not as text: 70 is before 362
        (kernels("kernel-core", *EL), EL[0] + ".x86_64", [EL[1]]),
        (kernels("kernel-core", *EL), "5.14.0-1.el9.x86_64", []),  # nobody knows what the next boot takes
        (kernels("kernel-core", *EL[2:]), EL[3] + ".x86_64", []),
        (kernels("kernel-rt-core", *EL), EL[3] + ".x86_64+rt", list(EL[:2])),
        (kernels("kernel-modules", *EL) + kernels("kernel-core", EL[3]), EL[3] + ".x86_64", []),
        (kernels("kernel-core", *EL[:3]) + kernels("kernel-uek-core", "5.15.0-9.el9uek"), EL[2] + ".x86_64", [EL[0]]),
        # uname lacks the number of the rebuild.
        (kernels("kernel-default", *SUSE), "6.4.0-150600.23.25-default", list(SUSE[:2])),
        (kernels("kernel-default", *SUSE), "6.4.0-150600.21-default", [SUSE[1]]),
        (kernels("kernel-default", *SUSE), "6.4.0-150600.23.2-default", []),
        (kernels("kernel-default", *SUSE), "6.4.0-150600.23.25-azure", []),
    ],
)
def test_only_what_nothing_boots_any_more(installed, running, expected):
    found = removable(reversed(installed), running)
    assert ["{}-{}".format(one.version, one.release) for one in found] == expected


@pytest.mark.parametrize(
    ("kind", "installed", "running", "command"),
    [
        (
            DnfStage,
            kernels("kernel-core", *EL),
            EL[3] + ".x86_64",
            "dnf remove kernel-core-{}.x86_64 kernel-core-{}.x86_64",
        ),
        (
            ZypperStage,
            kernels("kernel-default", *SUSE),
            "6.4.0-150600.23.25-default",
            "zypper remove kernel-default={} kernel-default={}",
        ),
    ],
)
def test_a_full_boot_is_refused_with_the_kernels_and_the_command(monkeypatch, kind, installed, running, command):
    stage = kind.__new__(kind)
    stage.installed = RpmInstalled(installed)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "h1", running, "#1", "x86_64")))
    boot = disk_space.mount_point("/boot")
    full = [{"mount": boot, "needed_bytes": 288 * disk_space.MIB, "free_bytes": 9 * disk_space.MIB}]
    old = EL[:2] if kind is DnfStage else SUSE[:2]
    with pytest.raises(PatchingError, match="9 MiB free") as refused:
        stage.check_space(full)
    assert "({}), then stage again".format(command.format(*old)) in refused.value.next_step
    # Without an old kernel, or where another file system is full, kernels are no help.
    stage.installed = RpmInstalled(installed[2:])
    with pytest.raises(PatchingError, match="make room there"):
        stage.check_space(full)
    stage.installed = RpmInstalled(installed)
    with pytest.raises(PatchingError, match="make room there"):
        stage.check_space([dict(full[0], mount="/elsewhere")])
