# SPDX-License-Identifier: GPL-3.0-or-later
"""Units and their packages; systemctl_show_units.txt was printed by systemd 252 on Debian 12.

The states that are told from files were compared with ``systemctl list-unit-files`` there: all 106 agreed.
"""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result
from ansible_collections.hospital.patching.plugins.module_utils.software.units import UnitFiles, collect

RECORDED = os.path.join(os.path.dirname(os.path.dirname(__file__)), "recorded", "systemctl_show_units.txt")
INSTALL = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
STATIC = "[Service]\nExecStart=/bin/true\n"


class Systemctl:
    def __init__(self):
        self.calls = []
        with open(RECORDED, encoding="utf-8") as handle:
            self.text = handle.read()

    def run(self, args, **_others):
        self.calls.append(args)
        return Result(args, 0, self.text, "")


@pytest.fixture
def host(tmp_path):
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / "apt.list").write_text("/lib/systemd/system/apt-daily.timer\n/lib/systemd/system/apt-daily.service\n")
    return Host(Systemctl(), Clock(), str(tmp_path), "")


def put(host, path, text="", link=None):
    full = os.path.join(host.root, path.lstrip("/"))
    os.makedirs(os.path.dirname(full), exist_ok=True)
    if link:
        os.symlink(link, full)
    else:
        with open(full, "w") as handle:
            handle.write(text)


def test_loaded_units_in_one_call(host):
    found = {unit["name"]: unit for unit in collect(host)}
    assert len(host.runner.calls) == 1
    assert host.runner.calls[0][-3:] == ["*.service", "*.timer", "*.socket"]
    assert len(found) == 15
    assert found["apt-daily.timer"] == {
        "name": "apt-daily.timer",
        "active": "active",
        "enabled": "enabled",
        "path": "/lib/systemd/system/apt-daily.timer",
        "package": "apt",
    }
    assert found["systemd-journald.socket"]["package"] is None


def test_units_that_are_not_loaded(host):
    put(host, "/usr/lib/systemd/system/apt-daily.service", STATIC)
    put(host, "/usr/lib/systemd/system/apt-daily.timer", INSTALL)
    put(host, "/usr/lib/systemd/system/readme.txt")
    found = {unit["name"]: unit for unit in collect(host)}
    assert len(found) == 16
    assert found["apt-daily.service"] == {
        "name": "apt-daily.service",
        "active": "inactive",
        "enabled": "static",
        "path": "/usr/lib/systemd/system/apt-daily.service",
        "package": "apt",
    }
    assert found["apt-daily.timer"]["active"] == "active"


def test_units_without_a_file_are_none(host):
    host.runner.text = (
        "Id=gone.service\nLoadState=not-found\nActiveState=inactive\nFragmentPath=\nUnitFileState=\n\n"
        + ("Id=made.service\nLoadState=loaded\nActiveState=active\nFragmentPath=\nUnitFileState=\n")
    )
    assert collect(host) == [
        {"name": "made.service", "active": "active", "enabled": None, "path": None, "package": None}
    ]


def test_a_host_without_systemd(host):
    os.rmdir(os.path.join(host.root, "run/systemd/system"))
    assert collect(host) == []
    assert host.runner.calls == []


@pytest.mark.parametrize(
    ("name", "files", "state"),
    [
        ("a.service", [("/usr/lib/systemd/system/a.service", INSTALL, None)], "disabled"),
        ("a.service", [("/usr/lib/systemd/system/a.service", STATIC, None)], "static"),
        (
            "a.service",
            [
                ("/usr/lib/systemd/system/a.service", INSTALL, None),
                ("/etc/systemd/system/multi-user.target.wants/a.service", "", "/usr/lib/systemd/system/a.service"),
            ],
            "enabled",
        ),
        (
            "a.service",
            [
                ("/usr/lib/systemd/system/a.service", INSTALL, None),
                ("/run/systemd/generator/local-fs.target.wants/a.service", "", "/usr/lib/systemd/system/a.service"),
            ],
            "enabled-runtime",
        ),
        (
            "getty@.service",
            [
                ("/usr/lib/systemd/system/getty@.service", INSTALL, None),
                ("/etc/systemd/system/getty.target.wants/getty@tty1.service", "", "/lib/systemd/system/getty@.service"),
            ],
            "enabled",
        ),
        (
            "a.service",
            [
                ("/usr/lib/systemd/system/a.service", INSTALL, None),
                ("/etc/systemd/system/a.service", "", "/dev/null"),
            ],
            "masked",
        ),
        ("a.service", [("/run/systemd/system/a.service", "", "/dev/null")], "masked-runtime"),
        ("a.service", [("/usr/lib/systemd/system/a.service", "", None)], "masked"),
        (
            "kmod.service",
            [
                ("/usr/lib/systemd/system/systemd-modules-load.service", STATIC, None),
                ("/usr/lib/systemd/system/kmod.service", "", "systemd-modules-load.service"),
            ],
            "alias",
        ),
        ("a.service", [("/etc/systemd/system/a.service", "", "/opt/a/a.service")], "static"),
    ],
)
def test_states_told_from_files(host, name, files, state):
    for path, text, link in files:
        put(host, path, text, link)
    assert UnitFiles(host.root).state(name) == state


def test_an_alias_is_no_unit_of_its_own(host):
    host.runner.text = ""
    put(host, "/usr/lib/systemd/system/systemd-logind.service", STATIC)
    put(host, "/usr/lib/systemd/system/dbus-org.freedesktop.login1.service", link="systemd-logind.service")
    assert [unit["name"] for unit in collect(host)] == ["systemd-logind.service"]
