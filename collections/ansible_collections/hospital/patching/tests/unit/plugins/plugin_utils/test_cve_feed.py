# SPDX-License-Identifier: GPL-3.0-or-later
"""The security tracker as a feed: read once, asked for Debian hosts only, and never in the way."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import cve_feed
from ansible_collections.hospital.patching.plugins.plugin_utils.cve_feed import CveFeed

FIXED = {"status": "resolved", "fixed_version": "3.0.17-1~deb12u2"}
DATA = {"openssl": {"CVE-2026-10001": {"releases": {"bookworm": FIXED}}}}


def pending(**facts: str) -> dict[str, Any]:
    update = {
        "name": "libssl3",
        "source": "openssl",
        "source_from": None,
        "source_to": None,
        "from": "3.0.15-1",
        "to": "3.0.17-1~deb12u2",
        "origin": "Debian-Security:12/oldstable-security",
        "cves": None,
    }
    return {"facts": {"id": "debian", "codename": "bookworm", **facts}, "updates": [update]}


@pytest.fixture
def tracker(tmp_path) -> str:
    path = tmp_path / "tracker.json"
    path.write_text(json.dumps(DATA))
    return str(path)


def test_cves_are_named_and_the_feed_is_read_once(tracker):
    feed = CveFeed()
    with mock.patch.object(cve_feed, "read_tracker", wraps=cve_feed.read_tracker) as read:
        found = [feed.named(pending(), tracker)["updates"][0]["cves"] for _number in range(3)]
    assert found == [["CVE-2026-10001"]] * 3
    assert read.call_count == 1
    assert feed.problems == []


@pytest.mark.parametrize("facts", [{"id": "ubuntu"}, {"codename": ""}, {"codename": "sid"}])
def test_others_than_its_releases_stay_unknown(tracker, facts):
    assert CveFeed().named(pending(**facts), tracker)["updates"][0]["cves"] is None


def test_without_a_feed_nothing_is_asked():
    assert CveFeed().named(pending(), None) == pending()


@pytest.mark.parametrize("content", [None, "no json", "[]"])
def test_a_feed_that_cannot_be_read_is_told_once_and_blocks_nothing(tmp_path, content):
    path: Path = tmp_path / "tracker.json"
    if content is not None:
        path.write_text(content)
    feed = CveFeed()
    assert [feed.named(pending(), str(path)) for _number in range(2)] == [pending()] * 2
    (problem,) = feed.problems
    assert str(path) in problem


def test_a_feed_without_end_is_given_up(tracker, monkeypatch):
    monkeypatch.setattr(cve_feed, "LARGEST", 10)
    feed = CveFeed()
    assert feed.named(pending(), tracker) == pending()
    assert "larger than 10 bytes" in feed.problems[0]


def test_a_server_that_speaks_no_http_blocks_nothing_and_its_credentials_are_not_told():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            connection, _address = listening.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(b"SSH-2.0-OpenSSH_9\r\n")

        threading.Thread(target=answer, daemon=True).start()
        feed = CveFeed()
        place = f"127.0.0.1:{listening.getsockname()[1]}/x.json"
        assert feed.named(pending(), f"http://ada:hunter2@{place}?token=S3CRET") == pending()
    (problem,) = feed.problems
    assert problem.startswith(f"patching_debian_tracker http://{place}: ")
    assert "BadStatusLine" in problem
    assert "hunter2" not in problem
    assert "S3CRET" not in problem


def test_a_slow_server_is_waited_for_no_longer_than_the_limit_and_once(monkeypatch):
    monkeypatch.setattr(cve_feed, "LIMIT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        feed, began = CveFeed(), time.monotonic()
        for _number in range(5):
            assert feed.named(pending(), f"http://127.0.0.1:{silent.getsockname()[1]}/x.json") == pending()
    assert time.monotonic() - began < 0.8
    assert "gave no answer within 0.2 s" in feed.problems[0]


@pytest.mark.parametrize("fixed", ["", "0", "a:b:c", "~", "\udce9", "1:" * 50, 5, None])
def test_an_odd_version_in_the_feed_raises_nothing(tmp_path, fixed):
    path = tmp_path / "tracker.json"
    data = {"openssl": {"CVE-2026-10001": {"releases": {"bookworm": {"status": "resolved", "fixed_version": fixed}}}}}
    path.write_text(json.dumps(data))
    assert isinstance(CveFeed().named(pending(), str(path))["updates"][0]["cves"], list)
