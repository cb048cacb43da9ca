# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from datetime import date
from pathlib import Path

import fsspec
import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import eol_feed
from ansible_collections.hospital.patching.plugins.plugin_utils.eol_feed import Cycle, Feed, Unavailable

PROJECT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())
REAL = PROJECT.parent / "shared/data/endoflife"

#: As https://endoflife.date/api/debian.json answers.
API = [
    {"cycle": "12", "codename": "Bookworm", "eol": "2026-06-10", "extendedSupport": "2028-06-30", "latest": "12.11"},
    {"cycle": "11", "codename": "Bullseye", "eol": "2024-08-14", "lts": "2024-08-14"},
    {"cycle": "rolling", "eol": False},
    {"cycle": "0.9", "eol": True},
]
#: As https://endoflife.date/api/v1/products/debian answers.
API_V1 = {
    "schema_version": "1.2.0",
    "result": {
        "name": "debian",
        "releases": [
            {"name": "12", "codename": "Bookworm", "eolFrom": "2026-06-10", "isEoes": False, "eoesFrom": "2028-06-30"},
            {"name": "11", "codename": "Bullseye", "isEol": True, "eolFrom": "2024-08-14", "eoesFrom": None},
            {"name": "rolling", "isEol": False, "eolFrom": None},
            {"name": "0.9", "isEol": True},
        ],
    },
}  # fmt: skip
#: As the project's release-data repository holds it.
RELEASE_DATA = {
    "releases": {
        "12": {"name": "12", "codename": "Bookworm", "eol": "2026-06-10", "eoes": "2028-06-30"},
        "11": {"name": "11", "codename": "Bullseye", "eol": "2024-08-14"},
        "rolling": {"name": "rolling", "eol": False},
        "0.9": {"name": "0.9", "eol": True},
    },
    "versions": {},
}


@pytest.mark.parametrize("document", [API, API_V1, RELEASE_DATA], ids=["api", "api v1", "release data"])
def test_the_three_formats_say_the_same(document):
    found = eol_feed.parse(document, "here")
    assert found["12"] == Cycle("12", date(2026, 6, 10), date(2028, 6, 30), "Bookworm")
    assert found["11"] == Cycle("11", date(2024, 8, 14), None, "Bullseye")
    assert (found["rolling"].eol, found["0.9"].eol) == (False, True)


@pytest.mark.parametrize("document", [None, 5, "text", [], {}, {"releases": 5}, [{"eol": True}], {"result": {}}, [[]]])
def test_what_has_no_cycles_is_unavailable(document):
    with pytest.raises(Unavailable):
        eol_feed.parse(document, "here")


def test_a_date_that_is_none_is_unknown():
    assert eol_feed.parse([{"cycle": "1", "eol": "soon"}], "here")["1"].eol is None


def test_a_directory_a_file_and_a_template_are_read(tmp_path):
    (tmp_path / "debian.json").write_text(json.dumps(API), encoding="utf-8")
    (tmp_path / "all.json").write_text(json.dumps({"debian": API, "nginx": RELEASE_DATA}), encoding="utf-8")
    for location in ("", "/debian.json", "/{product}.json", "/all.json"):
        assert "12" in Feed(f"{tmp_path}{location}").cycles("debian")
    for location in ("", "/debian.json", "/{product}.json", "/all.json"):
        with pytest.raises(Unavailable, match=r"openssl|debian\.json does not know|all\.json does not know"):
            Feed(f"{tmp_path}{location}").cycles("openssl")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000], ids=["empty", "cut off", "no text", "deep"]
)
def test_a_damaged_file_is_unavailable(tmp_path, content):
    (tmp_path / "debian.json").write_bytes(content)
    with pytest.raises(Unavailable, match="is no JSON"):
        Feed(str(tmp_path)).cycles("debian")


def test_a_file_without_end_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(eol_feed, "LARGEST", 100)
    (tmp_path / "debian.json").write_text(json.dumps(API * 10), encoding="utf-8")
    with pytest.raises(Unavailable, match="larger than 100 bytes"):
        Feed(str(tmp_path)).cycles("debian")


@pytest.fixture
def server():
    """Return the address of a server that knows debian, is slow with slow, and the list of what it was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if "slow" in self.path:
                # A byte now and then keeps a socket's own time limit from ever ending.
                self.send_response(200)
                self.end_headers()
                for _tick in range(20):
                    time.sleep(0.1)
                    self.wfile.write(b" ")
                return
            self.send_response(200 if "debian" in self.path else 404)
            self.end_headers()
            self.wfile.write(json.dumps(API).encode())

        def log_message(self, *_words):
            pass

        def handle(self):
            with contextlib.suppress(OSError):
                super().handle()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/api", asked
        httpd.shutdown()


def test_a_url_is_asked_once_a_product_and_a_product_it_does_not_know_is_no_outage(server):
    feed = Feed(server[0])
    with pytest.raises(Unavailable, match="404"):
        feed.cycles("nonsense")
    assert "12" in feed.cycles("debian")
    assert "12" in feed.cycles("debian")
    assert server[1] == ["/api/nonsense.json", "/api/debian.json"]


def test_a_server_that_never_ends_is_left_after_the_limit_and_not_asked_again(server):
    feed, began = Feed(server[0], limit_s=0.3), time.monotonic()
    for product in ("slow", "debian", "nginx"):
        with pytest.raises(Unavailable, match=r"slow\.json gave no answer"):
            feed.cycles(product)
    assert time.monotonic() - began < 1.5
    assert server[1] == ["/api/slow.json"]


HOSTILE = ["caf\udce9", "a\0b", "../secret", "a..b", "my os", "", "Debian", ".x", "a/b", "x" * 100_000 + "/"]


@pytest.mark.parametrize("product", HOSTILE, ids=range(len(HOSTILE)))
def test_what_a_host_calls_itself_leaves_neither_the_feed_nor_marks_it_as_down(tmp_path, server, product):
    (tmp_path / "feed").mkdir()
    for place in ("secret", "feed/debian", "feed/Debian", "feed/a..b", "feed/my os", "feed/", "feed/.x"):
        (tmp_path / f"{place}.json").write_text(json.dumps(API), encoding="utf-8")
    for feed in (Feed(str(tmp_path / "feed")), Feed(server[0]), Feed(str(tmp_path / "feed/debian.json"))):
        with pytest.raises(Unavailable, match="cannot be the name of a product") as raised:
            feed.cycles(product)
        assert len(str(raised.value)) < 1000
        assert "12" in feed.cycles("debian")
    assert server[1] == ["/api/debian.json"]


def test_credentials_of_a_feed_are_used_and_never_shown(server):
    template = Feed(f"{server[0]}/{{product}}.json?token=S3CRET")
    base = Feed(f"{server[0].replace('//', '//ada:hunter2@')}?token=S3CRET")
    for feed in (template, base):
        assert "12" in feed.cycles("debian")
        assert feed.shown("debian") == f"{server[0]}/debian.json"
        with pytest.raises(Unavailable, match="404") as raised:
            feed.cycles("nonsense")
        assert "S3CRET" not in str(raised.value)
        assert "hunter2" not in str(raised.value)
    assert server[1][0] == server[1][2] == "/api/debian.json?token=S3CRET"


def test_a_document_that_is_too_large_is_no_outage(server, monkeypatch):
    feed = Feed(server[0])
    with monkeypatch.context() as patched:
        patched.setattr(eol_feed, "LARGEST", 100)
        with pytest.raises(Unavailable, match="larger than 100 bytes"):
            feed.cycles("debian-large")
    assert "12" in feed.cycles("debian")


def test_a_server_that_is_down_is_unavailable():
    with pytest.raises(Unavailable, match="cannot be read"):
        Feed("http://127.0.0.1:9/api").cycles("debian")


@pytest.mark.parametrize("scheme", ["memory", "nonsense"])
def test_other_addresses_go_through_fsspec(scheme):
    with fsspec.open("memory://feed/debian.json", "wb") as handle:
        handle.write(json.dumps(API).encode())
    feed = Feed(f"{scheme}://feed")
    if scheme == "memory":
        assert "12" in feed.cycles("debian")
    else:
        with pytest.raises(Unavailable, match="Protocol not known"):
            feed.cycles("debian")


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real feed data is not in {REAL}")
def test_the_real_files_are_read():
    feed = Feed(str(REAL))
    assert feed.cycles("rhel")["9"].eol == date(2032, 5, 31)
    assert feed.cycles("openssl")["3.0"].eol == date(2026, 9, 7)
    assert feed.cycles("postgresql")["9.6"].eol == date(2021, 11, 11)
    with pytest.raises(Unavailable, match="lists no release cycle"):
        feed.cycles("almalinux")  # the file knows only versions
