# SPDX-License-Identifier: GPL-3.0-or-later
"""Silences at a real Alertmanager on loopback, Debian's prometheus-alertmanager, where there is one."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.silences import keeping, registry
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.base import Access, Wanted
from tests.support import servers

BINARY = servers.program("prometheus-alertmanager") or servers.program("alertmanager")
pytestmark = pytest.mark.skipif(BINARY is None, reason="needs Alertmanager (Debian: prometheus-alertmanager)")
RUN_ID = "20261122T080000Z-ab12cd34"
CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alertmanager")
    (folder / "config.yml").write_text(CONFIG)
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{chosen.getsockname()[1]}"
    words = [BINARY, "--config.file", "config.yml", "--storage.path", "data", "--cluster.listen-address="]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*words, f"--web.listen-address={address}"], cwd=folder, stdout=log, stderr=log)
    try:
        _await(f"http://{address}/-/ready", process, folder / "log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def _await(url, process, log):
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"Alertmanager did not start: {log.read_text(errors='replace')[-1000:]}")


def ask(url, path, body=None):
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/api/v2/{path}", content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or "null")


def provider(url):
    return registry.build(registry.read({"alertmanager": url}), Access([]))


def wanted(host="portal1", run_id=RUN_ID, seconds=3600):
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return Wanted(run_id, host, now - timedelta(minutes=5), now + timedelta(seconds=seconds))


def silenced(url):
    """Return which alerts are silenced by now, of those that are sent first."""
    names = ["portal1", "portal1:9100", "portal10:9100", "portal2"]
    ask(url, "alerts", [{"labels": {"alertname": "down", "instance": name}} for name in names])
    end = time.monotonic() + 60
    while time.monotonic() < end:
        alerts = ask(url, "alerts")
        if len(alerts) == len(names) and all(one["status"]["state"] != "unprocessed" for one in alerts):
            break
        time.sleep(0.1)
    return {one["labels"]["instance"] for one in alerts if one["status"]["silencedBy"]}


def test_alerts_of_one_host_are_silenced_until_that_is_lifted(alertmanager):
    made, _others = keeping.silence(provider(alertmanager), wanted())
    (listed,) = ask(alertmanager, "silences")
    assert (listed["id"], listed["createdBy"], listed["status"]["state"]) == (made, "hospital.patching", "active")
    assert silenced(alertmanager) == {"portal1", "portal1:9100"}
    assert keeping.lift(provider(alertmanager), RUN_ID, "portal1", [made]) == keeping.Lifted((made,), (), ())
    assert silenced(alertmanager) == set()
    again = keeping.lift(provider(alertmanager), RUN_ID, "portal1", [made, "4008a369-6d9c-4a06-b783-88ebb07ace2a"])
    assert (again.lifted, len(again.over), again.problems) == ((), 2, ())


def test_what_is_left_behind_is_found_and_what_is_not_ours_stays(alertmanager):
    left, _others = keeping.silence(provider(alertmanager), wanted())
    foreign, _others = keeping.silence(provider(alertmanager), wanted(run_id="20261122T080000Z-ffffffff"))
    made, others = keeping.silence(provider(alertmanager), wanted(seconds=7200))
    assert others.lifted == (left,)
    told = keeping.lift(provider(alertmanager), RUN_ID, "portal1", [foreign])
    assert told.lifted == (made,)
    assert "it was left alone" in told.problems[0]
    states = {one["id"]: one["status"]["state"] for one in ask(alertmanager, "silences")}
    assert (states[left], states[made], states[foreign]) == ("expired", "expired", "active")
