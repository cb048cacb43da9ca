# SPDX-License-Identifier: GPL-3.0-or-later
"""Live reasons not to start, with real files, commands and a real server."""

from __future__ import annotations

import http.server
import threading

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import inhibits
from ansible_collections.hospital.patching.plugins.plugin_utils.inhibits import Inhibits


def reason(*given, segments=()):
    return Inhibits(inhibits.read(list(given)), segments).no_go()


@pytest.fixture
def server():
    """Yield a function that has a server answer, and returns its URL; its ``asked`` are the requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        answer = (200, b"go")

        def do_GET(self):
            serve.asked += 1
            self.send_response(self.answer[0])
            self.end_headers()
            self.wfile.write(self.answer[1])

        def log_message(self, *_words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()

        def serve(status, text):
            Handler.answer = (status, text)
            return f"http://127.0.0.1:{running.server_address[1]}/may-patch"

        serve.asked = 0
        yield serve
        running.shutdown()


def test_without_inhibits_there_is_no_reason():
    assert reason() is None


def test_a_file_that_is_there_says_why_not(tmp_path):
    path = tmp_path / "busy"
    assert reason({"file": str(path)}) is None
    path.write_text("list two runs late\nnot shown\n")
    assert reason({"file": str(path)}) == f"{path} says: list two runs late"
    assert "which counts as there" in reason({"file": str(tmp_path / "absent/busy")})


@pytest.mark.parametrize("text", [b"go", b"GO\n", b" go: nobody in theatre", b"go \r\nand more"])
def test_a_server_that_says_go(server, text):
    assert reason({"url": server(200, text)}) is None


@pytest.mark.parametrize(
    ("status", "text", "seen"),
    [(200, b"no-go", "does not match"), (200, b"", "does not match"), (200, b"gone", "does not match"),
     (200, b"go-live of the EHR: do not patch", "does not match"), (200, b"Go away", "does not match"),
     (200, b"go/no-go: no-go", "does not match"),
     (200, b"<html>go</html>", "does not match"), (503, b"go", "status 503"), (302, b"go", "status 302")],
)  # fmt: skip
def test_a_server_that_says_anything_else(server, status, text, seen):
    told = reason({"url": server(status, text)})
    assert "does not say go" in told
    assert seen in told


def test_a_server_that_is_down_or_in_a_device_segment(server):
    url = server(200, b"go")
    assert "10.9.0.1" in reason({"url": "http://10.9.0.1/"}, segments=["10.9.0.0/16"])
    assert "not connected" in reason({"url": url}, segments=["127.0.0.0/8"])
    assert "not declared" in reason({"url": url}, segments=None)
    assert server.asked == 0
    assert "refused the connection" in reason({"url": "http://127.0.0.1:1/"})


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["true"], None),
        (["sh", "-c", "echo theatre 3 is busy; echo more; exit 1"], "sh says: theatre 3 is busy"),
        (["sh", "-c", "echo busy >&2; exit 3"], "sh says: busy"),
        (["false"], "false says: exit 1"),
        (["sh", "-c", "echo ask https://ada:hunter2@board/; exit 1"], "sh says: ask https://***@board/"),
    ],
)
def test_a_command_goes_when_it_exits_0(command, told):
    assert reason({"command": command}) == told


def test_a_command_that_is_missing_or_gives_no_answer_does_not_say_go():
    assert reason({"command": ["/nowhere/may-patch"]}).startswith("may-patch gives no answer: ")
    assert "no end after 1 s" in reason({"command": ["sleep", "30"], "timeout_s": 1})


def test_the_first_reason_is_told(tmp_path):
    path = tmp_path / "busy"
    path.write_text("busy")
    assert reason({"command": ["true"]}, {"file": str(path)}, {"command": ["false"]}) == f"{path} says: busy"
