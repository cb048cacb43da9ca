# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a local daemon over its UNIX socket.

HTTP/1.0 (RFC 1945), in which the answer ends when the daemon closes: importing
Python's own client costs more time than the question.
"""

import json
import os
import socket
import stat
import time
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

LIMIT_BYTES = 16 * 1024 * 1024


def is_socket(path: str) -> bool:
    """Return whether ``path`` is a socket."""
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def get_json(path: str, target: str, timeout_s: float = 10) -> Any:
    """Return the JSON answer of ``GET target`` from the daemon at the socket ``path``.

    Raises:
        PatchingError: the daemon has not answered completely within ``timeout_s``, or not with JSON of a bearable size.
    """
    try:
        return json.loads(_body(_exchange(path, target, timeout_s)).decode("utf-8", "replace"))
    except (OSError, ValueError, RecursionError) as error:
        raise PatchingError(
            "{} on {}".format(target, path),
            "{}: {}".format(type(error).__name__, error),
            "JSON within {} s".format(timeout_s),
            "look at the daemon behind it (systemctl status), then run again",
        )


def _exchange(path: str, target: str, timeout_s: float) -> bytes:
    deadline = time.monotonic() + timeout_s
    received = bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(path)
        connection.sendall(
            "GET {} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n".format(target).encode()
        )
        while len(received) <= LIMIT_BYTES:
            # Also a daemon that sends a byte a minute comes to its end.
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            data = connection.recv(65536)
            if not data:
                return bytes(received)
            received += data
    raise ValueError("more than {} bytes".format(LIMIT_BYTES))


def _body(answer: bytes) -> bytes:
    head, _blank, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].decode("ascii", "replace").split(" ", 2)
    if len(status) < 2 or status[1] != "200":
        raise ValueError("answered {!r}".format(" ".join(status)[:100]))
    return body
