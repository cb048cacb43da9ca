# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook talks apt's JSON protocol over a real socket and in a process of its own."""

import json
import os
import socket
import subprocess
import sys

from ansible_collections.hospital.patching.plugins.module_utils.package_managers import apt_json_hook
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.apt_resolve import source_of


def talk(tmp_path, messages):
    """Run the hook's source as apt does, send ``messages``, and return (replies, what it wrote)."""
    script, answer = tmp_path / "hook.py", tmp_path / "answer.json"
    script.write_text(source_of(apt_json_hook))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(script), str(answer)],
            env=dict(os.environ, APT_HOOK_SOCKET=str(theirs.fileno())),
            pass_fds=[theirs.fileno()],
        )
        with ours.makefile("rw") as channel:
            replies = []
            for message in messages:
                channel.write(json.dumps(message) + "\n\n")
                channel.flush()
                if "id" in message:
                    replies.append(json.loads(channel.readline()))
                    channel.readline()
        assert process.wait(20) == 0
    return replies, json.loads(answer.read_text()) if answer.exists() else None


def hello(*versions):
    return {"jsonrpc": "2.0", "method": "org.debian.apt.hooks.hello", "id": 0, "params": {"versions": list(versions)}}


BYE = {"jsonrpc": "2.0", "method": "org.debian.apt.hooks.bye", "params": {}}


def test_the_package_list_is_written(tmp_path, recorded):
    packages = json.loads(recorded("apt_package_list.json"))
    listed = {"jsonrpc": "2.0", "method": apt_json_hook.WANTED, "params": {"packages": packages}}
    other = {"jsonrpc": "2.0", "method": "org.debian.apt.hooks.install.statistics", "params": {"packages": []}}
    replies, written = talk(tmp_path, [hello("0.1", "0.2"), listed, other, BYE])
    assert replies == [{"jsonrpc": "2.0", "id": 0, "result": {"version": "0.2"}}]
    assert written == packages


def test_other_messages_are_passed_over(tmp_path):
    replies, written = talk(tmp_path, [hello("0.1"), BYE])
    assert replies[0]["result"] == {"version": "0.1"}
    assert written is None
