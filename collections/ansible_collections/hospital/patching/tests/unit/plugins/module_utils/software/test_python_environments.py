# SPDX-License-Identifier: GPL-3.0-or-later
"""Python environments of every layout, with the files that pip 23, setuptools, virtualenv, uv and conda write."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software import python_environments
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import PartialError
from ansible_collections.hospital.patching.plugins.module_utils.software.python_environments import (
    collect,
    parse_metadata,
    parse_pyvenv,
)
from ansible_collections.hospital.patching.plugins.module_utils.software.tree_walk import Limits

METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: {}\nSummary: x\n\nVersion: 9 is in the description\n"


@pytest.fixture
def host(tmp_path):
    return Host(None, Clock(), str(tmp_path), "")


def put(host, path, text=""):
    full = os.path.join(host.root, path.lstrip("/"))
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w") as handle:
        handle.write(text)


def dist(host, site, name, version):
    put(host, "{}/{}-{}.dist-info/METADATA".format(site, name, version), METADATA.format(name, version))


def test_a_virtual_environment(host):
    put(
        host, "/opt/viewer/venv/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11.2\n"
    )
    dist(host, "/opt/viewer/venv/lib/python3.11/site-packages", "pydicom", "2.4.4")
    dist(host, "/opt/viewer/venv/lib/python3.11/site-packages", "Flask", "3.0.0")
    os.symlink("lib", os.path.join(host.root, "opt/viewer/venv/lib64"))
    assert collect(host) == [
        {
            "path": "/opt/viewer/venv",
            "python": "3.11.2",
            "packages": [{"name": "Flask", "version": "3.0.0"}, {"name": "pydicom", "version": "2.4.4"}],
        }
    ]


@pytest.mark.parametrize(
    ("site", "path", "python"),
    [
        ("/usr/local/lib/python3.11/dist-packages", "/usr/local", "3.11"),
        ("/opt/python3.9/lib/python3.9/site-packages", "/opt/python3.9", "3.9"),
        ("/root/.pyenv/versions/2.7.18/lib/python2.7/site-packages", "/root/.pyenv/versions/2.7.18", "2.7"),
        ("/home/anna/.local/lib/python3.12/site-packages", "/home/anna/.local", "3.12"),
        ("/opt/vendor/bundle/site-packages", "/opt/vendor/bundle/site-packages", None),
        ("/opt/el/lib64/python3.6/site-packages", "/opt/el", "3.6"),
    ],
)
def test_environments_without_pyvenv(host, site, path, python):
    dist(host, site, "requests", "2.31.0")
    assert collect(host) == [{"path": path, "python": python, "packages": [{"name": "requests", "version": "2.31.0"}]}]


def test_two_pythons_under_one_prefix(host):
    dist(host, "/usr/local/lib/python3.9/site-packages", "a", "1")
    dist(host, "/usr/local/lib/python3.11/site-packages", "a", "2")
    assert [(found["python"], found["packages"][0]["version"]) for found in collect(host)] == [
        ("3.11", "2"),
        ("3.9", "1"),
    ]


def test_conda(host):
    for name in (
        "python-3.11.5-h955ad1f_0",
        "numpy-base-1.26.0-py311hf175353_0",
        "ca-certificates-2023.08.22-h06a4308_0",
    ):
        put(host, "/opt/conda/conda-meta/{}.json".format(name), "{}")
    put(host, "/opt/conda/conda-meta/history", "")
    dist(host, "/opt/conda/lib/python3.11/site-packages", "pydicom", "2.4.4")
    put(host, "/opt/conda/envs/ai/conda-meta/python-3.12.1-h1_0.json", "{}")
    base, inner = collect(host)
    assert (base["path"], base["python"]) == ("/opt/conda", "3.11.5")
    assert [package["name"] for package in base["packages"]] == ["ca-certificates", "numpy-base", "pydicom", "python"]
    assert (inner["path"], inner["python"]) == ("/opt/conda/envs/ai", "3.12.1")


def test_old_forms_of_metadata(host):
    site = "/opt/app/lib/python3.6/site-packages"
    put(host, site + "/dir-1.0.egg-info/PKG-INFO", METADATA.format("dir", "1.0"))
    put(host, site + "/file-2.0.egg-info", METADATA.format("file", "2.0"))
    put(host, site + "/egg-3.0-py3.6.egg/EGG-INFO/PKG-INFO", METADATA.format("egg", "3.0"))
    put(host, site + "/bare-4.0-py3.6.egg/x", "")
    put(host, site + "/broken-5.0.dist-info/METADATA", "\udcff".encode("utf-8", "replace").decode())
    put(host, site + "/nothing.dist-info/RECORD", "")
    (found,) = collect(host)
    assert {package["name"]: package["version"] for package in found["packages"]} == {
        "dir": "1.0",
        "file": "2.0",
        "egg": "3.0",
        "bare": "4.0",
        "broken": "5.0",
        "nothing": None,
    }


def test_metadata_ends_with_its_head():
    assert parse_metadata(METADATA.format("a", "1")) == ("a", "1")
    assert parse_metadata("") == ("", "")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("home = /usr/bin\nversion = 3.11.2\n", "3.11.2"),
        ("home = /usr/bin\nimplementation = CPython\nversion_info = 3.9.2.final.0\n", "3.9.2"),
        ("home = /root/.local/share/uv\nimplementation = CPython\nuv = 0.9.2\nversion_info = 3.13.5\n", "3.13.5"),
        ("rubbish", ""),
    ],
)
def test_versions_of_venv_virtualenv_and_uv(text, version):
    assert parse_pyvenv(text) == version


def test_limits_leave_a_named_part(host, monkeypatch):
    monkeypatch.setattr(python_environments, "ENVIRONMENTS", 2)
    for number in range(4):
        put(host, "/opt/e{}/pyvenv.cfg".format(number), "version = 3.11.2\n")
    with pytest.raises(PartialError, match="more than 2 environments") as caught:
        collect(host)
    assert [found["path"] for found in caught.value.part] == ["/opt/e0", "/opt/e1"]
    with pytest.raises(PartialError, match="not looked at"):
        collect(host, limits=Limits(6, 2, 60, 100))


def test_too_many_packages(host, monkeypatch):
    monkeypatch.setattr(python_environments, "PACKAGES", 2)
    for name in "abc":
        dist(host, "/opt/x/lib/python3.11/site-packages", name, "1")
    with pytest.raises(PartialError, match="/opt/x has more than 2 packages"):
        collect(host)


def test_a_host_without_any(host):
    assert collect(host) == []


def test_empty_environments(host):
    put(host, "/opt/empty/pyvenv.cfg", "home = /usr/bin\n")
    os.makedirs(os.path.join(host.root, "usr/local/lib/python3.11/dist-packages"))
    assert collect(host) == [{"path": "/opt/empty", "python": None, "packages": []}]


@pytest.mark.parametrize(("name", "limit"), [("PACKAGES", 2), ("TOTAL", 2)])
def test_no_more_records_are_read_than_are_told(host, monkeypatch, name, limit):
    monkeypatch.setattr(python_environments, name, limit)
    for package in "abcd":
        dist(host, "/opt/x/lib/python3.11/site-packages", package, "1")
    read = []
    monkeypatch.setattr(python_environments, "parse_metadata", lambda text: (read.append(text), ("a", text[-9:]))[1])
    with pytest.raises(PartialError, match="more than 2 packages"):
        collect(host)
    assert len(read) == 2
