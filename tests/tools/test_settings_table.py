# SPDX-License-Identifier: GPL-3.0-or-later
"""The documented settings are those that the code knows."""

from tools.settings_table import TABLE, table


def test_the_table_is_up_to_date():
    assert TABLE.read_text(encoding="utf-8") == table(), "run: PYTHONPATH=collections python tools/settings_table.py"
