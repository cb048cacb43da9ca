# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacked applications, with the version files of Firefox ESR 153, Thunderbird 153 and LibreOffice 7.4 as Debian 12
ships them; those of Adobe Reader, Flash, Tomcat and Go are after their vendors' archives."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software.application_catalogue import CATALOGUE
from ansible_collections.hospital.patching.plugins.module_utils.software.applications import collect

FIREFOX = """\
; This file is not used. If you modify it and want the application to use
; your modifications, move it under the browser/ subdirectory and start with
; the "-app /path/to/browser/application.ini" argument.
[App]
Vendor=Mozilla
Name=Firefox
RemotingName=firefox-esr
Version=153.7.0
BuildID=20261103151912

[Gecko]
MinVersion=153.7.0
MaxVersion=153.7.0
"""
BOOTSTRAP = """\
[Bootstrap]
InstallMode=<installmode>
ProductKey=LibreOffice 7.4
UserInstallation=$SYSUSERCONFIG/libreoffice/4
"""


@pytest.fixture
def host(tmp_path):
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / "google-chrome-stable.list").write_text("/.\n/opt\n/opt/google\n/opt/google/chrome\n")
    return Host(None, Clock(), str(tmp_path), "")


def put(host, path, text=""):
    full = os.path.join(host.root, path.lstrip("/"))
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w") as handle:
        handle.write(text)


@pytest.mark.parametrize(
    ("path", "file", "text", "name", "version", "product"),
    [
        ("/opt/firefox", "application.ini", FIREFOX, "Mozilla Firefox", "153.7.0", "firefox"),
        (
            "/usr/local/thunderbird",
            "application.ini",
            FIREFOX.replace("Firefox", "Thunderbird"),
            "Mozilla Thunderbird",
            "153.7.0",
            None,
        ),
        ("/opt/libreoffice7.4", "program/bootstraprc", BOOTSTRAP, "LibreOffice", "7.4", "libreoffice"),
        ("/opt/Adobe/Reader9", "Reader/AcroVersion", "9.5.5\n", "Adobe Reader", "9.5.5", None),
        (
            "/opt/apache-tomcat-9.0.80",
            "RELEASE-NOTES",
            "====\n\n                     Apache Tomcat Version 9.0.80\n                            Release Notes\n",
            "Apache Tomcat",
            "9.0.80",
            "tomcat",
        ),
        ("/usr/local/go", "VERSION", "go1.21.5\ntime 2023-11-29T21:21:46Z\n", "Go", "1.21.5", "go"),
        ("/opt/node-v20.10.0-linux-x64", "bin/node", "", "Node.js", "20.10.0", "nodejs"),
    ],
)
def test_the_catalogue(host, path, file, text, name, version, product):
    put(host, path + "/" + file, text)
    (found,) = collect(host)
    advice = "remove" if name == "Adobe Reader" else None
    assert found == {
        "name": name,
        "path": path,
        "version": version,
        "product": product,
        "advice": advice,
        "package": None,
    }


def test_flash_is_to_be_removed(host):
    put(host, "/usr/lib/flashplugin-installer/libflashplayer.so")
    put(host, "/opt/google/chrome/PepperFlash/libpepflashplayer.so")
    put(host, "/opt/google/chrome/PepperFlash/manifest.json", '{\n  "name": "Flapper",\n  "version": "32.0.0.465"\n}')
    flash = [(row["path"], row["version"], row["advice"]) for row in collect(host) if "Flash" in row["name"]]
    assert flash == [
        ("/opt/google/chrome/PepperFlash/libpepflashplayer.so", "32.0.0.465", "remove"),
        ("/usr/lib/flashplugin-installer/libflashplayer.so", None, "remove"),
    ]


def test_what_a_package_owns_says_so(host):
    put(host, "/opt/google/chrome/chrome")
    (found,) = collect(host)
    assert (found["name"], found["version"], found["package"]) == ("Google Chrome", None, "google-chrome-stable")


def test_links_and_namesakes_are_no_applications(host):
    put(host, "/opt/firefox-153.7.0/application.ini", FIREFOX)
    os.symlink("firefox-153.7.0", os.path.join(host.root, "opt/firefox"))
    os.symlink("/etc", os.path.join(host.root, "opt/thunderbird"))
    put(host, "/opt/firefox-notes/readme.txt")
    put(host, "/opt/tomcat-backup.tar")
    put(host, "/opt/chromium.deb")
    assert [row["path"] for row in collect(host)] == ["/opt/firefox-153.7.0"]


def test_a_damaged_version_file_leaves_the_version_open(host):
    put(host, "/opt/firefox/application.ini", "\udcff\0".encode("utf-8", "replace").decode() * 100000)
    (found,) = collect(host)
    assert found["version"] is None


def test_own_entries(host):
    put(host, "/opt/pacs-viewer/VERSION.txt", "Viewer 4.2.1 build 7\n")
    own = {
        "name": "Viewer",
        "globs": ["/opt/pacs-*"],
        "version_file": "VERSION.txt",
        "version_pattern": "Viewer (\\S+)",
    }
    (found,) = collect(host, more=[own])
    assert (found["name"], found["version"], found["product"]) == ("Viewer", "4.2.1", None)


def test_own_entries_replace_those_of_the_same_name(host):
    put(host, "/opt/firefox/application.ini", FIREFOX)
    own = {"name": "Mozilla Firefox", "globs": ["/srv/firefox"]}
    assert collect(host, more=[own]) == []


@pytest.mark.parametrize(
    ("row", "seen"),
    [
        ({}, "no name"),
        ("text", "no name"),
        ({"name": "a"}, "globs"),
        ({"name": "a", "globs": "/opt/a"}, "globs"),
        ({"name": "a", "globs": ["opt/a"]}, "globs"),
        ({"name": "a", "globs": ["/opt/a"], "version": "1"}, "unknown keys version"),
        ({"name": "a", "globs": ["/opt/a"], "version_pattern": "("}, "version_pattern"),
        ({"name": "a", "globs": ["/opt/a"], "version_pattern": "a"}, "no group"),
        ({"name": "a", "globs": ["/opt/a"], "advice": 1}, "neither text nor null"),
    ],
)
def test_own_entries_of_another_shape_are_refused(host, row, seen):
    with pytest.raises(PatchingError, match="catalogue entry") as caught:
        collect(host, more=[row])
    assert seen in caught.value.seen


def test_names_are_told_apart():
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE)
