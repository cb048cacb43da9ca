# SPDX-License-Identifier: GPL-3.0-or-later
"""How apt fetches at an offline site: from the folder this file lies in, instead of over a network.

apt starts it in the place of its own ``http`` and ``https`` methods (its setting
``Dir::Bin::Methods::http``) and speaks the protocol of apt's "method interface"
document. Repositories keep their addresses, so the host's own sources, keys and
pins hold as ever, and apt checks signature and sums of everything as ever.

Beside this file lie ``index.json`` and ``files/``, where each file is named by
its SHA-256. The host gets this text as a file of its own: standard library only,
nothing of this collection.
"""

import hashlib
import json
import os
import re
import shutil
import sys
import urllib.parse
from typing import Iterable, List, Optional, TextIO, Tuple

_LOGIN = re.compile(r"//[^/]*@")
_DIGITS = re.compile(r"[0-9a-f]{64}\Z")


def address(uri: str) -> str:
    """Return an address without login and without the quoting that apt's releases do differently."""
    return urllib.parse.unquote(_LOGIN.sub("//", uri))


class Method:
    """Answers apt's requests from ``folder``."""

    def __init__(self, folder: str, output: TextIO) -> None:
        self.files = os.path.join(folder, "files")
        self.output = output
        with open(os.path.join(folder, "index.json"), encoding="utf-8") as handle:
            index = json.load(handle)
        self.releases = {address(uri): sha256 for uri, sha256 in index["releases"].items()}
        self.made = index["made"]

    def serve(self, lines: Iterable[str]) -> None:
        """Answer until apt closes its end."""
        self._say("100 Capabilities", [("Version", "1.0"), ("Single-Instance", "true")])
        block: List[str] = []
        for line in lines:
            if line != "\n":
                block.append(line.rstrip("\n"))
                continue
            if block and block[0].startswith("600"):
                fields = dict(field.partition(": ")[::2] for field in block[1:])
                self._acquire(fields["URI"], fields["Filename"], fields.get("Expected-SHA256"))
            block = []

    def _acquire(self, uri: str, target: str, expected: Optional[str]) -> None:
        # Only what a signature covers has an expected sum; the signed file itself is known by its address.
        sha256 = expected or self.releases.get(address(uri), "")
        path = os.path.join(self.files, sha256)
        if not (_DIGITS.match(sha256) and os.path.isfile(path)):
            message = "not in the carried folder of {}".format(self.made)
            # apt then asks for the next form of the same file (Release for InRelease, Packages for Packages.xz).
            fields = [("URI", uri), ("Message", message), ("FailReason", "HttpError404")]
            self._say("400 URI Failure", fields)
            return
        size = str(os.path.getsize(path))
        self._say("200 URI Start", [("URI", uri), ("Size", size)])
        self._copy(path, target)
        sums = [(name + "-Hash", digest) for name, digest in self._sums(target)]
        self._say("201 URI Done", [("URI", uri), ("Filename", target), ("Size", size)] + sums)

    @staticmethod
    def _copy(path: str, target: str) -> None:
        """Give apt the file under its own name, without a second copy of its bytes where the disk allows."""
        if os.path.lexists(target):
            os.unlink(target)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)

    @staticmethod
    def _sums(path: str) -> List[Tuple[str, str]]:
        sums = [("SHA256", hashlib.sha256()), ("SHA512", hashlib.sha512())]
        with open(path, "rb") as handle:
            for chunk in iter(lambda: handle.read(1 << 20), b""):
                for _name, total in sums:
                    total.update(chunk)
        return [(name, total.hexdigest()) for name, total in sums]

    def _say(self, head: str, fields: List[Tuple[str, str]]) -> None:
        self.output.write(head + "\n" + "".join("{}: {}\n".format(*field) for field in fields) + "\n")
        self.output.flush()


def main() -> int:
    """Serve apt on standard input and output; apt ends its methods with an interrupt."""
    try:
        Method(os.path.dirname(os.path.realpath(__file__)), sys.stdout).serve(sys.stdin)
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
