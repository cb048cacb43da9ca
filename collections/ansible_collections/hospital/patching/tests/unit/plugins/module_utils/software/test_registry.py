# SPDX-License-Identifier: GPL-3.0-or-later
"""software_facts: every part by itself, and one that fails leaves the others."""

import os
import shutil
import zipfile

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.software import registry
from ansible_collections.hospital.patching.plugins.module_utils.software.registry import collect
from ansible_collections.hospital.patching.plugins.module_utils.software.wanted import ALWAYS, Call

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
    facts = collect(Call(host), parts("os", "kernel", "packages", "reboot_required", "boot"))
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
    def fail(_call):
        raise error

    facts = collect(Call(host), parts("kernel") + (("os", fail), ("container", lambda _call: True)))
    assert facts["os"] is None
    assert "no" in facts["errors"]["os"]
    assert facts["container"] is True
    assert facts["kernel"] is not None


def test_a_damaged_package_database_is_partial_and_told(host):
    path = os.path.join(host.root, "var/lib/dpkg/status")
    with open(path, "ab") as handle:
        handle.write(b"\nPackage: \xff\xfe\nStatus: bro")
    facts = collect(Call(host), parts("packages"))
    assert len(facts["packages"]) == 6
    assert "1 damaged paragraphs" in facts["errors"]["packages"]


def test_a_missing_package_database_is_told(host):
    os.unlink(os.path.join(host.root, "var/lib/dpkg/status"))
    facts = collect(Call(host), parts("packages"))
    assert facts["packages"] is None
    assert "not readable" in facts["errors"]["packages"]


def test_every_part_is_there_on_a_host_that_has_nothing_of_it(host):
    facts = collect(Call(host._replace(runner=Runner())))
    assert set(registry.names()) - {"boot"} <= set(facts)
    assert (facts["vulnerable_jars"], facts["container_images"]) == (None, None), "nobody asked for them"
    assert [facts[name] for name in ("snaps", "flatpaks", "npm_packages", "ruby_gems", "applications")] == [[]] * 5
    assert set(facts["errors"]) <= {"listening_ports", "replaced_libraries"}, "this root has no /proc"


def test_what_processes_run_is_told_in_part_where_root_may_not_look(host, monkeypatch):
    for pid, maps in ((1, ""), (20, ""), (30, "7f0 r-xp 00000000 00:05 1 /usr/lib/libx.so.1 (deleted)\n")):
        directory = os.path.join(host.root, "proc", str(pid))
        os.makedirs(os.path.join(directory, "ns"))
        os.symlink("pid:[1]", os.path.join(directory, "ns/pid"))
        os.symlink("/usr/bin/x", os.path.join(directory, "exe"))
        stat = "{} (x) S 1 {}\n".format(pid, " ".join(["0"] * 18))
        unit = "0::/system.slice/app{}.service\n".format(pid)
        for name, text in (("comm", "x\n"), ("cgroup", unit), ("stat", stat), ("maps", maps)):
            with open(os.path.join(directory, name), "w") as handle:
                handle.write(text)
    os.symlink("1", os.path.join(host.root, "proc/self"))
    read = os.readlink

    def readlink(path):
        if "/proc/20/" in str(path):
            raise PermissionError(13, "Permission denied", path)
        return read(path)

    monkeypatch.setattr(os, "readlink", readlink)
    facts = collect(Call(host), parts("replaced_libraries"))
    assert [one["unit"] for one in facts["replaced_libraries"]] == ["app30.service"]
    assert "app20.service: x (20) runs since" in facts["errors"]["replaced_libraries"]


def test_archives_are_scanned_when_asked(host):
    lib = os.path.join(host.root, "opt/app")
    os.makedirs(lib)
    for name in ("log4j-core-2.14.1.jar", "broken.jar"):
        with zipfile.ZipFile(os.path.join(lib, name), "w") as archive:
            archive.writestr("x", "x")
    with open(os.path.join(lib, "broken.jar"), "wb") as handle:
        handle.write(b"no archive")
    facts = collect(Call(host, ALWAYS._replace(jars=True, jar_roots=["/opt"])), parts("vulnerable_jars"))
    (found,) = facts["vulnerable_jars"]
    assert (found["path"], found["version"]) == ("/opt/app/log4j-core-2.14.1.jar", "2.14.1")
    assert "CVE-2021-44228" in found["cves"]
    assert "/opt/app/broken.jar" in facts["errors"]["vulnerable_jars"]
