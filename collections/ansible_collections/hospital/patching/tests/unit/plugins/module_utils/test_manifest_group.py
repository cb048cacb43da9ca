# SPDX-License-Identifier: GPL-3.0-or-later

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import manifest_group
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError


@pytest.fixture
def root(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\n', encoding="utf-8")
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    status = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21.22\n"
    (tmp_path / "var/lib/dpkg/status").write_text(status, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("group", ["debian-12-amd64", "debian-12-amd64.2", "debian-12-x86_64"])
def test_a_manifest_of_its_own_release_and_architecture(root, group):
    manifest_group.check({"group": group}, "portal1", str(root), "x86_64")


@pytest.mark.parametrize("group", ["debian-12-arm64", "debian-11-amd64", "ubuntu-22.04-amd64", "debian-12-amd64-x"])
def test_any_other_is_refused(root, group):
    expected = f"host portal1: it is debian-12-amd64, and the manifest is for {group}; .* assess and plan it again"
    with pytest.raises(PatchingError, match=expected):
        manifest_group.check({"group": group}, "portal1", str(root), "x86_64")


def test_release_with_a_point_and_hyphens_in_its_name(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID="opensuse-leap"\nVERSION_ID="15.6"\n', encoding="utf-8")
    manifest_group.check({"group": "opensuse-leap-15.6-i386.3"}, "db1", str(tmp_path), "i686")
    with pytest.raises(PatchingError, match=r"it is opensuse-leap-15\.6-x86_64"):
        manifest_group.check({"group": "opensuse-leap-15.5-x86_64"}, "db1", str(tmp_path), "x86_64")


@pytest.fixture
def rocky(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('ID="rocky"\nVERSION_ID="9.5"\n', encoding="utf-8")
    return str(tmp_path)


@pytest.mark.parametrize("group", ["rocky-9.4-x86_64", "rocky-9.5-x86_64.2", "rocky-9-x86_64"])
def test_the_minor_release_that_the_update_itself_raised_is_the_same_system(rocky, group):
    manifest_group.check({"group": group}, "db1", rocky, "x86_64")


@pytest.mark.parametrize(
    "group", ["rocky-8.10-x86_64", "rocky-10.5-x86_64", "almalinux-9.5-x86_64", "rocky-9.4-aarch64"]
)
def test_another_major_release_or_distribution_is_refused(rocky, group):
    with pytest.raises(PatchingError, match=r"it is rocky-9\.5-x86_64, and the manifest is for "):
        manifest_group.check({"group": group}, "db1", rocky, "x86_64")


def test_without_a_manifest_nothing_is_compared(tmp_path):
    manifest_group.check(None, "portal1", str(tmp_path))
