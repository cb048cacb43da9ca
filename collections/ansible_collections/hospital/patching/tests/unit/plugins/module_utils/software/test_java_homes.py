# SPDX-License-Identifier: GPL-3.0-or-later
"""Java homes, with the release files of Debian's OpenJDK 17, Temurin 25 and an OpenJDK 8."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.java_homes import collect
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import PartialError
from ansible_collections.hospital.patching.plugins.module_utils.software.tree_walk import Limits

DEBIAN_17 = """\
IMPLEMENTOR="Debian"
JAVA_RUNTIME_VERSION="17.0.15+6-Debian-1deb12u1"
JAVA_VERSION="17.0.15"
JAVA_VERSION_DATE="2025-04-15"
LIBC="gnu"
MODULES="java.base java.compiler"
"""
TEMURIN_25 = """\
IMPLEMENTOR="Eclipse Adoptium"
IMPLEMENTOR_VERSION="Temurin-25.0.3+9"
JAVA_RUNTIME_VERSION="25.0.3+9-LTS"
JAVA_VERSION="25.0.3"
SOURCE=".:git:cda0a1776184"
FULL_VERSION="25.0.3+9-LTS"
"""
JDK_8 = 'JAVA_VERSION="1.8.0_392"\nOS_NAME="Linux"\nOS_VERSION="2.6"\nOS_ARCH="amd64"\nSOURCE=""\n'


@pytest.fixture
def host(tmp_path):
    return Host(None, Clock(), str(tmp_path), "")


def put(host, path, text, java=True):
    full = os.path.join(host.root, path.lstrip("/"))
    os.makedirs(os.path.join(full, "bin"))
    with open(os.path.join(full, "release"), "w") as handle:
        handle.write(text)
    if java:
        with open(os.path.join(full, "bin/java"), "w") as handle:
            handle.write("")


def test_homes_of_packages_vendors_and_applications(host):
    put(host, "/usr/lib/jvm/java-17-openjdk-amd64", DEBIAN_17)
    os.symlink("java-17-openjdk-amd64", os.path.join(host.root, "usr/lib/jvm/default-java"))
    put(host, "/opt/pacs/server/jre", TEMURIN_25)
    put(host, "/opt/old/jdk8", JDK_8)
    assert collect(host) == [
        {"path": "/opt/old/jdk8", "version": "1.8.0_392", "vendor": None, "runtime": None},
        {
            "path": "/opt/pacs/server/jre",
            "version": "25.0.3",
            "vendor": "Eclipse Adoptium",
            "runtime": "25.0.3+9-LTS",
        },
        {
            "path": "/usr/lib/jvm/java-17-openjdk-amd64",
            "version": "17.0.15",
            "vendor": "Debian",
            "runtime": "17.0.15+6-Debian-1deb12u1",
        },
    ]


def test_other_release_files_are_none(host):
    put(host, "/opt/a", "1.2.3\n")
    put(host, "/opt/b", "\udcff\0JAVA_VERSION".encode("utf-8", "replace").decode())
    put(host, "/opt/c", DEBIAN_17, java=False)
    os.makedirs(os.path.join(host.root, "opt/d/release"))
    assert collect(host) == []


def test_limits_leave_a_named_part(host):
    put(host, "/usr/lib/jvm/j", DEBIAN_17)
    put(host, "/opt/a/jre", TEMURIN_25)
    with pytest.raises(PartialError, match="Java homes: /opt and what comes after it") as caught:
        collect(host, limits=Limits(5, 2, 60, 100))
    assert [home["version"] for home in caught.value.part] == ["17.0.15"]
