# SPDX-License-Identifier: GPL-3.0-or-later
"""Which product of endoflife.date an operating system, a package or a Java home is, and its version there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.installed import Item

#: os-release's ID to the product's name, where they differ.
OPERATING_SYSTEMS = {
    "rocky": "rocky-linux",
    "ol": "oracle-linux",
    "sles_sap": "sles",
    "opensuse-leap": "opensuse",
    "amzn": "amazon-linux",
    "centos": "centos-stream",
    "alpine": "alpine-linux",
}
#: The source or name of a package, whole, to its product.
PACKAGES = tuple(
    (re.compile(pattern), product)
    for pattern, product in (
        (r"postgresql-?\d+(\.\d+)?(-server)?|postgresql-server", "postgresql"),
        (r"nginx(-core)?", "nginx"),
        (r"haproxy", "haproxy"),
        (r"openssl", "openssl"),
        (r"apache2|httpd", "apache-http-server"),
        (r"mariadb(-server|-\d+\.\d+)?", "mariadb"),
        (r"mysql(-server|-community|-community-server|-\d+\.\d+)?", "mysql"),
        (r"mongodb-org(-server)?", "mongodb"),
        (r"redis(-server)?", "redis"),
        (r"rabbitmq-server", "rabbitmq"),
        (r"samba", "samba"),
        (r"php\d*(\.\d+)?", "php"),
        (r"python3\.\d+|python2\.7", "python"),
        (r"ruby\d+\.\d+", "ruby"),
        (r"nodejs", "nodejs"),
        (r"tomcat\d+", "tomcat"),
        (r"docker-ce", "docker-engine"),
        (r"google-chrome-stable", "chrome"),
        (r"firefox(-esr)?", "firefox"),
        (r"temurin-\d+-(jdk|jre)", "eclipse-temurin"),
        # The OpenJDK update projects have no page of their own; Temurin is built from them and ends with them.
        (r"openjdk-\d+|java-[\d.]+-openjdk", "eclipse-temurin"),
    )
)
#: The vendor in a Java home's release file to its product.
JAVA_VENDORS = (
    ("adoptium", "eclipse-temurin"),
    ("oracle", "oracle-jdk"),
    ("amazon", "amazon-corretto"),
    ("azul", "azul-zulu"),
    ("microsoft", "microsoft-build-of-openjdk"),
    ("red hat", "redhat-build-of-openjdk"),
    ("bellsoft", "bellsoft-liberica"),
    ("debian", "eclipse-temurin"),
    ("ubuntu", "eclipse-temurin"),
)
#: How the labels of distributions' own archives begin: their packages are mended there after upstream's end.
DISTRIBUTIONS = (
    "debian", "ubuntu", "red hat", "redhat", "rhel", "baseos", "appstream", "almalinux", "alma", "rocky",
    "oracle linux", "suse", "sle", "opensuse", "fedora", "centos", "amazon",
)  # fmt: skip


def operating_system(identity: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return product and version of the ``os`` part, or None when it names neither."""
    name, version = identity.get("id"), identity.get("version_id")
    if not name or not version:
        return None
    return OPERATING_SYSTEMS.get(str(name), str(name)), str(version)


def product_of(item: Item) -> tuple[str, str] | None:
    """Return product and upstream version of an installed thing, or None when it is no known product."""
    version = upstream(item)
    if not version:
        return None
    if item.kind == "application":
        return (item.product, version) if item.product else None
    if item.kind == "java":
        vendor = (item.vendor or "").lower()
        return next(((product, version) for word, product in JAVA_VENDORS if word in vendor), None)
    if item.kind not in ("deb", "rpm"):
        return None
    for name in filter(None, (item.source, item.name)):
        for pattern, product in PACKAGES:
            if pattern.fullmatch(name):
                return product, version
    return None


def upstream(item: Item) -> str | None:
    """Return the version as its makers count it: no epoch, no packager's revision; Java 1.8 is 8."""
    version = (item.version or "").partition(":")[2] or item.version or ""
    found = re.match(r"\d+(\.\d+)*", version)
    if not found:
        return None
    return re.sub(r"^1\.(?=[5-8](\.|$))", "", found[0]) if _is_java(item) else found[0]


def _is_java(item: Item) -> bool:
    names = f"{item.product or ''} {item.source or ''} {item.name}"
    return item.kind == "java" or bool(re.search(r"jdk|jre|java|temurin", names))


def by_distribution(item: Item) -> bool:
    """Say whether the host's distribution itself maintains the package; of an unknown origin it is not known to."""
    return item.kind in ("deb", "rpm") and (item.origin or "").lower().startswith(DISTRIBUTIONS)
