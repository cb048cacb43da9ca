# SPDX-License-Identifier: GPL-3.0-or-later
"""Filling a carried folder: what the connected host is told to be here, and whether anything was changed."""

from __future__ import annotations

import gzip
import json
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

from ansible_collections.hospital.patching.plugins.action import carried_packages
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.test_carried_folder import (
    FILES,
    PLATFORM,
    REQUEST,
    SUM,
    CarriedFolder,
    archive,
    content,
)

ALL = ("viewer 1", "viewer 2", "other 2")


def fill(folder: CarriedFolder, tmp_path: Path) -> tuple[dict[str, object], list[str]]:
    """Return the result, and the names of what was sent."""
    plugin = carried_packages.ActionModule.__new__(carried_packages.ActionModule)
    plugin._task, plugin._connection = mock.Mock(check_mode=False), mock.Mock()
    plugin._transfer_file = mock.Mock(return_value="given")
    sent: list[str] = []

    def fetch(_there: str, here: str) -> None:
        with gzip.open(tmp_path / "requests.json.gz", "rt", encoding="utf-8") as handle:
            have = json.load(handle)["have"]
        sent.extend(sorted(SUM[name] for name in FILES if SUM[name] not in have))
        archive(Path(here), **{SUM[name]: data for name, data in FILES.items() if SUM[name] in sent})

    plugin._connection.fetch_file = fetch
    with (
        mock.patch.object(carried_packages, "both_ends", return_value=nullcontext((tmp_path, "/there"))),
        mock.patch.object(carried_packages.HostStep, "_execute", return_value=content(*ALL)),
    ):
        return plugin._execute("carried_packages", {"folder": str(folder.path)}, {}), sent


def test_what_is_damaged_is_fetched_again_and_told_as_a_change(tmp_path: Path) -> None:
    folder = CarriedFolder(tmp_path / "carried")
    folder.save_request("portal1", {**REQUEST, "platform": PLATFORM})
    assert fill(folder, tmp_path)[0]["changed"] is True
    result, sent = fill(folder, tmp_path)
    assert (result["changed"], sent) == (False, [])
    (folder.path / "files" / SUM["viewer 2"]).write_bytes(b"neu")
    result, sent = fill(folder, tmp_path)
    assert (result["changed"], sent) == (True, [SUM["viewer 2"]])
    assert folder.have() == sorted(SUM.values())
