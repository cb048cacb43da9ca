# SPDX-License-Identifier: GPL-3.0-or-later
"""A Java runtime under /opt and a browser from a repository, by the same playbooks: updated, verified, one put back."""

from __future__ import annotations

import json

import pytest

from tests.support import lab
from tests.support.expect import version
from tests.support.night import Night

BROWSER = "firefox-esr"


@pytest.fixture(scope="module")
def runtimes():
    """Return the older and the newer runtime."""
    lab.reset(["ws1"])
    return lab.java_runtimes()


@pytest.fixture
def workstation(runtimes, tmp_path):
    """Return a night on ws1, where the older runtime is in use and a browser's update is pending."""
    old, new = runtimes
    lab.reset(["ws1"])
    lab.exec("ws1", f"mkdir -p /opt/java && cd /opt/java && python3 -c '{GET}' {old['source']} /var/tmp/java.tar.gz")
    lab.exec("ws1", f"cd /opt/java && tar xzf /var/tmp/java.tar.gz && ln -s /opt/java/{old['version']} current")
    java = {
        "name": "java",
        "type": "archive",
        **new,
        "root": "/opt/java",
        "link": "/opt/java/current",
        "strip": 1,
        "exposure": "java",
        "detect": {"file": "release", "pattern": 'JAVA_VERSION="([^"]+)"'},
        "probe": {"command": ["bin/java", "-version"], "pattern": '"{version}"'},
        "not_running": ["hl7-viewer"],
    }
    return Night(tmp_path / "evidence", "ws1", patching_update_include=[BROWSER, "java"], patching_third_party=[java])


#: A minimal host has neither curl nor wget.
GET = "import sys, urllib.request; urllib.request.urlretrieve(*sys.argv[1:])"


def runtime() -> str:
    """Return the version that the runtime in use states."""
    return lab.exec("ws1", "/opt/java/current/bin/java -version 2>&1").split('"')[1]


def engine_runs_by() -> str:
    """Return the version whose folder the application's program lies in."""
    return lab.exec("ws1", "readlink /proc/$(systemctl show -p MainPID --value engine)/exe").split("/")[3]


@pytest.mark.slow
def test_a_runtime_and_a_browser_are_updated_and_one_is_put_back(workstation, runtimes):
    night, (old, new) = workstation, runtimes
    browser = version("ws1", BROWSER)
    assert runtime() == old["version"]
    plan = night.ready()
    updates = {update["name"]: update for update in plan["hosts"]["ws1"]["updates"]}
    assert (updates["java"]["from"], updates["java"]["to"]) == (old["version"], new["version"])
    targets = {name: update["to"] for name, update in updates.items()}
    page = (night.evidence / "plans" / plan["plan_id"] / "plan.html").read_text(encoding="utf-8")
    assert all(told in page for told in (BROWSER, targets[BROWSER], "java", new["version"]))
    assert runtime() == old["version"], "staging has switched"

    # A viewer that uses the runtime is open: nothing is touched.
    lab.exec("ws1", "cp /bin/sleep /usr/local/bin/hl7-viewer; systemd-run --unit viewer /usr/local/bin/hl7-viewer 9999")
    refused = night.play("patch")
    assert refused.rc != 0
    assert night.outcomes() == {"ws1": "refused"}
    assert "running: hl7-viewer" in night.reason("ws1")
    assert (runtime(), version("ws1", BROWSER)) == (old["version"], browser)
    assert "held" not in lab.exec("ws1", "cat /var/lib/hospital-patching/journal.jsonl")
    lab.exec("ws1", "systemctl stop viewer")
    # An application that runs by the version that will be left.
    lab.exec("ws1", "systemd-run --unit engine /opt/java/current/bin/rmiregistry")
    assert engine_runs_by() == old["version"]

    patched = night.play("patch")
    assert patched.rc == 0, patched.stdout
    assert night.outcomes() == {"ws1": "patched"}
    assert (runtime(), engine_runs_by()) == (new["version"], new["version"])
    assert version("ws1", BROWSER) == targets[BROWSER] != browser
    report = json.loads((night.run / "report.json").read_text(encoding="utf-8"))
    rows = {row["name"]: (row["state"], row["to"]) for row in report["hosts"][0]["updates"]}
    assert rows["java"] == ("installed", new["version"])
    assert rows[BROWSER] == ("installed", targets[BROWSER])

    run = {"patching_run_id": night.plan["plan_id"], "rollback_reason": "the viewer draws nothing"}
    back = night.play("rollback", **run, rollback_hosts="ws1", rollback_updates="java")
    assert back.rc == 0, back.stdout
    assert (runtime(), engine_runs_by()) == (old["version"], old["version"])
    assert version("ws1", BROWSER) == targets[BROWSER], "the browser was put back too"


def test_an_archive_with_another_sum_is_refused_at_stage(workstation, runtimes):
    night, (old, _new) = workstation, runtimes
    night.settings["patching_third_party"][0]["sha256"] = old["sha256"]
    night.settings["patching_update_include"] = ["java"]
    night.prepare()
    before = lab.exec("ws1", "find /opt/java | sort | sha256sum; dpkg-query -W")
    staged = night.play("stage")
    assert staged.rc != 0
    assert "has SHA-256" in " ".join(staged.messages())
    assert lab.exec("ws1", "find /opt/java | sort | sha256sum; dpkg-query -W") == before
