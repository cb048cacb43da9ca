# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the table of all settings into the collection's documentation, from the one place that knows them.

Usage: PYTHONPATH=collections python tools/settings_table.py    a test holds the file against what this would write
"""

import sys
from pathlib import Path

from ansible_collections.hospital.patching.plugins.plugin_utils.settings import SETTINGS, Setting

TABLE = Path(__file__).resolve().parent.parent / "collections/ansible_collections/hospital/patching/docs/settings.md"
HEAD = """# Settings

Host or group variables. A name or a value that is not understood is refused. `explain.yml -l HOST` prints what holds
for a host, and where it comes from. Written by `tools/settings_table.py`.

| setting | takes | default | what it is |
| --- | --- | --- | --- |
"""


def table() -> str:
    """Return the whole document."""
    return HEAD + "".join(_row(setting) for setting in SETTINGS)


def _row(setting: Setting) -> str:
    default = setting.derived or ("not set" if setting.default in (None, ()) else f"`{_plain(setting.default)}`")
    cells = (f"`{setting.name}`", setting.type, default, setting.meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace("'", "")


if __name__ == "__main__":
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table(), encoding="utf-8")
    sys.stdout.write(f"{TABLE}\n")
