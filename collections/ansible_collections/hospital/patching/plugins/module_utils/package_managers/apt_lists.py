# SPDX-License-Identifier: GPL-3.0-or-later
"""Which repository offers an installed version, from the lists that apt keeps on the host."""

import bz2
import contextlib
import gzip
import lzma
import os
import re
import zlib
from typing import IO, Any, Dict, Iterator, List, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils import deb822
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_origins

#: Name, architecture and version of a package.
Key = Tuple[str, str, str]

_LIST = re.compile(r"_Packages(\.gz|\.xz|\.lzma|\.bz2|\.lz4|\.zst)?\Z")
_RELEASE = re.compile(r"(?:\A|(?<=_))(?:In)?Release\Z")
_OPENERS = {None: open, ".gz": gzip.open, ".xz": lzma.open, ".lzma": lzma.open, ".bz2": bz2.open}
_PACKAGE = re.compile(rb"\nPackage: ([^\n]+)")
_OTHERS = re.compile(rb"\n(Version|Architecture): ([^\n]+)")
#: Small enough that one buffer serves again and again: a list of 50 MB read at once takes three times as long.
_CHUNK_BYTES = 1 << 17
#: More than this without an empty line is no list of packages.
_PARAGRAPH_BYTES = 16 << 20
#: Debian's largest list has 50 MB; what unpacks to more than this was made to harm.
_LIST_BYTES = 1 << 30
#: The standard library has no lz4 and no zstd. ``apt-helper cat-file`` is how apt lets other programs read its
#: lists (apt's "acquire-additional-files" manual). awk leaves the paragraphs of the packages for Python, a fiftieth
#: of the text; its memory is bounded, because a paragraph may have been made to harm. The names come by standard
#: input, which awk reads as descriptor 3: no variable of the environment may be longer than 128 KiB (execve(2)).
_CAT_FILE = r"""
exec 3<&0
{ /usr/lib/apt/apt-helper cat-file "$1" 3<&- </dev/null || printf '\n\nUnreadable: yes\n'; } | {
  ulimit -v 1048576
  LC_ALL=C exec awk '
    BEGIN {
      while ((status = (getline name < "/dev/fd/3")) > 0) wanted[name]
      if (status < 0) exit 2
      RS = ""; FS = "\n"; ORS = "\n\n"
    }
    /^Package: / { if (substr($0, 10, index($0, "\n") - 10) in wanted) print; next }
    { for (i = 1; i <= NF; i++) if ($i ~ /^Package: /) { if (substr($i, 10) in wanted) print; next } }
    /^Unreadable: yes/'
}
"""


def origins(host: Host, wanted: Set[Key]) -> Tuple[Dict[Key, str], List[str]]:
    """Return the origin of those ``wanted`` that a list offers, as ``apt_origins.text`` words it, and the problems.

    A version that no list offers any more has the origin of those that offer others
    of the package. Of several repositories that offer the same version a security
    archive is named first, as in ``pending_updates_info``.
    """
    directory = os.path.join(host.root, "var/lib/apt/lists")
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return {}, []
    names_wanted = {name.encode("utf-8", "replace") for name, _arch, _version in wanted}
    found: Dict[Key, List[Dict[str, str]]] = {}
    others: Dict[Tuple[str, str], List[Dict[str, str]]] = {}
    problems = []
    for name, origin in _lists(directory, names):
        try:
            for key in _offered(host, os.path.join(directory, name), names_wanted):
                if key in wanted:
                    found.setdefault(key, []).append(origin)
                others.setdefault(key[:2], []).append(origin)
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, PatchingError) as error:
            problems.append("{}: {}".format(name, error))
    for key in wanted:
        if key not in found and key[:2] in others:
            found[key] = others[key[:2]]
    return {key: apt_origins.text(apt_origins.preferred(offers)) or "" for key, offers in found.items()}, problems


def _lists(directory: str, names: List[str]) -> Iterator[Tuple[str, Dict[str, str]]]:
    """Yield each list of packages with the origin that its Release file states.

    apt names both after the repository's address: the list of
    ``mirror_dists_x_InRelease`` begins with ``mirror_dists_x_``.
    """
    releases = {_RELEASE.sub("", name): name for name in names if _RELEASE.search(name)}
    for name in names:
        if not _LIST.search(name):
            continue
        prefix = max((start for start in releases if name.startswith(start)), key=len, default=None)
        origin = {} if prefix is None else _head(os.path.join(directory, releases[prefix]))
        origin["site"] = name.split("_", 1)[0]
        yield name, origin


def _head(path: str) -> Dict[str, str]:
    """Return a Release file's origin in the words of ``apt_origins``; the fields stand before the checksums."""
    try:
        with open(path, "rb") as handle:
            text = handle.read(65536).decode("utf-8", "replace")
    except OSError:
        return {}
    start = text.find("\n\n") + 2 if text.startswith("-----BEGIN PGP SIGNED MESSAGE-----") else 0
    fields = next(deb822.paragraphs(text[start:]), {})
    names = (("Origin", "origin"), ("Label", "label"), ("Suite", "archive"), ("Codename", "codename"))
    return {word: fields[name] for name, word in names + (("Version", "version"),) if name in fields}


def _offered(host: Host, path: str, names: Set[bytes]) -> Iterator[Key]:
    """Yield name, architecture and version of every paragraph of a list that is about one of ``names``."""
    match = _LIST.search(path)
    ending = match.group(1) if match else None
    if ending not in _OPENERS:
        wanted = b"".join(name + b"\n" for name in sorted(names)).decode("utf-8", "replace")
        result = host.runner.run(["sh", "-c", _CAT_FILE, "sh", path], timeout_s=60, text_in=wanted, check=False)
        text = result.stdout
        if result.rc != 0 or "Unreadable: yes" in text[-200:]:
            raise ValueError("apt-helper cannot read it")
        yield from _scan(b"\n" + text.encode("utf-8"), names)
        return
    opener: Any = _OPENERS[ending]
    with contextlib.closing(opener(path, "rb")) as handle:
        for part in _parts(handle):
            yield from _scan(part, names)


def _parts(handle: IO[bytes]) -> Iterator[bytes]:
    """Yield the text in parts that begin with a line feed and end with a paragraph."""
    rest = b"\n"
    total = 0
    while True:
        chunk = handle.read(_CHUNK_BYTES)
        total += len(chunk)
        text = rest + chunk
        if not chunk:
            yield text
            return
        end = text.rfind(b"\n\n")
        if end > 0:
            yield text[: end + 1]
            text = text[end + 1 :]
        if len(text) > _PARAGRAPH_BYTES or total > _LIST_BYTES:
            raise ValueError("no list of packages: {} bytes, {} of them one paragraph".format(total, len(text)))
        rest = text


def _scan(text: bytes, names: Set[bytes]) -> Iterator[Key]:
    for match in _PACKAGE.finditer(text):
        if match.group(1) not in names:
            continue
        start = max(text.rfind(b"\n\n", 0, match.start() + 1), 0)
        end = text.find(b"\n\n", match.start() + 1)
        fields = dict(_OTHERS.findall(text[start : end if end >= 0 else None]))
        values = (match.group(1), fields.get(b"Architecture", b""), fields.get(b"Version", b""))
        name, arch, version = (value.decode("utf-8", "replace").strip() for value in values)
        yield name, arch, version
