# SPDX-License-Identifier: GPL-3.0-or-later
"""The hospital's own signed rpm repository, which the dnf and zypper hosts see as a folder.

The lab's folder ``rpm`` holds ``hospital``, the repository; ``installed.tar``, an older state of it, which the hosts'
images are built from; and ``RPM-GPG-KEY-hospital``. The private key stays outside all of them.
"""

import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hospital_lab import keys, rpm_packages
from hospital_lab.commands import run
from hospital_lab.packages import EPOCH_S
from hospital_lab.places import Places


def publish(places: Places) -> bool:
    """Build, sign and offer the packages unless those of the same table, key and code are; whether it was done."""
    made_from = _made_from(places)
    mark = places.rpm / "made-from"
    if mark.exists() and mark.read_text() == made_from:
        return False
    places.rpm.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=places.rpm) as work:
        offered, installed = Path(work, "offered"), Path(work, "installed")
        packages = rpm_packages.build(rpm_packages.OFFERED, offered)
        keys.sign_rpms(places, packages)
        installed.mkdir()
        for package in rpm_packages.INSTALLED:
            shutil.copyfile(offered / package.file_name, installed / package.file_name)
        _index(places, installed, [])
        _index(places, offered, rpm_packages.ADVISORIES)
        _pack(installed, places.rpm_installed)
        keys.write_public(places, places.rpm_public_key)
        shutil.rmtree(places.rpm / "hospital", ignore_errors=True)
        offered.rename(places.rpm / "hospital")
    mark.write_text(made_from)
    return True


def offer(places: Places, name: str, packages: Sequence[rpm_packages.RpmPackage]) -> Path:
    """Offer exactly these packages, signed, in a further repository beside the hospital's; return its folder."""
    folder = places.rpm / name
    with tempfile.TemporaryDirectory(dir=places.rpm) as work:
        made = Path(work, "made")
        made.mkdir()
        # A signature carries its time: what was signed once stays the same file in every later state.
        kept = places.rpm / f"{name}-signed"
        kept.mkdir(exist_ok=True)
        for package in packages:
            signed = kept / hashlib.sha256(repr(package).encode()).hexdigest()[:16]
            if not signed.exists():
                (built,) = rpm_packages.build([package], Path(work, "built"))
                keys.sign_rpms(places, [built])
                shutil.move(built, signed)
            shutil.copyfile(signed, made / package.file_name)
        _index(places, made, [])
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return folder


def _made_from(places: Places) -> str:
    parts = (Path(rpm_packages.__file__), Path(__file__), places.signing_certificate)
    return hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()[:16]


def _index(places: Places, repository: Path, advisories: Sequence[rpm_packages.Advisory]) -> None:
    """Write the repository's metadata, with the advisories in it, and sign it."""
    run(["createrepo_c", "--quiet", "--no-database", "--revision", str(EPOCH_S), repository])
    if advisories:
        with tempfile.TemporaryDirectory() as work:
            updateinfo = Path(work, "updateinfo.xml")
            rpm_packages.write_updateinfo(advisories, updateinfo)
            run(["modifyrepo_c", "--mdtype=updateinfo", updateinfo, repository / "repodata"])
    keys.sign_detached(places, repository / "repodata/repomd.xml")


def _pack(folder: Path, target: Path) -> None:
    """Pack a folder's files as root's."""
    with tarfile.open(target, "w") as tar:
        for path in sorted(item for item in folder.rglob("*") if item.is_file()):
            entry = tarfile.TarInfo(str(path.relative_to(folder)))
            entry.size, entry.mtime, entry.mode = path.stat().st_size, EPOCH_S, 0o644
            with path.open("rb") as content:
                tar.addfile(entry, content)
