# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a patch back: by the run itself when it fails, and by a person who asks for it."""

from __future__ import annotations

import json

import pytest

from tests.support import lab
from tests.support.expect import version
from tests.support.night import PORTALS, as_found
from tests.support.traffic import Traffic


def untouched(host: str) -> str:
    """Return all of a host that a patch would have changed."""
    return lab.exec(host, "dpkg-query -W; stat -c %Y /proc/1; systemctl show -p ActiveEnterTimestamp ehr-portal nginx")


@pytest.mark.parametrize(
    "variant",
    [
        # `make demo` has the same, and the host that is held below begins so.
        pytest.param("unhealthy", marks=pytest.mark.slow),
        "failing_postinst",
    ],
)
def test_an_old_version_that_is_in_no_repository_comes_back(night, variant):
    """Stage packs it from its files; a configuration file that was changed here stays as it is."""
    lab.publish(lab.PortalVersion("1.1.0", variant))
    night.settings["patching_settle_s"] = 6
    lab.exec("portal1", "rm -f /var/cache/apt/archives/*.deb; echo '# changed here' >> /etc/ehr-portal/portal.ini")
    settings, before = lab.exec("portal1", "cat /etc/ehr-portal/portal.ini"), untouched("portal2")
    files = lab.exec("portal1", "cd / && dpkg -L ehr-portal | xargs stat -c '%n %a %U %F %s'")
    night.ready()
    with Traffic(lab.url("lb1")) as traffic:
        patched = night.play("patch")
    assert patched.rc != 0
    assert night.outcomes() == {"portal1": "rolled_back", "portal2": "not_started"}
    assert version("portal1") == "1.0.0"
    assert (
        lab.exec("portal1", "dpkg --audit; dpkg --verify ehr-portal | grep -v /etc/ehr-portal/portal.ini; true") == ""
    )
    assert lab.exec("portal1", "cat /etc/ehr-portal/portal.ini") == settings
    assert lab.exec("portal1", "cd / && dpkg -L ehr-portal | xargs stat -c '%n %a %U %F %s'") == files
    assert untouched("portal2") == before
    assert [answer for answer in traffic.answers if not answer.ok] == []
    services = json.loads((night.run / "report.json").read_text(encoding="utf-8"))["services"]
    service = next(one for one in services if one["service"] == "portal")
    assert service["downtime"] == {"at_least_s": 0, "at_most_s": 0}, service["downtime_basis"]

    # The host's own text is still the host's: a later version must not overwrite it as if it were the vendor's.
    lab.publish(lab.PortalVersion("1.2.0", "conffile"), refresh=["portal1"])
    lab.exec(
        "portal1",
        "DEBIAN_FRONTEND=noninteractive apt-get install -qq -o Dpkg::Options::=--force-confdef"
        " -o Dpkg::Options::=--force-confold ehr-portal=1.2.0",
    )
    assert lab.exec("portal1", "cat /etc/ehr-portal/portal.ini") == settings


def test_a_person_takes_back_one_update_then_the_whole_run(two_updates):
    night = two_updates
    old = {package: version("portal1", package) for package in ("tzdata", "ehr-portal")}
    night.ready()
    assert night.play("patch").rc == 0
    new = {package: version("portal1", package) for package in old}
    assert all(new[package] != old[package] for package in old)
    marks = lab.exec("portal1", "apt-mark showmanual; apt-mark showhold")

    run = {"patching_run_id": night.plan["plan_id"], "rollback_reason": "appointments an hour late"}
    with Traffic(lab.url("lb1")) as traffic:
        started = lab.exec("portal1", "systemctl show -p MainPID ehr-portal")
        one = night.play("rollback", **run, rollback_hosts="portal1", rollback_updates="ehr-portal")
        assert one.rc == 0, one.stdout
        assert (version("portal1", "tzdata"), version("portal1")) == (new["tzdata"], old["ehr-portal"])
        assert (version("portal2", "tzdata"), version("portal2")) == (new["tzdata"], new["ehr-portal"])
        assert lab.exec("portal1", "systemctl show -p MainPID ehr-portal") != started, "it still runs the new code"
        assert "appointments an hour late" in night.reason("portal1")

        everything = night.play("rollback", **run, rollback_hosts="all")
        assert everything.rc == 0, everything.stdout
    for host in PORTALS:
        assert {package: version(host, package) for package in old} == old
    assert night.outcomes() == dict.fromkeys(PORTALS, "rolled_back")
    assert lab.exec("portal1", "apt-mark showmanual; apt-mark showhold") == marks
    assert [answer for answer in traffic.answers if not answer.ok] == []
    returned = [record["host"] for record in night.records() if (record["step"], record["event"]) == ("return", "done")]
    assert returned[-2:] == ["portal2", "portal1"] or returned[-4:] == ["portal2", "portal2", "portal1", "portal1"]

    nothing = night.play("rollback", **run, rollback_hosts="portal9")
    assert "host portal9: the run's plan does not name it" in " ".join(nothing.messages())


def test_a_host_that_cannot_be_put_back_is_held_and_shouted_about(night):
    """What was preserved is lost after the stage, so neither version of the portal can be had in good health."""
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.1.0", "unhealthy"))
    night.settings.update(patching_settle_s=6, patching_snapshot={"provider": "none", "reason": "only in this test"})
    night.ready()
    lab.exec("portal1", "rm /var/lib/hospital-patching/preserved/*/debs/*.deb")
    with Traffic(lab.url("lb1")) as traffic:
        patched = night.play("patch")
    assert patched.rc != 0
    assert night.outcomes() == {"portal1": "stuck", "portal2": "not_started"}
    assert not lab.in_service("portal1"), "users are sent to a host that is ill"
    assert "held 1 times" in as_found("portal1")
    assert [answer for answer in traffic.answers if not answer.ok] == []
    report = json.loads((night.run / "report.json").read_text(encoding="utf-8"))
    first = report["needs_you"][0]
    assert (first["hosts"], first["outcome"]) == (["portal1"], "stuck")
    assert "was not preserved" in first["why"]

    again = night.prepare()
    assert night.run.name in again["not_planned"]["portal1"]["reason"] or "held by run" in str(again["not_planned"])


@pytest.mark.slow
def test_a_rollback_that_cannot_be_done_disrupts_nothing(staged):
    """Refused while the host serves: its way back is gone, its window is shut, or its package was changed since."""
    night = staged
    assert night.play("patch").rc == 0
    run = {"patching_run_id": night.plan["plan_id"], "rollback_hosts": "portal1", "rollback_reason": "second thoughts"}
    before = {host: as_found(host) for host in PORTALS}
    checked = night.play("rollback", "--check", **run)
    assert checked.rc == 0, checked.stdout
    lab.exec("portal1", "mv /var/lib/hospital-patching/preserved /var/lib/hospital-patching/elsewhere")
    with Traffic(lab.url("lb1")) as traffic:
        lost = night.play("rollback", **run)
    lab.exec("portal1", "mv /var/lib/hospital-patching/elsewhere /var/lib/hospital-patching/preserved")
    assert lost.rc != 0
    assert "was not preserved" in " ".join(lost.messages())
    assert night.outcomes() == dict.fromkeys(PORTALS, "patched"), "an outcome was changed though nothing was"
    assert {host: as_found(host) for host in PORTALS} == before
    assert [answer for answer in traffic.answers if not answer.ok] == []

    lab.stop("portal2")
    alone = night.play("rollback", **run)
    assert alone.rc != 0
    assert "portal2" in " ".join(alone.messages()), "the last serving host would have been taken away"
    assert as_found("portal1") == before["portal1"]
