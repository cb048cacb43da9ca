# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's ``patching_software`` says is installed, as one flat list.

A part that is null or absent (an older document, a collector that failed) is
unknown and named as such; it is never taken for empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: Parts of the document that hold installed things.
PARTS = (
    "packages",
    "snaps",
    "flatpaks",
    "python_environments",
    "npm_packages",
    "ruby_gems",
    "java_homes",
    "applications",
    "vulnerable_jars",
    "container_images",
)
#: Collected only when asked for, so that their absence is no gap.
WHEN_ASKED = ("vulnerable_jars", "container_images")
#: States of dpkg in which nothing of the package is on the disk (dpkg-query(1), "Package States").
GONE = ("not-installed", "config-files")
KIND_OF_MANAGER = {"dpkg": "deb", "rpm": "rpm"}


@dataclass(frozen=True)
class Item:
    """One installed thing; what is not known is None. ``cves`` are those of a vulnerable library."""

    #: deb, rpm, snap, flatpak, pypi, npm, gem, java, application, jar or image.
    kind: str
    name: str
    version: str | None = None
    arch: str | None = None
    epoch: str | None = None
    #: The source package; of an image its id.
    source: str | None = None
    origin: str | None = None
    installed_at: str | None = None
    automatic: bool | None = None
    held: bool | None = None
    path: str | None = None
    #: Of a Java home who built it.
    vendor: str | None = None
    #: Of an application its name in the catalogue, and what the catalogue advises.
    product: str | None = None
    advice: str | None = None
    cves: tuple[str, ...] = ()


@dataclass(frozen=True)
class Installed:
    """Everything installed, and the names of the parts that are unknown."""

    items: tuple[Item, ...]
    unknown: tuple[str, ...]


def read(software: Mapping[str, Any] | None) -> Installed:
    """Return what the document says; entries that are no mapping or have no name make their part unknown."""
    document = software if isinstance(software, Mapping) else {}
    items: list[Item] = []
    unknown = []
    for part in PARTS:
        entries = document.get(part)
        if not isinstance(entries, list):
            if part not in WHEN_ASKED or part in (document.get("errors") or {}):
                unknown.append(part)
            continue
        found = [list(_items(part, entry)) if isinstance(entry, Mapping) else None for entry in entries]
        if any(one is None for one in found) or any(not item.name for one in found for item in one or ()):
            unknown.append(part)
        items += [item for one in found for item in one or () if item.name]
    return Installed(tuple(items), tuple(unknown))


def text(value: object) -> str | None:
    """Return a value as one line that can be written as UTF-8, or None; a broken encoding becomes question marks."""
    if value is None or isinstance(value, (Mapping, list)):
        return None
    line = str(value).encode("utf-8", errors="replace").decode("utf-8")
    return " ".join("".join(sign if sign.isprintable() else " " for sign in line).split()) or None


def _items(part: str, entry: Mapping[str, Any]) -> Iterator[Item]:
    if part == "packages":
        if entry.get("status") not in GONE:
            yield _package(entry)
    elif part == "python_environments":
        packages = entry.get("packages")
        for package in packages if isinstance(packages, list) else ():
            if isinstance(package, Mapping):
                yield Item("pypi", _name(package), text(package.get("version")), path=text(entry.get("path")))
    elif part == "java_homes":
        # A home has no name of its own: its place is what tells it from another.
        path, version = text(entry.get("path")), text(entry.get("version"))
        yield Item("java", "java" if path else "", version, path=path, vendor=text(entry.get("vendor")))
    elif part == "vulnerable_jars":
        yield _jar(entry)
    elif part == "container_images":
        yield from _image(entry)
    elif part == "flatpaks":
        # Runtimes state no version; their branch is one.
        version = text(entry.get("version")) or text(entry.get("branch"))
        yield Item(
            "flatpak", text(entry.get("id")) or "", version, text(entry.get("arch")), origin=text(entry.get("origin"))
        )
    else:
        kind = {"npm_packages": "npm", "ruby_gems": "gem"}.get(part, part.removesuffix("s"))
        yield Item(
            kind,
            _name(entry),
            text(entry.get("version")),
            arch=text(entry.get("arch")),
            origin=text(entry.get("origin") or entry.get("publisher") or entry.get("package")),
            path=text(entry.get("path")),
            product=text(entry.get("product")),
            advice=text(entry.get("advice")),
        )


def _package(entry: Mapping[str, Any]) -> Item:
    kind = KIND_OF_MANAGER.get(str(entry.get("manager") or "dpkg"), "deb")
    epoch, version = text(entry.get("epoch")), text(entry.get("version"))
    front, colon, rest = (version or "").partition(":")
    if colon and front.isdecimal():
        epoch = front
        if kind == "rpm":
            version = rest
    elif kind == "deb" and version and epoch not in (None, "0"):
        version = f"{epoch}:{version}"
    return Item(
        kind,
        _name(entry),
        version,
        arch=text(entry.get("arch")),
        epoch=epoch if epoch not in ("0", "(none)") else None,
        source=text(entry.get("source")),
        origin=text(entry.get("origin")),
        installed_at=text(entry.get("installed_at")),
        automatic=flag(entry.get("automatic")),
        held=flag(entry.get("held")),
    )


def _image(entry: Mapping[str, Any]) -> Iterator[Item]:
    """Yield an image once for each of its names, ``repository:tag`` or ``repository@digest``, else by its id."""
    identity, engine = text(entry.get("id")), text(entry.get("engine"))
    names = entry.get("names")
    known = [name for name in map(text, names if isinstance(names, list) else ()) if name]
    for name in known or [identity or ""]:
        repository, at, version = name.partition("@")
        if not at and ":" in name.rpartition("/")[2]:
            repository, _colon, version = name.rpartition(":")
        yield Item("image", repository, version or None, source=identity, origin=engine)


def _jar(entry: Mapping[str, Any]) -> Item:
    inside = entry.get("inside")
    # A nested jar is named by the whole way to it, as `java -jar` and scanners write it.
    way = [entry.get("path"), *(inside if isinstance(inside, list) else [inside])]
    path = "!/".join(part for part in map(text, way) if part)
    cves = entry.get("cves")
    known = tuple(sorted({str(cve) for cve in cves})) if isinstance(cves, list) else ()
    group, library = text(entry.get("group")), text(entry.get("library")) or ""
    name = f"{group}:{library}" if group else library
    return Item("jar", name, text(entry.get("version")), path=path or None, cves=known)


def _name(entry: Mapping[str, Any]) -> str:
    return text(entry.get("name")) or ""


def flag(value: object) -> bool | None:
    """Return a value that is yes or no; everything else is not known."""
    return value if isinstance(value, bool) else None
