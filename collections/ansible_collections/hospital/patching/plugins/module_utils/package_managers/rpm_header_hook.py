# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the header of one installed package to a file; runs on the system's Python, which has rpm's bindings.

Arguments: the file, the database's folder (empty for rpm's own), the package's name, version and architecture.
It ends with 3 where this Python has no bindings. Imports nothing of this project, because it travels alone.
"""

import importlib
import sys
from typing import Any

WITHOUT_BINDINGS = 3
#: Digests and signatures of the database's own headers are not asked for: what is packed is compared with its files.
UNCHECKED = -1


def main() -> int:
    """Write the header, or nothing where the database does not have it; return the exit status."""
    try:
        rpm: Any = importlib.import_module("rpm")
    except ImportError:
        return WITHOUT_BINDINGS
    path, database, name, evr, arch = sys.argv[1:6]
    if database:
        rpm.addMacro("_dbpath", database)
    transactions = rpm.TransactionSet()
    transactions.setVSFlags(UNCHECKED)
    for header in transactions.dbMatch("name", name):
        if (text(header["evr"]), text(header["arch"])) == (evr, arch):
            with open(path, "wb") as handle:
                handle.write(header.unload())
            return 0
    return 0


def text(value: Any) -> str:
    """Return a tag's text, which older bindings give as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    raise SystemExit(main())
