# SPDX-License-Identifier: GPL-3.0-or-later
"""The hospital's own signed apt repository, which mirror1 serves from the lab's folder."""

import gzip
import hashlib
import itertools
import shutil
import time
from collections.abc import Collection, Iterable
from email.utils import formatdate
from pathlib import Path

from hospital_lab import keys, machine
from hospital_lab.commands import run
from hospital_lab.images import digest
from hospital_lab.packages import EPOCH_S, NAME, VARIANTS, PortalVersion, build
from hospital_lab.places import Places

INITIAL = (PortalVersion("1.0.0"), PortalVersion("1.1.0"))


def publish(
    places: Places,
    source: Path,
    versions: Iterable[PortalVersion] = INITIAL,
    *,
    signed: bool = True,
    by_a_stranger: bool = False,
    expired: bool = False,
    wrong_checksums: Collection[str] = (),
    truncated: Collection[str] = (),
) -> None:
    """Replace what the repository offers by exactly these versions, at once.

    Args:
        source: the package's files.
        signed: False leaves the signatures out.
        by_a_stranger: True signs with a key that no host knows.
        expired: True says that the index was to be used until yesterday only.
        wrong_checksums: versions whose package does not have the announced content.
        truncated: versions of whose package the second half is missing.
    """
    number = next(n for n in itertools.count(1) if not (places.repository / f"state{n}").exists())
    state = places.repository / f"state{number}"
    pool = state / "pool/main" / NAME
    pool.mkdir(parents=True)
    packages = [build(source, pool, version) for version in versions]
    index = "".join(_stanza(state, package) for package in packages)
    for package in packages:
        version, content = package.name.split("_")[1], bytearray(package.read_bytes())
        if version in wrong_checksums:
            content[-1] ^= 0xFF  # same size, other content
            package.write_bytes(content)
        if version in truncated:
            package.write_bytes(content[: len(content) // 2])
    _write_index(state / "dists/hospital", index, expired)
    if by_a_stranger:
        keys.sign_as_a_stranger(state / "dists/hospital/Release")
    elif signed:
        keys.sign(places, state / "dists/hospital/Release")
    _switch(places.repository, state)


def publish_initially(places: Places, source: Path, *, anew: bool = False) -> bool:
    """Publish what a new lab offers unless something made from the same files is offered; whether it was done."""
    made_from = digest(source, repr(EPOCH_S), repr(VARIANTS))
    mark = places.repository / "made-from"
    if not anew and mark.exists() and mark.read_text() == made_from:
        return False
    publish(places, source)
    mark.write_text(made_from)
    return True


def _stanza(root: Path, package: Path) -> str:
    control = run(["dpkg-deb", "--field", package]).stdout.rstrip("\n")
    content = package.read_bytes()
    return (
        f"{control}\nFilename: {package.relative_to(root)}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n\n"
    )


def _write_index(suite: Path, index: str, expired: bool) -> None:
    architecture = machine.architecture()
    folder = suite / f"main/binary-{architecture}"
    by_hash = folder / "by-hash/SHA256"
    by_hash.mkdir(parents=True)
    plain = index.encode()
    lines = []
    for name, content in (("Packages", plain), ("Packages.gz", gzip.compress(plain, mtime=0))):
        digest = hashlib.sha256(content).hexdigest()
        (folder / name).write_bytes(content)
        (by_hash / digest).write_bytes(content)
        lines.append(f" {digest} {len(content)} main/binary-{architecture}/{name}\n")
    until = f"Valid-Until: {formatdate(time.time() - 86400, usegmt=True)}\n" if expired else ""
    (suite / "Release").write_text(
        "Origin: Demonstration hospital\nLabel: Hospital\nSuite: hospital\nCodename: hospital\n"
        f"Date: {formatdate(usegmt=True)}\n{until}Architectures: {architecture}\nComponents: main\n"
        "Acquire-By-Hash: yes\n"
        f"Description: Packages of the demonstration hospital\nSHA256:\n{''.join(lines)}"
    )


def _switch(repository: Path, state: Path) -> None:
    """Serve the new state from one moment to the next, then drop the older ones."""
    link = repository / "next"
    link.unlink(missing_ok=True)
    link.symlink_to(state.name)
    link.replace(repository / "current")
    for other in repository.glob("state*"):
        if other != state:
            shutil.rmtree(other)
