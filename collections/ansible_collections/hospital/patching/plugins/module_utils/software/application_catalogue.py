# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that people unpack beside the package manager, and how each states its version.

An entry is ``{name, globs, version_file, version_pattern, product, advice}``:

* ``globs``: shell patterns of the application's directory or file, absolute.
* ``version_file``: the file that states the version, relative to what the globs
  found (to its directory, if that is a file); null: the path itself states it.
* ``version_pattern``: a regular expression whose first group is the version; null: it cannot be read from a file.
* ``product``: its id at endoflife.date, or null.
* ``advice``: what to do with it whatever its version (``remove``), or null.

A site adds entries of the same shape; one with a name of the table replaces it.
"""

import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

Entry = NamedTuple(
    "Entry",
    [
        ("name", str),
        ("globs", Tuple[str, ...]),
        ("version_file", Optional[str]),
        ("version_pattern", Optional[str]),
        ("product", Optional[str]),
        ("advice", Optional[str]),
    ],
)


def _places(*names: str) -> Tuple[str, ...]:
    """Return where archives with these names are usually unpacked."""
    return tuple(
        "{}/{}".format(directory, name) for name in names for directory in ("/opt", "/usr/local", "/usr/local/lib")
    )


_INI = r"(?m)^Version=([0-9][0-9A-Za-z.]*)"
#: Google, Microsoft and Chromium state their version only inside the program; as packages, the package states it.
CATALOGUE: Tuple[Entry, ...] = (
    Entry("Mozilla Firefox", _places("firefox*", "mozilla/firefox*"), "application.ini", _INI, "firefox", None),
    Entry("Mozilla Thunderbird", _places("thunderbird*"), "application.ini", _INI, None, None),
    Entry("Google Chrome", ("/opt/google/chrome*", *_places("chrome-linux*")), None, None, "chrome", None),
    Entry("Chromium", _places("chromium*"), None, None, None, None),
    Entry("Microsoft Edge", ("/opt/microsoft/msedge*",), None, None, None, None),
    Entry(
        "Adobe Reader",
        (*_places("Adobe/Reader*", "Adobe/Acrobat*"),),
        "Reader/AcroVersion",
        r"^\s*([0-9][0-9.]*)",
        None,
        "remove",
    ),
    Entry("Foxit Reader", _places("foxitsoftware/foxitreader*", "foxitreader*"), None, None, None, None),
    Entry(
        "Adobe Flash Player",
        (
            *_places("flash*/libflashplayer.so", "*/libflashplayer.so", "*/PepperFlash/libpepflashplayer.so"),
            "/opt/google/chrome*/PepperFlash/libpepflashplayer.so",
            "/usr/lib/*/libflashplayer.so",
            "/usr/lib/mozilla/plugins/libflashplayer.so",
            "/usr/lib64/mozilla/plugins/libflashplayer.so",
            "/usr/lib64/flash-plugin/libflashplayer.so",
        ),
        "manifest.json",
        r'"version"\s*:\s*"([0-9.]+)"',
        None,
        "remove",
    ),
    Entry(
        "LibreOffice",
        _places("libreoffice*"),
        "program/bootstraprc",
        r"(?m)^ProductKey=LibreOffice ([0-9.]+)",
        "libreoffice",
        None,
    ),
    Entry(
        "OpenOffice",
        _places("openoffice*"),
        "program/bootstraprc",
        r"(?m)^ProductKey=OpenOffice ([0-9.]+)",
        None,
        None,
    ),
    Entry(
        "Apache Tomcat",
        _places("tomcat*", "apache-tomcat*"),
        "RELEASE-NOTES",
        r"Apache Tomcat Version ([0-9][0-9.]*)",
        "tomcat",
        None,
    ),
    Entry("Go", _places("go"), "VERSION", r"^go([0-9][0-9.]*)", "go", None),
    Entry("Node.js", _places("node-v*"), None, r"/node-v([0-9][0-9.]*)", "nodejs", None),
)


def entries(more: Sequence[Dict[str, Any]] = ()) -> List[Entry]:
    """Return the catalogue with the site's own entries.

    Raises:
        PatchingError: an entry has not the catalogue's shape.
    """
    by_name = {entry.name: entry for entry in CATALOGUE}
    for row in more:
        entry = _entry(row)
        by_name[entry.name] = entry
    return list(by_name.values())


def _entry(row: Dict[str, Any]) -> Entry:
    wrong = ""
    if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not row["name"]:
        wrong = "no name"
    elif set(row) - set(Entry._fields):
        wrong = "unknown keys {}".format(", ".join(sorted(map(str, set(row) - set(Entry._fields)))))
    elif not isinstance(row.get("globs"), (list, tuple)) or not all(
        isinstance(pattern, str) and pattern.startswith("/") for pattern in row["globs"]
    ):
        wrong = "globs are no list of absolute patterns"
    elif any(not isinstance(row.get(key), (str, type(None))) for key in Entry._fields[2:]):
        wrong = "a value is neither text nor null"
    else:
        try:
            if row.get("version_pattern") and re.compile(row["version_pattern"]).groups < 1:
                wrong = "version_pattern has no group"
        except re.error as error:
            wrong = "version_pattern: {}".format(error)
    if wrong:
        raise PatchingError(
            "catalogue entry {!r}".format(row),
            wrong,
            "name, globs, version_file, version_pattern, product, advice",
            "correct the entry",
        )
    return Entry(row["name"], tuple(row["globs"]), *(row.get(key) or None for key in Entry._fields[2:]))
