# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's collectors really return is read, part by part: a shape that drifts is found here."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software import (
    applications,
    container_images,
    flatpaks,
    jars,
    java_homes,
    npm_packages,
    python_environments,
    ruby_gems,
    snaps,
)
from ansible_collections.hospital.patching.plugins.plugin_utils import installed
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.software_documents import software

RECORDED = Path(__file__).resolve().parents[1] / "module_utils/recorded"
PODMAN_ID = "06db04401241d82bf67bce4aca4e8da6cccc3e6f232429ce8dcda3bdcdf215b8"
#: After snapcraft.io/docs/snapd-api.
SNAPD = {
    "result": [{"name": "core22", "version": "20240111", "revision": "1122", "publisher": {"username": "canonical"}}]
}
#: After docs.docker.com/reference/api/engine (ImageList).
DOCKER = [
    {"Id": "sha256:ec3f", "RepoTags": ["localhost:5000/nginx:1.25", "nginx:latest"], "Created": 1644009612, "Size": 5},
    {"Id": "sha256:0b", "RepoTags": ["<none>:<none>"], "Created": 1474925151, "Size": 5},
    {"Id": "sha256:0c", "RepoTags": ["localhost:5000/bare"], "Created": 1474925151, "Size": 5},
]  # fmt: skip


@pytest.fixture
def host(tmp_path):
    """Return a host with one of everything that lies in files."""
    files = {
        "usr/lib/node_modules/npm/package.json": '{"name": "npm", "version": "11.19.1"}',
        "var/lib/gems/3.1.0/specifications/rack-3.1.0.gemspec": "",
        "opt/app/venv/pyvenv.cfg": "version = 3.11.2",
        "opt/app/venv/lib/python3.11/site-packages/requests-2.32.0.dist-info/METADATA": (
            "Name: requests\nVersion: 2.32.0\n"
        ),
        "opt/pacs/jre/release": 'JAVA_VERSION="1.8.0_392"\n',
        "opt/pacs/jre/bin/java": "",
        "opt/viewer-2.4/VERSION": "2.4",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        properties = "version=2.14.1\ngroupId=org.apache.logging.log4j\nartifactId=log4j-core\n"
        archive.writestr("META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties", properties)
    (tmp_path / "opt/app/log4j-core-2.14.1.jar").write_bytes(made.getvalue())
    (tmp_path / "var/tmp").mkdir(parents=True)
    return Host(None, Clock(), str(tmp_path), "")


def read(part, entries):
    assert entries, "the collector found nothing"
    found = installed.read(software(**{"packages": [], part: entries}))
    assert found.unknown == ()
    return [(item.kind, item.name, item.version) for item in found.items], found.items


def test_what_lies_in_files(host):
    assert read("npm_packages", npm_packages.collect(host))[0] == [("npm", "npm", "11.19.1")]
    assert read("ruby_gems", ruby_gems.collect(host))[0] == [("gem", "rack", "3.1.0")]
    assert ("pypi", "requests", "2.32.0") in read("python_environments", python_environments.collect(host))[0]
    told, (home,) = read("java_homes", java_homes.collect(host))
    assert (told, home.path, home.vendor) == ([("java", "java", "1.8.0_392")], "/opt/pacs/jre", None)
    told, (jar,) = read("vulnerable_jars", jars.collect(host, roots=("/opt",))["found"])
    assert told == [("jar", "org.apache.logging.log4j:log4j-core", "2.14.1")]
    assert (jar.path, "CVE-2021-44228" in jar.cves) == ("/opt/app/log4j-core-2.14.1.jar", True)


def test_applications(host):
    entry = {
        "name": "Viewer",
        "globs": ["/opt/viewer-*"],
        "product": "viewer",
        "advice": "remove it",
        "version_pattern": r"viewer-([0-9.]+)",
    }
    told, (one,) = read("applications", applications.collect(host, [entry]))
    assert told == [("application", "Viewer", "2.4")]
    assert (one.product, one.advice, one.path) == ("viewer", "remove it", "/opt/viewer-2.4")


def test_snaps_and_flatpaks():
    told, (one,) = read("snaps", snaps.parse_snaps(SNAPD))
    assert (told, one.origin) == ([("snap", "core22", "20240111")], "canonical")
    told, (runtime, _viewer) = read("flatpaks", flatpaks.parse_list((RECORDED / "flatpak_list.txt").read_text()))
    assert told == [("flatpak", "org.hospital.Platform", "24.08"), ("flatpak", "org.hospital.Viewer", "stable")]
    assert (runtime.arch, runtime.origin) == ("x86_64", "hospital")


def test_an_image_is_listed_by_each_of_its_names():
    answer = json.loads((RECORDED / "podman_images.json").read_text())
    told, items = read("container_images", container_images.parse_podman(answer[:1]))
    assert told == [("image", "localhost/pacs-viewer", "1.2"), ("image", "localhost/pacs-viewer", "latest")]
    assert {(item.source, item.origin) for item in items} == {(PODMAN_ID, "podman")}


def test_an_image_has_the_port_of_its_registry_in_its_name_and_without_names_its_id():
    assert read("container_images", container_images.parse_docker(DOCKER))[0] == [
        ("image", "localhost:5000/nginx", "1.25"),
        ("image", "nginx", "latest"),
        ("image", "0b", None),
        ("image", "localhost:5000/bare", None),
    ]
