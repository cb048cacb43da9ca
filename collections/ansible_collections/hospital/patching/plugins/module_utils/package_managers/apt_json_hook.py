# SPDX-License-Identifier: GPL-3.0-or-later
"""A hook that apt runs (JSON hook protocol): it writes the resolved transaction to a file.

This file is copied to the host's private directory and run alone there, so it
imports the standard library only. ``sys.argv[1]`` names the file to write.
Protocol: apt's doc/json-hooks-protocol.md.
"""

import json
import os
import socket
import sys
from typing import Any, Dict, Optional

PROTOCOLS = ("0.2", "0.1")
#: The notification that lists the resolved packages once, before anything is done.
WANTED = "org.debian.apt.hooks.install.package-list"


def answer(message: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """Return what apt must be told about one message, or None."""
    if message["method"] != "org.debian.apt.hooks.hello":
        return None
    offered = message["params"]["versions"]
    version = next((name for name in PROTOCOLS if name in offered), PROTOCOLS[-1])
    return {"jsonrpc": "2.0", "id": message["id"], "result": {"version": version}}


def main() -> None:
    """Talk to apt until it says bye."""
    channel = socket.socket(fileno=int(os.environ["APT_HOOK_SOCKET"])).makefile("rw", encoding="utf-8")
    while True:
        line = channel.readline()
        if not line:
            return
        channel.readline()  # an empty line ends each message
        message = json.loads(line)
        reply = answer(message)
        if reply is not None:
            channel.write(json.dumps(reply) + "\n\n")
            channel.flush()
        elif message["method"] == WANTED:
            with open(sys.argv[1], "w", encoding="utf-8") as handle:
                json.dump(message["params"]["packages"], handle)
        elif message["method"] == "org.debian.apt.hooks.bye":
            return


if __name__ == "__main__":
    main()
