# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import csv
import io

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import installed, inventory_csv
from ansible_collections.hospital.patching.plugins.plugin_utils.end_of_life import Finding
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import pending, update
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.software_documents import (
    EVERYTHING,
    package,
    software,
)

AS_OF = "2026-11-22T01:00:00Z"


def written(columns, rows):
    handle = io.StringIO()
    inventory_csv.Table(handle, columns).add(rows)
    return list(csv.DictReader(io.StringIO(handle.getvalue())))


def of_software(document, findings=()):
    has = installed.read(document)
    rows = inventory_csv.software_rows("ws1", "assessed", AS_OF, (document or {}).get("os"), has, findings)
    return written(inventory_csv.SOFTWARE_COLUMNS, rows)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49", "'+49"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'=1"),
        ("\r\n=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        (["=a", "b"], "'=a b"),
        ("a=b", "a=b"),
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (["CVE-1", "CVE-2"], "CVE-1 CVE-2"),
        ("caf\udce9\nx", "caf? x"),
    ],
)
def test_cells_are_no_formulas_and_one_line(value, cell):
    assert inventory_csv.cell(value) == cell


def test_one_row_an_installed_thing_with_its_end_of_life():
    items = installed.read(EVERYTHING).items
    end = Finding("openssl", "3.0", "3.0.17", "2026-09-07", -10, "past", "deb", "feed", items=items[:2])
    system = Finding("debian", "12", "12", "2026-06-10", -99, "past", "Debian", "feed")
    rows = of_software(EVERYTHING, [end, system])
    assert len(rows) == 1 + len(items)
    assert (rows[0]["kind"], rows[0]["name"], rows[0]["eol"]) == ("os", "debian", "2026-06-10")
    assert [row["name"] for row in rows if row["eol_state"]] == ["debian", "openssl", "libssl3"]
    nginx = next(row for row in rows if row["name"] == "nginx")
    assert (nginx["held"], nginx["origin"], nginx["installed_at"]) == (
        "yes",
        "Debian:12/oldstable",
        "2026-11-01T04:12:09Z",
    )


def test_a_host_of_which_nothing_is_known_has_rows_that_say_so():
    rows = of_software(None)
    assert [row["kind"] for row in rows] == ["os", *["unknown"] * 8]
    assert {row["host"] for row in rows} == {"ws1"}


def test_a_name_with_quotes_and_commas_survives():
    rows = of_software(software(packages=[package('a,"b"', "1,0")]))
    assert (rows[1]["name"], rows[1]["version"]) == ('a,"b"', "1,0")


def test_pending_updates_and_held_packages_each_have_a_row():
    document = pending(update(cves=["CVE-1", "CVE-2"]), update("new", None, "1"))
    document["held"] = [{"name": "curl", "arch": "amd64", "version": "1", "candidate": "2", "reason": "dpkg hold"}]
    rows = written(inventory_csv.PENDING_COLUMNS, inventory_csv.pending_rows("ws1", "assessed", AS_OF, document))
    assert [(row["name"], row["kind"], row["from"], row["to"]) for row in rows] == [
        ("openssl", "upgrade", "3.0.15-1", "3.0.17-1"),
        ("new", "new_install", "", "1"),
        ("curl", "held", "1", "2"),
    ]
    assert (rows[0]["cves"], rows[0]["security"], rows[2]["reason"]) == ("CVE-1 CVE-2", "yes", "dpkg hold")


def test_unknown_updates_are_not_none():
    (row,) = inventory_csv.pending_rows("ws1", "unreachable", None, None)
    assert row["kind"] == "unknown"
