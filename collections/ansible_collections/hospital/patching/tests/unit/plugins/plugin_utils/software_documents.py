# SPDX-License-Identifier: GPL-3.0-or-later
"""Small ``patching_software`` documents that several tests read."""

from __future__ import annotations

from typing import Any

DEBIAN: dict[str, Any] = {
    "id": "debian",
    "version_id": "12",
    "codename": "bookworm",
    "pretty_name": "Debian GNU/Linux 12 (bookworm)",
    "architecture": "amd64",
    "support_end": None,
    "image": None,
}
ALMA: dict[str, Any] = {
    **DEBIAN,
    "id": "almalinux",
    "version_id": "9.4",
    "pretty_name": "AlmaLinux 9.4",
    "codename": None,
}


def package(name: str = "openssl", version: str | None = "3.0.17-1~deb12u2", **more: Any) -> dict[str, Any]:
    return {
        "manager": "dpkg",
        "name": name,
        "arch": "amd64",
        "version": version,
        "epoch": None,
        "source": name,
        "source_version": version,
        "origin": "Debian:12/oldstable",
        "installed_bytes": 1000,
        "installed_at": "2026-11-01T04:12:09Z",
        "automatic": False,
        "held": False,
        "held_by": None,
        "status": "installed",
    } | more


def software(**parts: Any) -> dict[str, Any]:
    """Return a document of which everything is known; parts that are not named are empty."""
    return {
        "os": DEBIAN,
        "kernel": {"running": "6.1.0-40-amd64", "installed": ["6.1.0-40-amd64"]},
        "packages": [package()],
        "snaps": [],
        "flatpaks": [],
        "python_environments": [],
        "npm_packages": [],
        "ruby_gems": [],
        "java_homes": [],
        "applications": [],
        "vulnerable_jars": None,
        "container_images": None,
        "replaced_libraries": [],
        "reboot_required": {"required": False, "reasons": []},
        "failed_units": [],
        "errors": {},
    } | parts


#: One of everything, with what makes documents difficult.
EVERYTHING = software(
    packages=[
        package(),
        package("libssl3", source="openssl"),
        package("nginx", "1:1.22.1-9+deb12u2", epoch="1", held=True),
        package("gone", status="config-files"),
        package("libstdc++6", "12.2.0-14"),
    ],
    snaps=[{"name": "firefox", "version": "128.0", "publisher": "mozilla"}],
    flatpaks=[
        {"id": "org.gimp.GIMP", "branch": "stable", "arch": "x86_64", "version": "2.10.38", "origin": "flathub"},
    ],
    python_environments=[
        {"path": "/opt/a/venv", "python": "3.11.2", "packages": [{"name": "requests", "version": "2.32.0"}]},
        {"path": "/opt/b/venv", "python": "3.11.2", "packages": [{"name": "requests", "version": "2.32.0"}]},
    ],
    npm_packages=[{"path": "/usr/lib/node_modules/@scope/tool", "name": "@scope/tool", "version": "1.0.0"}],
    ruby_gems=[{"path": "/var/lib/gems", "name": "rack", "version": "3.1.0"}],
    java_homes=[{"path": "/opt/jdk-17", "version": "17.0.12", "vendor": "Eclipse Adoptium"}],
    applications=[
        {
            "name": "Flash",
            "path": "/opt/flash",
            "version": "32.0",
            "product": "flash",
            "advice": "remove",
            "package": None,
        }
    ],
    vulnerable_jars=[
        {
            "path": "/opt/app.war",
            "inside": ["WEB-INF/lib/a.jar", "log4j-core.jar"],
            "library": "log4j-core",
            "group": "org.apache.logging.log4j",
            "version": "2.14.1",
            "cves": ["CVE-2021-44228", "CVE-2021-45046"],
        }
    ],
    container_images=[
        {
            "engine": "podman",
            "id": "b" * 64,
            "names": [f"docker.io/library/postgres@sha256:{'a' * 64}"],
            "created": None,
            "size_bytes": 3536,
        }
    ],
)
