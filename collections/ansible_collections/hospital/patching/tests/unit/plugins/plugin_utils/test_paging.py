# SPDX-License-Identifier: GPL-3.0-or-later
"""Paging a person, and saying when that failed."""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.paging import Pager, Ready, Sent, page_all


def test_the_command_gets_the_message_on_its_standard_input(tmp_path):
    path = tmp_path / "page"
    sent = Pager(["/bin/sh", "-c", f"cat > {path}"]).page("portal1 is out, ring «ops»")
    assert sent == Sent(True, [])
    assert path.read_text(encoding="utf-8") == "portal1 is out, ring «ops»\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/bin/sh", "-c", "echo 'no modem' >&2; exit 3"], "with exit code 3: no modem"),
        (["/bin/false"], "it said nothing"),
        (["/no/such/command"], "No such file"),
        (["bad\0name"], "null byte"),
    ],
)
def test_a_command_that_fails_is_said(command, said):
    sent = Pager(command).page("message")
    assert not sent.reached
    assert said in sent.problems[0]


def test_a_command_that_does_not_read_its_message_may_still_page():
    assert Pager(["/bin/true"]).page("x" * 200_000) == Sent(True, [])


def test_a_command_that_hangs_is_ended_with_its_children():
    started = time.monotonic()
    sent = Pager(["/bin/sh", "-c", "sleep 60 & sleep 60"], limit_s=0.2).page("message")
    assert sent == Sent(False, ["the page command /bin/sh failed: no end within 0.2 s"])
    assert time.monotonic() - started < 10


def test_without_a_way_nobody_is_paged():
    assert not Pager()
    assert Pager().page("message") == Sent(False, [])


def test_whether_it_could_page_is_looked_up_without_paging(tmp_path):
    program = tmp_path / "page-on-call"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/paged\n", encoding="utf-8")
    assert Pager([str(program)]).ready() == Ready((), [f"the page command {program} is no program that can be run"])
    program.chmod(0o755)
    assert Pager([str(program)]).ready() == Ready(("command",), [])
    assert not (tmp_path / "paged").exists()
    assert Pager(["/no/such/pager"]).ready().ways == ()
    assert Pager().ready() == Ready((), [])


def test_one_way_that_could_be_used_is_ready_whatever_the_other_is(monkeypatch):
    ready = Pager(["/bin/true"], "pigeon://secret@loft").ready()
    assert ready.ways == ("command",)
    assert ready.problems == ["watch_page_url is no notification service that apprise knows"]
    assert Pager(["/no/such/pager"], "json://127.0.0.1:9/").ready().ways == ("notification",)
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert Pager(url="json://127.0.0.1:9/").ready().ways == ()


# --- notification services -----------------------------------------------------


@pytest.fixture
def service():
    """Return the port of a service that takes notifications, and what it got."""
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port, got
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_notification_service_gets_the_message(service):
    port, got = service
    assert Pager(url=f"json://127.0.0.1:{port}/").page("portal1 is out") == Sent(True, [])
    assert (got[0]["title"], got[0]["message"]) == ("hospital.patching", "portal1 is out")


def test_a_service_that_does_not_answer_is_said_without_its_password(service):
    sent = Pager(url="json://user:secret@127.0.0.1:9/token", limit_s=5).page("message")
    assert sent == Sent(False, ["the notification service (json) did not take the page"])


def test_what_is_no_service_is_said_without_its_password():
    (problem,) = Pager(url="pigeon://secret@loft").page("message").problems
    assert "no notification service" in problem
    assert "secret" not in problem


def test_one_way_that_fails_does_not_hinder_the_other(service):
    port, got = service
    sent = Pager(["/bin/false"], f"json://127.0.0.1:{port}/").page("message")
    assert sent.reached
    assert len(sent.problems) == 1
    assert got


def test_a_missing_library_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    (problem,) = Pager(url="json://127.0.0.1/").page("message").problems
    assert "pip install apprise" in problem


def test_every_service_is_told_though_one_cannot_be_and_messages_name_the_setting(tmp_path):
    sent = page_all(["nonsense", f"json://127.0.0.1:9/{tmp_path.name}"], "message", "patching_security_contact")
    assert not sent.reached
    assert sent.problems == [
        "patching_security_contact is no notification service that apprise knows",
        "the notification service (json) did not take the page",
    ]
    assert page_all([], "message", "patching_security_contact") == Sent(False, [])
