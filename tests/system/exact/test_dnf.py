# SPDX-License-Identifier: GPL-3.0-or-later
"""A dnf host gets exactly its transaction without a network, and everything comes back: versions, reasons, locks."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.support import lab, rpm_states
from tests.support.modules import call
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


def pending(include=("hospital-*",)) -> list[dict[str, Any]]:
    result = call(HOST, "pending_updates_info", manager="dnf", security_only=False, include=list(include))
    assert not result.get("failed"), result
    mine = [one for one in result["updates"] if one["name"] in rpm_states.NAMES]
    assert mine, result
    return mine


def stage(updates: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    return call(HOST, "update_stage", host=HOST, updates=updates, **MANAGER, **options)


def staged(**options: Any) -> dict[str, Any]:
    result = stage(pending(), **options)
    assert not result.get("failed"), result
    return result


def install(transaction: dict[str, Any], **options: Any) -> dict[str, Any]:
    return call(HOST, "update_install", transaction=transaction, **MANAGER, **options)


def rollback(transaction: dict[str, Any], *names: str) -> dict[str, Any]:
    return call(HOST, "update_rollback", transaction=transaction, names=list(names), **MANAGER)


def verify(transaction: dict[str, Any], expect: str = "to", names: tuple[str, ...] = ()) -> dict[str, Any]:
    return call(HOST, "update_verify", transaction=transaction, expect=expect, names=list(names), **MANAGER)


def test_there_and_back_without_a_network(host):
    before = found()
    result = staged()
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
    assert stage(pending())["changed"] is False
    pid = rpm_states.pid(HOST)
    rpm_states.cut_off(HOST)

    checked = install(transaction, _check=True)
    assert (checked["changed"], found()) == (True, before), "check mode changed the host"
    installed = install(transaction)
    assert not installed.get("failed"), installed
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
    assert {name: after.reasons[name] for name in before.reasons if name in after.reasons} == {
        name: reason for name, reason in before.reasons.items() if name in after.reasons
    }
    verified = verify(transaction)
    assert (verified["verdict"], verified["problems"]) == ("ok", [])
    assert install(transaction)["nothing_to_do"] is True
    assert "hospital-agent" in lab.exec(HOST, "dnf --quiet history info last")

    one = rollback(transaction, "hospital-archive")
    assert [(item["name"], item["to"]) for item in one["installed"]] == [("hospital-archive", "1.0-1")], one
    assert verify(transaction, "from", ("hospital-archive",))["verdict"] == "ok"
    assert rpm_states.versions(HOST)["hospital-agent"] == "1.1-1"

    everything = rollback(transaction)
    assert not everything.get("failed"), everything
    assert verify(transaction, "from")["problems"] == []
    assert found() == before
    assert rpm_states.pid(HOST) == pid
    assert rollback(transaction)["nothing_to_do"] is True


def test_what_a_repository_got_since_is_not_installed(host):
    updates = pending()
    result = stage(updates)
    rpm_states.offer(rpm_states.NEWER)
    installed = install(result["transaction"])
    assert not installed.get("failed"), installed
    assert rpm_states.versions(HOST)["hospital-agent"] == "1.1-1"
    # The next host resolves the same versions, although newer ones are offered beside them.
    lab.exec(HOST, "rm -r /var/lib/hospital-patching/stage")
    rollback(result["transaction"])
    again = stage(updates)
    assert again["transaction"]["entries"] == result["transaction"]["entries"]


def test_a_version_that_is_not_offered_any_more_is_refused(host):
    updates = pending()
    rpm_states.offer([one for one in rpm_states.NEWER if (one.name, one.version) != ("hospital-agent", "1.1")])
    refused = stage(updates)
    assert refused["failed"] is True
    assert "hospital-agent:noarch: repository now gives 1.2-1; expected manifest allows 1.1-1" in refused["msg"]


def test_a_failing_script_is_told_and_taken_back(host):
    rpm_states.offer(rpm_states.FAILING)
    before = found()
    result = staged()
    failed = install(result["transaction"])
    assert failed["failed"] is True
    assert "%post" in failed["msg"] and "hospital-archive-1.1-1" in failed["msg"], failed["msg"]
    assert "the index is full" in failed["msg"]
    verified = verify(result["transaction"])
    assert [problem["subject"] for problem in verified["problems"]] == ["hospital-archive:noarch"]
    assert install(result["transaction"])["failed"] is True, "a second run called it done"
    back = rollback(result["transaction"])
    assert not back.get("failed"), back
    assert found() == before
    assert verify(result["transaction"], "from")["problems"] == []
