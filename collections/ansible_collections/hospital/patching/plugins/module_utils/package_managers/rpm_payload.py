# SPDX-License-Identifier: GPL-3.0-or-later
"""The payload of an rpm file: a cpio archive in the format "newc", or in rpm's own that has only numbers of files.

rpm's own is for packages with files of 4 GiB and more, whose sizes the header alone can hold (rpm's build/pack.c,
lib/cpio.c; rpmlib feature LargeFiles).
"""

from typing import Any, NamedTuple, Optional

#: One member. ``number`` is the file's place in the header; ``source`` is where its bytes are, if it has any.
Member = NamedTuple(
    "Member",
    [
        ("number", int),
        ("path", bytes),
        ("inode", int),
        ("mode", int),
        ("links", int),
        ("mtime", int),
        ("rdev", int),
        ("size", int),
        ("source", Optional[bytes]),
        ("text", bytes),
    ],
)
_CHUNK = 1024 * 1024


class Archive:
    """Writes members to ``out``, which has ``write``; counts the bytes."""

    def __init__(self, out: Any, by_number: bool) -> None:
        self.out = out
        self.by_number = by_number
        self.size = 0

    def add(self, member: Member) -> None:
        """Write one member with its bytes.

        Raises:
            OSError, ValueError: its source cannot be read, or has another size than is said.
        """
        if self.by_number:
            self._write("07070X{:08x}".format(member.number).encode("ascii"))
            self._pad()
        else:
            self._head(member, b"." + member.path)
        if member.source is not None:
            self._copy(member)
        self._write(member.text)
        self._pad()

    def close(self) -> None:
        """Write what ends an archive."""
        self._head(Member(0, b"", 0, 0, 1, 0, 0, 0, None, b""), b"TRAILER!!!")
        self._pad()

    def _head(self, member: Member, name: bytes) -> None:
        size = member.size if member.source is not None else len(member.text)
        device = (member.rdev >> 8 & 0xFF, member.rdev & 0xFF)
        fields = (member.inode, member.mode, 0, 0, member.links, member.mtime, size, 0, 0) + device
        numbers = fields + (len(name) + 1, 0)
        self._write(b"070701" + "".join("{:08x}".format(number & 0xFFFFFFFF) for number in numbers).encode("ascii"))
        self._write(name + b"\0")
        self._pad()

    def _copy(self, member: Member) -> None:
        left = member.size
        with open(member.source or b"", "rb") as source:
            while left:
                chunk = source.read(min(left, _CHUNK))
                if not chunk:
                    break
                self._write(chunk)
                left -= len(chunk)
            if left or source.read(1):
                raise ValueError("{} changes while it is packed".format(member.path.decode("utf-8", "replace")))

    def _write(self, data: bytes) -> None:
        self.out.write(data)
        self.size += len(data)

    def _pad(self) -> None:
        self._write(b"\0" * (-self.size % 4))
