# SPDX-License-Identifier: GPL-3.0-or-later
"""A dnf host gets exactly its transaction without a network, and everything comes back: versions, reasons, locks."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.support import lab, rpm_states
from tests.support.modules import call
from tests.support.night import Night
from tests.support.rpm_states import CONFIG

HOST = "rpm1"
RUN = "20261126T010000Z-00000001"
REPOSITORY = """[exact]
name=What the vendor publishes
baseurl=file:///srv/rpm/exact
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-hospital
"""
MANAGER = {"manager": "dnf", "run_id": RUN}
#: Waits for the slow script, then kills rpm's process and its script.
KILLER = (
    "until pgrep -f [s]leep.300; do sleep 0.2; done; pkill -KILL -f [d]nf_transaction_hook; pkill -KILL -f [s]leep.300"
)
#: A host's text, which no update may replace.
OWN = "level = 7\n"


class Found(NamedTuple):
    """What a host is, apart from what runs on it."""

    versions: dict[str, str]
    reasons: dict[str, str]
    locks: list[str]
    verified: set[str]
    configuration: str


def found() -> Found:
    return Found(
        rpm_states.versions(HOST),
        rpm_states.reasons(HOST),
        rpm_states.locks(HOST),
        rpm_states.verified(HOST),
        lab.exec(HOST, f"cat {CONFIG}"),
    )


@pytest.fixture
def host():
    """A host with the old versions; the library came as a dependency."""
    lab.reset([HOST])
    rpm_states.offer(rpm_states.BEFORE)
    lab.write(HOST, "/etc/yum.repos.d/exact.repo", REPOSITORY)
    lab.exec(HOST, "dnf --assumeyes --quiet install hospital-agent hospital-archive hospital-labels")
    lab.exec(HOST, "systemctl start hospital-agent.service")
    lab.write(HOST, CONFIG, OWN)
    rpm_states.offer(rpm_states.UPDATED)
    yield HOST
    lab.reset([HOST])


def ok(result: dict[str, Any]) -> dict[str, Any]:
    assert "subject" not in result, result["msg"]
    return result


def refused(result: dict[str, Any]) -> str:
    assert "subject" in result, result
    message: str = result["msg"]
    return message


def pending() -> list[dict[str, Any]]:
    include = [f"{name}*" for name in rpm_states.NAMES]
    result = ok(call(HOST, "pending_updates_info", manager="dnf", security_only=False, include=include))
    mine = [one for one in result["updates"] if one["name"] in rpm_states.NAMES]
    assert mine, result
    return mine


def stage(updates: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    return call(HOST, "update_stage", host=HOST, updates=updates, **MANAGER, **options)


def install(transaction: dict[str, Any], **options: Any) -> dict[str, Any]:
    return call(HOST, "update_install", transaction=transaction, **MANAGER, **options)


def rollback(transaction: dict[str, Any], *names: str) -> dict[str, Any]:
    return call(HOST, "update_rollback", transaction=transaction, names=list(names), **MANAGER)


def verify(transaction: dict[str, Any], expect: str = "to", names: tuple[str, ...] = ()) -> dict[str, Any]:
    return call(HOST, "update_verify", transaction=transaction, expect=expect, names=list(names), **MANAGER)


def test_there_and_back_without_a_network(host):
    before = found()
    updates = pending()
    result = ok(stage(updates))
    assert result["not_preserved"] == []
    assert len(result["preserved"]) == 4
    transaction = result["transaction"]
    kinds = {entry["name"]: (entry["from"], entry["to"]) for entry in transaction["entries"]}
    assert kinds == {
        "hospital-agent": ("1.0-1", "1.1-1"),
        "hospital-library": ("1:1.0-1", "1:1.1-1"),
        "hospital-archive": ("1.0-1", "1.1-1"),
        "hospital-words": (None, "1.0-1"),
        "hospital-print": (None, "2.0-1"),
        "hospital-labels": ("1.0-1", None),
    }
    assert found() == before, "staging changed the host"
    assert ok(stage(updates))["changed"] is False
    pid = rpm_states.pid(HOST)
    rpm_states.cut_off(HOST)

    assert ok(install(transaction, _check=True))["changed"] is True
    assert found() == before, "check mode changed the host"
    installed = ok(install(transaction))
    assert (installed["marks_equal"], installed["holds_equal"]) == (True, True)
    assert set(installed["seconds_ms"]) == {"prepare", "rpm", "after"}
    assert installed["conffile_proposals"] == [CONFIG + ".rpmnew"]
    assert rpm_states.pid(HOST) == pid, "a package script has restarted the service"
    after = found()
    assert {name: after.versions.get(name) for name in kinds} == {name: to for name, (_from, to) in kinds.items()}
    assert set(after.versions.items()) ^ set(before.versions.items()) == {
        (name, version) for name, both in kinds.items() for version in both if version
    }
    assert (after.locks, after.configuration, after.verified) == (before.locks, OWN, before.verified)
    assert after.reasons["hospital-words"] == "dependency"
    common = before.reasons.keys() & after.reasons.keys()
    assert {name: after.reasons[name] for name in common} == {name: before.reasons[name] for name in common}
    assert ok(verify(transaction))["problems"] == []
    restarted = ok(call(HOST, "update_restart", transaction=transaction, **MANAGER))
    assert [unit["unit"] for unit in restarted["restarted"]] == ["hospital-agent.service"]
    assert rpm_states.pid(HOST) not in (pid, "0")
    assert ok(install(transaction))["nothing_to_do"] is True
    assert "hospital-agent" in lab.exec(HOST, "dnf --cacheonly --quiet history info last")

    one = ok(rollback(transaction, "hospital-archive"))
    assert [(item["name"], item["to"]) for item in one["installed"]] == [("hospital-archive", "1.0-1")]
    assert ok(verify(transaction, "from", ("hospital-archive",)))["problems"] == []
    assert rpm_states.versions(HOST)["hospital-agent"] == "1.1-1"

    ok(rollback(transaction))
    assert ok(verify(transaction, "from"))["problems"] == []
    assert found() == before
    assert ok(rollback(transaction))["nothing_to_do"] is True


@pytest.mark.slow  # test_bad_packages.py has the same on apt hosts
def test_what_a_repository_got_since_is_not_installed(host):
    updates = pending()
    transaction = ok(stage(updates))["transaction"]
    rpm_states.offer(rpm_states.NEWER)
    ok(install(transaction))
    assert rpm_states.versions(HOST)["hospital-agent"] == "1.1-1"
    ok(rollback(transaction))
    # As on the next host: the same versions, although newer ones are offered beside them.
    lab.exec(HOST, "rm -r /var/lib/hospital-patching/stage")
    assert ok(stage(updates))["transaction"] == transaction
    # And where they are not offered any more, nothing else is taken instead.
    rpm_states.offer([one for one in rpm_states.NEWER if (one.name, one.version) != ("hospital-agent", "1.1")])
    assert "hospital-agent:noarch: repository now gives 1.2-1; expected manifest allows 1.1-1" in refused(
        stage(updates)
    )
    # Nor what is locked since: the lock was not there when it was planned.
    rpm_states.offer(rpm_states.UPDATED)
    lab.exec(HOST, "dnf --quiet versionlock add hospital-agent")
    assert "hospital-agent 1.1-1 is excluded or locked on this host" in refused(stage(updates))


@pytest.mark.slow  # test_bad_packages.py has the same on apt hosts
def test_a_failing_script_is_told_and_taken_back(host):
    rpm_states.offer(rpm_states.FAILING)
    before = found()
    transaction = ok(stage(pending()))["transaction"]
    message = refused(install(transaction))
    assert "%post of hospital-archive-1.1-1" in message
    assert "the index is full" in message
    assert [problem["subject"] for problem in ok(verify(transaction))["problems"]] == ["hospital-archive:noarch"]
    refused(install(transaction))  # a second call does not call it done either
    ok(rollback(transaction))
    assert found() == before
    assert ok(verify(transaction, "from"))["problems"] == []


@pytest.mark.slow
def test_an_rpm_that_was_killed_is_completed_and_taken_back(host):
    rpm_states.offer(rpm_states.SLOW)
    before = found()
    transaction = ok(stage(pending()))["transaction"]
    lab.exec(HOST, "systemd-run --quiet --unit=killer sh -c '" + KILLER + "'")
    call(HOST, "update_install", transaction=transaction, **MANAGER)
    assert len(lab.exec(HOST, "rpm -q hospital-library").split()) == 2, "nothing was half done"
    assert ok(verify(transaction))["verdict"] == "failed"
    lab.exec(HOST, "touch /run/quick")  # its script ends at once from now on
    installed = ok(install(transaction))
    assert installed["repaired"] is True
    assert ok(verify(transaction))["problems"] == []
    assert lab.exec(HOST, "rpm -q hospital-library").split() == ["hospital-library-1.1-1.noarch"]
    ok(rollback(transaction))
    assert found() == before


@pytest.mark.slow
def test_a_night(host, tmp_path):
    before = found()
    night = Night(tmp_path / "evidence", hosts=HOST, patching_security_only=False)
    night.ready()
    played = night.play("patch")
    assert played.rc == 0, played.stdout
    assert night.outcomes() == {HOST: "patched"}
    assert rpm_states.versions(HOST)["hospital-agent"] == "1.1-1"
    run = {"patching_run_id": night.plan["plan_id"], "rollback_hosts": "all", "rollback_reason": "second thoughts"}
    back = night.play("rollback", **run)
    assert back.rc == 0, back.stdout
    assert found() == before
