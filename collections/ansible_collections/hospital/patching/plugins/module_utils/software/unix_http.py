# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a local daemon over its UNIX socket."""

import http.client
import json
import os
import socket
import stat
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

LIMIT_BYTES = 16 * 1024 * 1024


class _Connection(http.client.HTTPConnection):
    """HTTP over the UNIX socket at ``path``."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def is_socket(path: str) -> bool:
    """Return whether ``path`` is a socket."""
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def get_json(path: str, target: str, timeout_s: float = 10) -> Any:
    """Return the JSON answer of ``GET target``; ``timeout_s`` limits each wait for the daemon.

    Raises:
        PatchingError: the daemon does not answer, or not with JSON of a bearable size.
    """
    connection = _Connection(path, timeout_s)
    try:
        connection.request("GET", target)
        return json.loads(_body(connection.getresponse()).decode("utf-8", "replace"))
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        raise PatchingError(
            "{} on {}".format(target, path),
            "{}: {}".format(type(error).__name__, error),
            "JSON within {} s".format(timeout_s),
            "look at the daemon behind it (systemctl status), then run again",
        )
    finally:
        connection.close()


def _body(response: http.client.HTTPResponse) -> bytes:
    if response.status != 200:
        raise ValueError("status {}".format(response.status))
    body = response.read(LIMIT_BYTES + 1)
    if len(body) > LIMIT_BYTES:
        raise ValueError("more than {} bytes".format(LIMIT_BYTES))
    return body
