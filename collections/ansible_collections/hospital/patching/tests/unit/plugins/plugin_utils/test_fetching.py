# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that are slow, odd or talkative, and locations that hold credentials."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.fetching import (
    NotThis,
    Unavailable,
    fetch,
    without_credentials,
)

OK = b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.fixture
def serve():
    """Return a function that starts a server of one answer, ``None`` meaning a byte now and then without end.

    The function returns its port and the list of the requests that it got.
    """
    stopped, servers = threading.Event(), []

    def answer(listening, text, asked):
        while not stopped.is_set():
            with contextlib.suppress(OSError):
                connection, _address = listening.accept()
                with connection:
                    asked.append(connection.recv(10_000).decode())
                    connection.sendall(OK if text is None else text)
                    while text is None and not stopped.wait(0.05):
                        connection.sendall(b" ")

    def start(text):
        listening, asked = socket.create_server(("127.0.0.1", 0)), []
        listening.settimeout(0.2)
        threading.Thread(target=answer, args=(listening, text, asked), daemon=True).start()
        servers.append(listening)
        return listening.getsockname()[1], asked

    yield start
    stopped.set()
    for server in servers:
        server.close()


@pytest.mark.parametrize(
    ("answer", "refusal", "words"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n", Unavailable, "BadStatusLine"),
        (b"", Unavailable, "RemoteDisconnected"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Unavailable, "IncompleteRead"),
        (b"HTTP/1.0 503 Busy\r\n\r\n", Unavailable, "503"),
        (b"HTTP/1.0 404 No\r\n\r\n", NotThis, "404"),
        (OK + b"x" * 11, NotThis, "larger than 10 bytes"),
    ],
    ids=["no http", "nothing", "bad chunk", "busy", "not there", "large"],
)
def test_an_odd_server_is_unavailable(serve, answer, refusal, words):
    with pytest.raises(Unavailable, match=words) as raised:
        fetch(f"http://127.0.0.1:{serve(answer)[0]}/x.json", 10, 5)
    assert raised.type is refusal


def test_a_server_without_end_is_left_at_the_limit(serve):
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"gave no answer within 0\.3 s"):
        fetch(f"http://127.0.0.1:{serve(None)[0]}/x.json", 10_000, 0.3)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("path", ["a\0b", "caf\udce9", "nowhere", "."])
def test_a_path_that_cannot_be_read_is_refused(tmp_path, path):
    with pytest.raises(NotThis):
        fetch(f"{tmp_path}/{path}", 10, 5)


def test_a_login_is_sent_as_one_and_query_stays(serve):
    port, asked = serve(OK + b"[]")
    assert fetch(f"http://ada:p%40ss@127.0.0.1:{port}/x.json?token=S3CRET#part", 10, 5) == b"[]"
    assert asked[0].startswith("GET /x.json?token=S3CRET HTTP")
    assert base64.b64encode(b"ada:p@ss").decode() in asked[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://ada:hunter2@127.0.0.1:9/x.json?token=S3CRET",
        "http://ada:hunter2@127.0.0.1:nonsense/x.json?token=S3CRET",
        "http://127.0.0.1:9/a b.json?token=S3CRET&user=hunter2",
        "http://[ada:hunter2@/x.json?token=S3CRET",
        "memory://ada:hunter2@nowhere/x.json?token=S3CRET",
        "nonsense://ada:hunter2@nowhere/x.json?token=S3CRET",
    ],
)
def test_no_message_holds_credentials(url):
    with pytest.raises(Unavailable) as raised:
        fetch(url, 10, 5)
    assert "S3CRET" not in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://ada:hunter2@feed.example:8443/api/?token=x#y", "https://feed.example:8443/api/"),
        ("https://feed.example/{product}.json", "https://feed.example/{product}.json"),
        ("s3://bucket/feed", "s3://bucket/feed"),
        ("/srv/feed?/x@y.json", "/srv/feed?/x@y.json"),
    ],
)
def test_a_location_is_shown_without_credentials(location, shown):
    assert without_credentials(location) == shown


def test_a_token_is_sent_and_not_said_by_a_server_that_repeats_it(serve):
    port, asked = serve(b"HTTP/1.0 500 S3cret-token is unknown\r\n\r\n")
    with pytest.raises(Unavailable, match=r"\*\*\* is unknown"):
        fetch(f"http://127.0.0.1:{port}/x.json", 10_000, 5, bearer="S3cret-token")
    assert "Authorization: Bearer S3cret-token" in asked[0]


def test_a_token_is_not_sent_on_to_where_a_server_redirects(serve):
    there, asked = serve(OK + b"{}")
    here, _asked = serve(f"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:{there}/\r\n\r\n".encode())
    assert fetch(f"http://127.0.0.1:{here}/x.json", 10_000, 5, bearer="S3cret-token") == b"{}"
    assert "S3cret-token" not in asked[0]
