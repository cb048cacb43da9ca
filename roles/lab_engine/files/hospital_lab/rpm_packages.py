# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the hospital's rpm packages: a few small ones, in the versions that hosts have and in those on offer."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from hospital_lab.commands import run
from hospital_lab.packages import EPOCH_S

RELEASEVER = "9"
ISSUED = "2025-01-01 00:00:00"


class RpmPackage(NamedTuple):
    """One version of a package."""

    name: str
    version: str
    summary: str
    epoch: int = 0
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    obsoletes: tuple[str, ...] = ()
    #: Configuration files (%config(noreplace)) by path, with their text.
    configuration: tuple[tuple[str, str], ...] = ()
    #: What its service runs, in a unit of its own name; empty for a package without one.
    service: str = ""
    #: The body of %post, for /bin/sh.
    post: str = ""

    @property
    def file_name(self) -> str:
        """The package file, as rpm names it."""
        return f"{self.name}-{self.version}-1.noarch.rpm"


class Advisory(NamedTuple):
    """One advisory of updateinfo.xml."""

    identity: str
    kind: str  # the type, in updateinfo's words
    severity: str
    title: str
    cves: tuple[str, ...]
    packages: tuple[RpmPackage, ...]


RELEASE = RpmPackage(
    "hospital-release",
    RELEASEVER,
    "release of the demonstration hospital's distribution",
    provides=(f"system-release = {RELEASEVER}", f"system-release(releasever) = {RELEASEVER}"),
)
COMMON = RpmPackage("hospital-common", "1.0", "what the hospital's programs share")
FONTS = RpmPackage("hospital-fonts", "1.0", "fonts of printed forms")
VIEWER = RpmPackage("hospital-viewer", "1.0", "viewer of images", requires=(COMMON.name,))
FORMS = RpmPackage("hospital-forms", "3.0", "printed forms", epoch=1)
DRIVER = RpmPackage("hospital-driver", "5.0", "driver of a label printer")

#: What a host has when it starts; the driver is locked there, because its vendor has validated this version only.
INSTALLED = (RELEASE, COMMON, VIEWER, FORMS, DRIVER)
NEW_VIEWER = VIEWER._replace(version="1.1")
NEW_FORMS = FORMS._replace(version="3.1", requires=(FONTS.name,))
NEW_DRIVER = DRIVER._replace(version="5.1")
#: What the repository offers.
OFFERED = (*INSTALLED, NEW_VIEWER, NEW_FORMS, NEW_DRIVER, FONTS)
ADVISORIES = (
    Advisory(
        *("HSA-2026:0001", "security", "Important", "hospital-viewer ran code from crafted images"),
        ("CVE-2026-10001", "CVE-2026-10002"),
        (NEW_VIEWER,),
    ),
    Advisory("HBA-2026:0002", "bugfix", "None", "hospital-forms printed no umlauts", (), (NEW_FORMS, FONTS)),
    Advisory(
        *("HSA-2026:0003", "security", "Moderate", "hospital-driver wrote outside its spool"),
        ("CVE-2026-10003",),
        (NEW_DRIVER,),
    ),
)


UNIT = """[Unit]
Description={name}, of the demonstration hospital

[Service]
ExecStart={command}

[Install]
WantedBy=multi-user.target
"""


def build(packages: Iterable[RpmPackage], target: Path) -> list[Path]:
    """Build packages into a folder with one start of rpmbuild, and return their paths.

    The same packages are the same bytes: times and the build host's name are fixed.
    """
    wanted = list(packages)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        settings = {
            "_topdir": work,
            "_dbpath": f"{work}/db",
            "_rpmfilename": "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm",
            "_buildhost": "lab.hospital.example",
            "use_source_date_epoch_as_buildtime": "1",
            "clamp_mtime_to_source_date_epoch": "1",
        }
        defines = [word for item in settings.items() for word in ("--define", " ".join(item))]
        specs = [_write_spec(Path(work), package) for package in wanted]
        run(["rpmbuild", "-bb", "--quiet", *defines, *specs], env={"SOURCE_DATE_EPOCH": str(EPOCH_S)})
        return [Path(shutil.move(Path(work, "RPMS", one.file_name), target / one.file_name)) for one in wanted]


def write_updateinfo(advisories: Iterable[Advisory], target: Path) -> None:
    """Write advisories in the format that dnf and zypper read; ``target`` is the file."""
    updates = ElementTree.Element("updates")
    for advisory in advisories:
        update = ElementTree.SubElement(
            updates,
            "update",
            {"from": "packages@hospital.example", "status": "stable", "type": advisory.kind, "version": "1"},
        )
        for tag, text in (("id", advisory.identity), ("title", advisory.title), ("severity", advisory.severity)):
            ElementTree.SubElement(update, tag).text = text
        ElementTree.SubElement(update, "issued", date=ISSUED)
        ElementTree.SubElement(update, "description").text = advisory.title
        references = ElementTree.SubElement(update, "references")
        for cve in advisory.cves:
            link = f"https://nvd.nist.gov/vuln/detail/{cve}"
            ElementTree.SubElement(references, "reference", href=link, id=cve, title=cve, type="cve")
        collection = ElementTree.SubElement(ElementTree.SubElement(update, "pkglist"), "collection", short="hospital")
        ElementTree.SubElement(collection, "name").text = "Demonstration hospital"
        for package in advisory.packages:
            ElementTree.SubElement(
                ElementTree.SubElement(
                    collection,
                    "package",
                    {
                        "name": package.name,
                        "epoch": str(package.epoch),
                        "version": package.version,
                        "release": "1",
                        "arch": "noarch",
                    },
                ),
                "filename",
            ).text = package.file_name
    ElementTree.ElementTree(updates).write(target, encoding="UTF-8", xml_declaration=True)


def _write_spec(folder: Path, package: RpmPackage) -> Path:
    document = f"%{{_datadir}}/{package.name}/about"
    lines = [
        f"Name: {package.name}",
        f"Version: {package.version}",
        "Release: 1",
        *([f"Epoch: {package.epoch}"] if package.epoch else []),
        f"Summary: {package.summary}",
        "License: GPL-3.0-or-later",
        "Vendor: Demonstration hospital",
        "BuildArch: noarch",
        "AutoReqProv: no",
        *(f"Requires: {name}" for name in package.requires),
        *(f"Provides: {name}" for name in package.provides),
        *(f"Obsoletes: {name}" for name in package.obsoletes),
        "%description",
        f"{package.summary}, of the demonstration hospital.",
        "%install",
        f"mkdir -p %{{buildroot}}%{{_datadir}}/{package.name}",
        f"echo '{package.name} {package.version}' > %{{buildroot}}{document}",
    ]
    files = [document]
    texts = [(path, f"%config(noreplace) {path}", text) for path, text in package.configuration]
    if package.service:
        unit = f"/usr/lib/systemd/system/{package.name}.service"
        texts.append((unit, unit, UNIT.format(name=package.name, command=package.service)))
    for number, (path, listed, text) in enumerate(texts):
        source = folder / f"{package.file_name}.{number}"
        source.write_text(text)
        lines.append(f"install -D -m 0644 {source} %{{buildroot}}{path}")
        files.append(listed)
    if package.post:
        lines += ["%post", package.post]
    lines += ["%files", *files]
    spec = folder / f"{package.file_name}.spec"
    spec.write_text("\n".join(lines) + "\n")
    return spec
