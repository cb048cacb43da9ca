# SPDX-License-Identifier: GPL-3.0-or-later
"""apt's own settings, from what `apt-config dump` of apt 2.6.1 prints.

The recording has unattended-upgrades' own files of Debian 12, and a site's: proxies, a reboot, no phased updates.
"""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints import (
    apt_periodic,
    apt_phasing,
    apt_pins,
    proxies,
)


def test_unattended_upgrades(world, recorded, effects):
    world.with_apt(recorded("apt_config_dump.txt"))
    world.write("usr/bin/unattended-upgrade")
    found = apt_periodic.collect(world.look())
    assert effects(found) == [
        ("unattended-upgrades", "changes_packages"),
        ("automatic reboot", "restarts"),
        ("APT::Periodic::Update-Package-Lists", "informs"),
    ]
    assert "codename=${distro_codename}-security,label=Debian-Security" in found[0]["detail"]
    assert found[1]["detail"] == "reboots by itself at 02:00"


def test_settings_without_the_program_change_nothing(world, recorded, effects):
    world.with_apt(recorded("apt_config_dump.txt"))
    assert effects(apt_periodic.collect(world.look()))[0] == ("unattended-upgrades", "informs")


@pytest.mark.parametrize(
    "lines",
    [
        ('APT::Periodic::Enable "0";', 'APT::Periodic::Unattended-Upgrade "1";'),
        ('APT::Periodic::Unattended-Upgrade "0";',),
        ('APT::Periodic::Unattended-Upgrade "0d";',),
        (),
    ],
)
def test_switched_off(world, lines):
    world.with_apt(*lines)
    world.write("usr/bin/unattended-upgrade")
    assert apt_periodic.collect(world.look()) == []


@pytest.mark.parametrize(("text", "on"), [("1", True), ("10", True), ("always", True), ("12h", True), ("0", False)])
def test_intervals(text, on):
    assert apt_periodic.interval_on(text) is on


def test_phased_updates(world, recorded, effects):
    world.write("etc/os-release", "ID=ubuntu\n")
    assert effects(apt_phasing.collect(world.look())) == [("default", "holds_back")]
    world.with_apt(recorded("apt_config_dump.txt"))
    assert effects(apt_phasing.collect(world.look())) == [("APT::Get::Never-Include-Phased-Updates", "holds_back")]
    world.with_apt('APT::Get::Always-Include-Phased-Updates "1";')
    assert effects(apt_phasing.collect(world.look())) == [("APT::Get::Always-Include-Phased-Updates", "informs")]


def test_debian_has_no_phases(world):
    world.write("etc/os-release", "ID=debian\n")
    assert apt_phasing.collect(world.look()) == []


def test_pins(world, effects):
    world.write("etc/apt/preferences.d/pacs", "Package: viewer\nPin: version 1.0*\nPin-Priority: 990\n\nPackage: x\n")
    assert effects(apt_pins.collect(world.look())) == [("viewer", "holds_back"), ("damaged", "unknown")]


def test_proxies_are_named_without_their_logins(world, recorded, monkeypatch):
    monkeypatch.setenv("https_proxy", "user:s3cr3t@10.1.1.1:3128")
    world.with_apt(recorded("apt_config_dump.txt"))
    world.write("etc/dnf/dnf.conf", "[main]\nproxy=http://u:s3cr3t@p.example.org\nproxy_password=s3cr3t\n")
    world.write("etc/environment", 'export HTTP_PROXY="http://u:s3cr3t@p.example.org/"\nPATH=/bin\n')
    world.write("etc/sysconfig/proxy", 'PROXY_ENABLED="yes"\nHTTP_PROXY=""\nNO_PROXY="localhost"\n')
    found = {item["name"]: item["detail"] for item in proxies.collect(world.look())}
    assert found == {
        "apt Acquire::http::Proxy": "http://***@proxy.example.org:3128/",
        "apt Acquire::http::Proxy::mirror.example.org": "DIRECT",
        "apt Acquire::http::Proxy-Auto-Detect": "as /usr/local/bin/proxy answers",
        "dnf [main] of /etc/dnf/dnf.conf": "http://***@p.example.org",
        "HTTP_PROXY in /etc/environment": "http://***@p.example.org/",
        "NO_PROXY in /etc/sysconfig/proxy": "localhost",
        "https_proxy of this session": "***@10.1.1.1:3128",
    }
    assert "s3cr3t" not in str(found)
