# SPDX-License-Identifier: GPL-3.0-or-later
"""software_facts: every part by itself, and one that fails leaves the others."""

import os
import shutil

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import Host
from ansible_collections.hospital.patching.plugins.module_utils.software import registry
from ansible_collections.hospital.patching.plugins.module_utils.software.registry import collect

RECORDED = os.path.join(os.path.dirname(os.path.dirname(__file__)), "recorded")


@pytest.fixture
def host(tmp_path):
    for name in ("var/lib/dpkg", "var/lib/apt", "etc"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(os.path.join(RECORDED, "dpkg_status.txt"), str(tmp_path / "var/lib/dpkg/status"))
    shutil.copy(os.path.join(RECORDED, "apt_extended_states.txt"), str(tmp_path / "var/lib/apt/extended_states"))
    (tmp_path / "etc/os-release").write_text("ID=debian\n")
    return Host(None, Clock(), str(tmp_path), "")


def parts(*names):
    return tuple((name, collector) for name, collector in registry.COLLECTORS if name in names)


def test_packages_and_system(host):
    facts = collect(host, parts("os", "kernel", "packages", "reboot_required", "boot"))
    assert facts["errors"] == {}
    assert facts["os"]["architecture"] == "amd64"
    assert [package["name"] for package in facts["packages"]] == [
        "bash",
        "dpkg",
        "libc6",
        "libssl3",
        "openssl",
        "tzdata",
    ]
    assert facts["packages"][3] == {
        "manager": "dpkg",
        "name": "libssl3",
        "arch": "amd64",
        "version": "3.0.20-1~deb12u2",
        "epoch": 0,
        "source": "openssl",
        "source_version": "3.0.20-1~deb12u2",
        "origin": None,
        "installed_bytes": 6174720,
        "installed_at": None,
        "automatic": True,
        "held": False,
        "held_by": None,
        "status": "installed",
    }
    assert facts["kernel"]["installed"] == []
    assert facts["reboot_required"] == {"required": False, "reasons": []}
    assert facts["booted"].endswith("Z")


@pytest.mark.parametrize(
    "error", [OSError("no"), ValueError("no"), KeyError("no"), PatchingError("x", "no", "yes", "do")]
)
def test_one_that_fails_leaves_the_others(host, error):
    def fail(_host):
        raise error

    facts = collect(host, parts("kernel") + (("os", fail), ("container", lambda _host: True)))
    assert facts["os"] is None
    assert "no" in facts["errors"]["os"]
    assert facts["container"] is True
    assert facts["kernel"] is not None


def test_a_damaged_package_database_is_partial_and_told(host):
    path = os.path.join(host.root, "var/lib/dpkg/status")
    with open(path, "ab") as handle:
        handle.write(b"\nPackage: \xff\xfe\nStatus: bro")
    facts = collect(host, parts("packages"))
    assert len(facts["packages"]) == 6
    assert "1 damaged paragraphs" in facts["errors"]["packages"]


def test_a_missing_package_database_is_told(host):
    os.unlink(os.path.join(host.root, "var/lib/dpkg/status"))
    facts = collect(host, parts("packages"))
    assert facts["packages"] is None
    assert "not readable" in facts["errors"]["packages"]


def test_all_parts_are_there():
    assert registry.names() == [
        "os",
        "kernel",
        "boot",
        "packages",
        "replaced_libraries",
        "reboot_required",
        "competing_updaters",
        "failed_units",
        "container",
    ]
