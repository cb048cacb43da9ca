# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs an installed rpm again from rpm's database and its files, where no repository has its version any more.

The header is the vendor's, except what describes the payload's own bytes: names, scripts, triggers, dependencies
and every file's digest stay as they were. The vendor's signature is gone, and what guards the file is the SHA-256
that the stage records.

rpm checks what it unpacks against the vendor's digests, and refuses a payload in which a file is missing. A file
whose vendor's text is not known any more is therefore left out of the payload and marked as one of which the package
brings the name only (``%ghost``), and rpm leaves the host's own alone: a configuration file that was changed here,
one that the vendor says may change (``%verify(not filedigest)``), a document that this host does not install. rpm
goes on knowing the vendor's digest, so that a later update takes the host's own text for what it is; only
``rpm --verify`` does not list the file as changed until then. Where an update moved the host's text away
(``.rpmsave``), whoever rolls back moves it back.
"""

import hashlib
import os
import shutil
import stat
import struct
import tempfile
import zlib
from typing import IO, Any, Dict, List, NamedTuple, Optional, Set

from ansible_collections.hospital.patching.plugins.module_utils import rpm_database, rpm_version
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
    package_repack,
    rpm_header,
    rpm_header_hook,
)
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import source_of
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_header import Entry
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.rpm_payload import Archive, Member
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

#: The Pythons that may have rpm's bindings: EL 8's own, and everyone else's.
PYTHONS = ("usr/libexec/platform-python", "usr/bin/python3")
#: Minimal systems leave these out when they install, or delete them afterwards.
MAY_BE_MISSING = (b"/usr/share/doc/", b"/usr/share/man/", b"/usr/share/locale/", b"/usr/share/info/")

# rpm's include/rpm/rpmtag.h.
NAME, VERSION, RELEASE, EPOCH, ARCH = 1000, 1001, 1002, 1003, 1022
FILE_SIZES, LONG_FILE_SIZES, FILE_MODES, FILE_RDEVS, FILE_MTIMES = 1028, 5008, 1030, 1033, 1034
FILE_DIGESTS, FILE_LINKS, FILE_FLAGS, FILE_STATES, FILE_VERIFY, FILE_INODES = 1035, 1036, 1037, 1029, 1045, 1096
DIRECTORY_NUMBERS, BASE_NAMES, DIRECTORIES, OLD_NAMES, FILE_DIGEST_KIND = 1116, 1117, 1118, 1027, 5011
PAYLOAD_FORMAT, PAYLOAD_COMPRESSOR, PAYLOAD_FLAGS = 1124, 1125, 1126
PAYLOAD_DIGEST, PAYLOAD_DIGEST_KIND, PAYLOAD_DIGEST_PLAIN = 5092, 5093, 5097
#: Of a format after version 4, whose payload is described by more than is known here.
RPM_FORMAT = 5114
SIG_SHA256, SIG_LONG_SIZE, SIG_LONG_PLAIN_SIZE, SIG_SIZE, SIG_PLAIN_SIZE = 273, 270, 271, 1000, 1007
#: Flags of files (rpmfileAttrs), the verification of digests (rpmVerifyAttrs), and the state of an installed file.
CONFIG, GHOST = 1 << 0, 1 << 6
VERIFY_DIGEST = 1 << 0
NORMAL = 0
#: PGP's numbers of digests (RFC 4880, 9.4), which rpm uses.
DIGESTS = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}
SHA256 = 8
_LEAD = ">4sBBhh66shh16x"
_CHUNK = 1024 * 1024
_MAX_32 = 0xFFFFFFFF

#: One file of the header. ``digest`` is empty where rpm has none.
File = NamedTuple(
    "File",
    [
        ("number", int),
        ("path", bytes),
        ("size", int),
        ("mode", int),
        ("rdev", int),
        ("mtime", int),
        ("digest", str),
        ("link", bytes),
        ("flags", int),
        ("verify", int),
        ("state", int),
        ("inode", int),
    ],
)


class Repacker:
    """Packs packages that rpm has installed under ``root``."""

    def __init__(self, runner: Runner, root: str = "/") -> None:
        self.runner = runner
        self.root = root

    def repack(self, name: str, arch: str, evr: str, target_path: str) -> None:
        """Write the package as an rpm file to ``target_path``; it appears whole or not at all.

        Args:
            evr: ``[epoch:]version-release``, without an epoch of 0.

        Raises:
            PatchingError: its installed files are not what the package brought, so
                that packing them would not restore it, or they cannot be read or written.
        """
        what = "{} {}.{}".format(name, evr, arch)
        try:
            work = tempfile.mkdtemp(prefix=package_repack.WORK, dir=os.path.dirname(target_path))
            try:
                header = self._header(work, name, arch, evr)
                _Package(what, self.root, header).write(work, os.path.join(work, "package.rpm"))
                os.rename(os.path.join(work, "package.rpm"), target_path)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        except (OSError, ValueError, struct.error, KeyError, IndexError) as error:  # also a full disk, MD5 under FIPS
            raise package_repack.cannot(what, str(error))

    def _header(self, work: str, name: str, arch: str, evr: str) -> bytes:
        """Return the header from rpm's bindings, or where there are none from ``rpmdb --exportdb``.

        Raises:
            ValueError: neither has it.
        """
        database = "" if self.root == "/" else rpm_database.directory(self.root) or ""
        script, found = os.path.join(work, "header.py"), os.path.join(work, "header")
        with open(script, "w", encoding="utf-8") as handle:
            handle.write(source_of(rpm_header_hook))
        for python in PYTHONS:
            path = os.path.join(self.root, python)
            if os.path.exists(path):
                args = [path, "-I", script, found, database, name, evr, arch]
                result = self.runner.run(args, timeout_s=120, check=False)
                if result.rc == 0 and os.path.exists(found):
                    with open(found, "rb") as binary:
                        return binary.read()
        header = self._exported(database, name.encode(), arch.encode(), evr)
        if header is None:
            raise ValueError("rpm's database does not have it")
        return header

    def _exported(self, database: str, name: bytes, arch: bytes, evr: str) -> Optional[bytes]:
        """Return the header from all of the database's, which are read to the end: rpm must not be killed."""
        header = None
        options = ["--dbpath", database] if database else []
        try:
            with self.runner.stream(["rpmdb"] + options + ["--exportdb"], timeout_s=600) as output:
                while True:
                    start = output.read(16)
                    if not start:
                        break
                    if not start.startswith(rpm_header.MAGIC):
                        raise ValueError("rpmdb --exportdb writes no headers")
                    blob = start + output.read(rpm_header.size_of(start[8:]))
                    if header is None and name + b"\0" in blob and _is(blob, name, arch, evr):
                        header = blob
        except PatchingError as error:
            raise ValueError(
                "its header cannot be read: no Python of the system has rpm's bindings (python3-rpm), and "
                "rpmdb --exportdb fails: {}".format(error.seen)
            )
        return header


class _Package:
    """One package on its way into a file."""

    def __init__(self, what: str, root: str, header: bytes) -> None:
        self.what = what
        self.root = os.fsencode(root.rstrip("/"))
        self.brought, added = rpm_header.parse(header)
        self.tags = rpm_header.by_tag(self.brought)
        if RPM_FORMAT in self.tags:
            raise ValueError("its format is newer than rpm's version 4")
        states = rpm_header.by_tag(added).get(FILE_STATES)
        self.files = self._files(rpm_header.numbers_of(states) if states else [])
        kind = rpm_header.numbers_of(self.tags[FILE_DIGEST_KIND])[0] if FILE_DIGEST_KIND in self.tags else 1
        if kind not in DIGESTS:
            raise ValueError("digests of the unknown kind {}".format(kind))
        self.digest_name = DIGESTS[kind]
        self.left_out: Set[int] = set()

    def _files(self, states: List[int]) -> List[File]:
        if OLD_NAMES in self.tags and BASE_NAMES not in self.tags:
            raise ValueError("its list of files is in the form of rpm 3")
        if BASE_NAMES not in self.tags:
            return []
        folders = rpm_header.texts_of(self.tags[DIRECTORIES])
        places = rpm_header.numbers_of(self.tags[DIRECTORY_NUMBERS])
        names = [folders[at] + base for at, base in zip(places, rpm_header.texts_of(self.tags[BASE_NAMES]))]
        count = len(names)

        def numbers(tag: int, default: int = 0) -> List[int]:
            return rpm_header.numbers_of(self.tags[tag]) if tag in self.tags else [default] * count

        def texts(tag: int) -> List[bytes]:
            return rpm_header.texts_of(self.tags[tag]) if tag in self.tags else [b""] * count

        columns = (
            *(range(count), names, numbers(LONG_FILE_SIZES if LONG_FILE_SIZES in self.tags else FILE_SIZES)),
            *(numbers(FILE_MODES), numbers(FILE_RDEVS), numbers(FILE_MTIMES)),
            *([digest.decode("ascii") for digest in texts(FILE_DIGESTS)], texts(FILE_LINKS), numbers(FILE_FLAGS)),
            *(numbers(FILE_VERIFY, -1), states or [NORMAL] * count, numbers(FILE_INODES)),
        )
        if any(len(column) != count for column in columns):
            raise ValueError("a damaged header (lists of files of different lengths)")
        return [File(*row) for row in zip(*columns)]

    def write(self, work: str, path: str) -> None:
        payload = os.path.join(work, "payload")
        with open(payload, "wb") as handle:
            packed = _Compressed(handle)
            archive = Archive(packed, by_number=LONG_FILE_SIZES in self.tags)
            for member in self._members():
                archive.add(member)
            archive.close()
            packed.close()
        header = self._new_header(packed.digest.hexdigest(), packed.plain.hexdigest())
        size = len(header) + os.path.getsize(payload)
        signature = _signature(header, size, archive.size)
        with open(path, "wb") as out, open(payload, "rb") as source:
            out.write(self._lead() + signature + b"\0" * (-len(signature) % 8) + header)
            shutil.copyfileobj(source, out, _CHUNK)
            out.flush()
            os.fsync(out.fileno())

    def _members(self) -> List[Member]:
        """Return what the payload holds; hard links carry their bytes with the last of them, as rpm reads them."""
        groups: Dict[int, List[File]] = {}
        for file in self.files:
            if stat.S_ISREG(file.mode) and not file.flags & GHOST:
                groups.setdefault(file.inode or -1 - file.number, []).append(file)
        sources: Dict[int, bytes] = {}
        for group in groups.values():
            source = self._source(group)
            for file in group:
                if source is None:
                    self.left_out.add(file.number)
                elif file is group[-1]:
                    sources[file.number] = source
        members = []
        for file in self.files:
            if not (file.flags & GHOST or self._packed(file)):
                self.left_out.add(file.number)
            if file.flags & GHOST or file.number in self.left_out:
                continue
            links = len(groups.get(file.inode or -1 - file.number, [file])) if stat.S_ISREG(file.mode) else 1
            text = file.link if stat.S_ISLNK(file.mode) else b""
            members.append(
                Member(
                    *(file.number, file.path, file.inode or file.number + 1, file.mode, links, file.mtime, file.rdev),
                    *(file.size, sources.get(file.number), text),
                )
            )
        return members

    def _source(self, group: List[File]) -> Optional[bytes]:
        """Return where the bytes of a file (or of all its hard links) are as the vendor brought them, or None.

        Raises:
            PatchingError: they are missing or changed, and may not be left out.
        """
        for file in group:
            source = self.root + file.path
            if os.path.isfile(source) and not os.path.islink(source) and self._is_vendors(file, source):
                return source
        for file in group:
            if not _may_be_left_out(file):
                seen = "is not as the package brought it" if os.path.lexists(self.root + file.path) else "is missing"
                if seen != "is missing" or not file.path.startswith(MAY_BE_MISSING):
                    raise self._refused(file, seen)
        return None

    def _is_vendors(self, file: File, source: bytes) -> bool:
        if os.path.getsize(source) != file.size:
            return False
        if not file.digest:
            return True
        return _digest_of(self.digest_name, source) == file.digest.lower()

    def _packed(self, file: File) -> bool:
        """Return whether what is no regular file is packed: as the header describes it, if the host has the same.

        Raises:
            PatchingError: the host has something else in its place.
        """
        found = self.root + file.path
        if stat.S_ISREG(file.mode) or stat.S_ISDIR(file.mode):
            return True
        if not os.path.lexists(found):
            if _may_be_left_out(file) or file.path.startswith(MAY_BE_MISSING):
                return False
            raise self._refused(file, "is missing")
        same = stat.S_IFMT(os.lstat(found).st_mode) == stat.S_IFMT(file.mode)
        if same and stat.S_ISLNK(file.mode):
            same = os.readlink(found) == file.link
        if not same and not _may_be_left_out(file):
            raise self._refused(file, "is not as the package brought it")
        return same

    def _new_header(self, digest: str, plain: str) -> bytes:
        changed = [
            rpm_header.strings(PAYLOAD_FORMAT, [b"cpio"], rpm_header.STRING),
            rpm_header.strings(PAYLOAD_COMPRESSOR, [b"gzip"], rpm_header.STRING),
            rpm_header.strings(PAYLOAD_FLAGS, [b"1"], rpm_header.STRING),
            rpm_header.strings(PAYLOAD_DIGEST, [digest.encode("ascii")]),
            rpm_header.integers(PAYLOAD_DIGEST_KIND, [SHA256]),
            rpm_header.strings(PAYLOAD_DIGEST_PLAIN, [plain.encode("ascii")]),
        ]
        if self.left_out:
            flags = [file.flags | (GHOST if file.number in self.left_out else 0) for file in self.files]
            changed.append(rpm_header.integers(FILE_FLAGS, flags))
        replaced = {entry.tag for entry in changed}
        kept = [entry for entry in self.brought if entry.tag not in replaced]
        # A stable sort: what came first of two equal tags still does.
        return rpm_header.build(sorted(kept + changed, key=_tag), rpm_header.IMMUTABLE)

    def _lead(self) -> bytes:
        """Return the 96 bytes that a file begins with; rpm reads no more of them than that they are there."""
        parts = [rpm_header.texts_of(self.tags[tag])[0] for tag in (NAME, VERSION, RELEASE)]
        return struct.pack(_LEAD, b"\xed\xab\xee\xdb", 3, 0, 0, 1, b"-".join(parts)[:65], 1, 5)

    def _refused(self, file: File, seen: str) -> PatchingError:
        return package_repack.cannot(self.what, "{} {}".format(file.path.decode("utf-8", "replace"), seen))


class _Compressed:
    """gzip without a name or time, with the SHA-256 before and after."""

    def __init__(self, out: IO[bytes]) -> None:
        self.out = out
        self.digest, self.plain = hashlib.sha256(), hashlib.sha256()
        # Quick rather than small; 16 and more bits of window mean gzip's own header.
        self.packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def write(self, data: bytes) -> Any:
        self.plain.update(data)
        self._put(self.packer.compress(data))

    def close(self) -> None:
        self._put(self.packer.flush())

    def _put(self, data: bytes) -> None:
        self.digest.update(data)
        self.out.write(data)


def _may_be_left_out(file: File) -> bool:
    """Return whether the host may have another file, or none, in this place."""
    return bool(file.state != NORMAL or file.flags & CONFIG or not file.verify & VERIFY_DIGEST)


def _signature(header: bytes, size: int, plain_size: int) -> bytes:
    if max(size, plain_size) > _MAX_32:
        sizes = [
            rpm_header.integers(SIG_LONG_SIZE, [size], rpm_header.INT64),
            rpm_header.integers(SIG_LONG_PLAIN_SIZE, [plain_size], rpm_header.INT64),
        ]
    else:
        sizes = [rpm_header.integers(SIG_SIZE, [size]), rpm_header.integers(SIG_PLAIN_SIZE, [plain_size])]
    digest = hashlib.sha256(header).hexdigest().encode("ascii")
    entries = sizes + [rpm_header.strings(SIG_SHA256, [digest], rpm_header.STRING)]
    return rpm_header.build(sorted(entries, key=_tag), rpm_header.SIGNATURES)


def _tag(entry: Entry) -> int:
    return entry.tag


def _is(blob: bytes, name: bytes, arch: bytes, evr: str) -> bool:
    """Return whether a header is the package's; a damaged one is nobody's, and another package's matter."""
    try:
        tags = rpm_header.by_tag(rpm_header.parse(blob)[0])
        if tags[NAME].data != name + b"\0" or ARCH not in tags or tags[ARCH].data != arch + b"\0":
            return False
        epoch = rpm_header.numbers_of(tags[EPOCH])[0] if EPOCH in tags else 0
        version, release = (rpm_header.texts_of(tags[tag])[0].decode() for tag in (VERSION, RELEASE))
        return rpm_version.joined(epoch, version, release) == evr
    except (ValueError, KeyError, IndexError):
        return False


def _digest_of(kind: str, path: bytes) -> str:
    """Return the digest of a file in rpm's kind; MD5 only finds changes, it guards nothing."""
    try:
        total = hashlib.new(kind, usedforsecurity=False)
    except TypeError:  # the keyword came with Python 3.9
        total = hashlib.new(kind)
    with open(path, "rb") as handle:
        for chunk in iter(lambda: handle.read(_CHUNK), b""):
            total.update(chunk)
    return total.hexdigest()
