# SPDX-License-Identifier: GPL-3.0-or-later
"""What one look decides. That the protocol around it is safe is test_exclusion_exploration.py's."""

from __future__ import annotations

from itertools import product

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.exclusion import (
    BackOff,
    Go,
    Intent,
    PeerReading,
    decide,
    look_at,
)

OLDER, MINE, NEWER = (f"20261122T0{hour}0000Z-ab12cd34" for hour in (1, 2, 3))
DIGEST, OTHER_DIGEST = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def service(*hosts, min_healthy, never_with=()):
    return {"hosts": list(hosts), "min_healthy": min_healthy, "never_with": list(never_with)}


PAIR = {"portal": service("portal1", "portal2", min_healthy=1)}
FIVE = {"web": service("web1", "web2", "web3", "web10", "web11", min_healthy=3)}
APART = {
    "ehr": service("ehr1", "ehr2", min_healthy=1, never_with=["viewer"]),
    "viewer": service("viewer1", "viewer2", min_healthy=1),
    "portal": service("portal1", "portal2", min_healthy=1),
}
OWN = Intent(MINE, "portal1", ("portal",), DIGEST)


def held(host, run_id, digest=DIGEST, **more):
    return PeerReading(host, intent=Intent(run_id, host, ("portal",), digest), **more)


def ask(*readings, own=OWN, services=None):
    return decide(own, readings, services or PAIR)


def web(host, run_id=MINE):
    return Intent(run_id, host, ("web",), DIGEST)


# --- where to look -------------------------------------------------------------------


def test_it_looks_at_all_other_hosts_of_its_services_and_their_partners_in_natural_order():
    assert look_at(web("web2"), FIVE) == ["web1", "web3", "web10", "web11"]
    assert look_at(Intent(MINE, "ehr1", ("ehr",), DIGEST), APART) == ["ehr2", "viewer1", "viewer2"]


def test_a_partner_counts_whichever_of_the_two_says_so():
    own = Intent(MINE, "viewer1", ("viewer",), DIGEST)
    assert look_at(own, APART) == ["ehr1", "ehr2", "viewer2"]
    both = APART | {"viewer": service("viewer1", "viewer2", min_healthy=1, never_with=["portal"])}
    assert look_at(own, both) == ["ehr1", "ehr2", "portal1", "portal2", "viewer2"]


def test_a_host_of_two_services_looks_at_both():
    services = PAIR | {"dns": service("dns1", "portal1", min_healthy=1)}
    own = Intent(MINE, "portal1", ("portal", "dns"), DIGEST)
    assert look_at(own, services) == ["dns1", "portal2"]
    readings = [PeerReading("portal2"), PeerReading("dns1", out="unverified")]
    assert decide(own, readings, services).reason.startswith("dns: 1 of 2 hosts may be out")


def test_a_host_without_a_service_goes():
    assert ask(own=Intent(MINE, "ws1", (), DIGEST)) == Go()


# --- availability ----------------------------------------------------------------------


def test_it_goes_while_all_others_serve():
    assert ask(PeerReading("portal2")) == Go()


SAYS = "portal: 1 of 2 hosts may be out, and portal2 ({}) is; "
LATER = "portal1 is given up and tried again later"


@pytest.mark.parametrize(
    ("reading", "why", "then", "clear", "retry"),
    [
        (PeerReading("portal2", unreadable="no answer on port 22"), "no answer on port 22", LATER, True, True),
        (held("portal2", OLDER), f"held by run {OLDER}", LATER, True, True),
        (
            held("portal2", NEWER),
            f"held by run {NEWER}",
            "it is this run's turn: it keeps portal1 and looks again",
            False,
            True,
        ),
        (
            PeerReading("portal2", out="unverified"),
            "unverified",
            "return those that are out, then start the run again",
            True,
            False,
        ),
        (PeerReading("portal2", probes_ok=False), "no journal, and its probes are not ok", LATER, True, True),
    ],
    ids=["unreachable", "held by an older run", "held by a newer run", "unverified", "no journal and not ok"],
)
def test_a_peer_that_is_out_forbids_it(reading, why, then, clear, retry):
    assert ask(reading) == BackOff(SAYS.format(why) + then, clear, retry)


def test_a_host_that_was_not_looked_at_counts_as_out():
    assert ask() == BackOff(SAYS.format("not looked at") + LATER, clear=True, retry=True)


def test_a_reading_of_a_host_that_is_no_peer_changes_nothing():
    assert ask(PeerReading("portal2"), PeerReading("lb1", unreadable="no answer")) == Go()


def test_a_host_without_a_journal_serves_when_its_probes_are_ok():
    assert ask(PeerReading("portal2", probes_ok=True)) == Go()


def test_one_that_wants_an_unverified_host_is_waited_for_like_any_other():
    assert ask(held("portal2", OLDER, out="unverified")).retry
    assert ask(held("portal2", NEWER, out="unverified")).clear


def test_as_many_go_as_may_be_out_and_the_runs_own_count():
    own, serving = PeerReading("web2", intent=web("web2")), [PeerReading(host) for host in ("web10", "web11")]
    assert decide(web("web3"), [own, PeerReading("web1"), *serving], FIVE) == Go()
    answer = decide(web("web3"), [own, PeerReading("web1", unreadable="no answer"), *serving], FIVE)
    assert answer == BackOff(
        f"web: 2 of 5 hosts may be out, and web1 (no answer), web2 (held by run {MINE}) is;"
        " web3 is given up and tried again later",
        clear=True,
        retry=True,
    )


def test_a_singleton_that_may_be_down_goes_and_one_that_may_not_never_does():
    own = Intent(MINE, "db1", ("db",), DIGEST)
    assert decide(own, [], {"db": service("db1", min_healthy=0)}) == Go()
    answer = decide(own, [], {"db": service("db1", min_healthy=1)})
    assert answer == BackOff(
        "db: 0 of 1 hosts may be out, and none is; return those that are out, then start the run again", True, False
    )


# --- whose turn it is ------------------------------------------------------------------


def test_within_a_run_the_first_host_keeps_its_intent_and_ten_comes_after_two():
    others = [PeerReading("web1", unreadable="no answer"), PeerReading("web3"), PeerReading("web11")]
    two, ten = web("web2"), web("web10")
    assert decide(two, [*others, PeerReading("web10", intent=ten)], FIVE).clear is False
    assert decide(ten, [*others, PeerReading("web2", intent=two)], FIVE).clear is True


def test_of_three_in_each_others_way_as_many_keep_as_may_go():
    wants = [web("web1", OLDER), web("web2", MINE), web("web3", NEWER)]
    readings = [PeerReading("web10"), PeerReading("web11"), *(PeerReading(one.host, intent=one) for one in wants)]
    assert [decide(one, readings, FIVE).clear for one in wants] == [False, False, True]


def test_keeping_is_pointless_where_the_others_are_out_anyway():
    down = [PeerReading(host, unreadable="no answer") for host in ("web2", "web3")]
    rest = [PeerReading("web10", intent=web("web10", NEWER)), PeerReading("web11")]
    answer = decide(web("web1"), [*down, *rest], FIVE)
    assert (answer.clear, answer.retry) == (True, True)


# --- never together --------------------------------------------------------------------


@pytest.mark.parametrize(("name", "other"), [("ehr", "viewer"), ("viewer", "ehr")])
def test_what_is_never_out_together_waits_for_one_host(name, other):
    own = Intent(MINE, f"{name}1", (name,), DIGEST)
    serving = [PeerReading(f"{name}2"), PeerReading(f"{other}1")]
    assert decide(own, [*serving, PeerReading(f"{other}2")], APART) == Go()
    for reading, why in (
        (PeerReading(f"{other}2", unreadable="no answer"), "no answer"),
        (held(f"{other}2", OLDER), f"held by run {OLDER}"),
    ):
        assert decide(own, [*serving, reading], APART) == BackOff(
            f"{name} is never out together with {other}, of which {other}2 ({why}) is;"
            f" {name}1 is given up and tried again later",
            clear=True,
            retry=True,
        )


# --- the catalogue ---------------------------------------------------------------------


def test_nobody_goes_beside_another_catalogue_even_where_all_may_be_out():
    services = {"portal": service("portal1", "portal2", min_healthy=0)}
    assert ask(held("portal2", OLDER), services=services) == Go()
    answer = ask(held("portal2", OLDER, OTHER_DIGEST), services=services)
    assert answer == BackOff(f"portal2 is held by run {OLDER}, which has another catalogue; {LATER}", True, True)
    assert ask(held("portal2", NEWER, OTHER_DIGEST), services=services).clear is False


def test_a_catalogue_that_does_not_know_the_host_or_a_partner_refuses():
    assert ask(own=Intent(MINE, "portal3", ("portal",), DIGEST)) == BackOff(
        "the catalogue does not know portal3 as a host of portal; correct the catalogue and plan again", True, False
    )
    answer = ask(services={"portal": service("portal1", min_healthy=0, never_with=["dns"])})
    assert answer == BackOff(
        "portal is never out together with dns, which the catalogue does not know;"
        " correct the catalogue and plan again",
        True,
        False,
    )


# --- for every reading -----------------------------------------------------------------


def _all_readings(host):
    return [
        PeerReading(host),
        PeerReading(host, probes_ok=True),
        PeerReading(host, probes_ok=False),
        PeerReading(host, unreadable="no answer"),
        PeerReading(host, out="unverified"),
        *(held(host, run_id, digest) for run_id in (OLDER, MINE, NEWER) for digest in (DIGEST, OTHER_DIGEST)),
    ]


@pytest.mark.parametrize("min_healthy", [0, 1, 2, 3])
def test_it_goes_exactly_while_as_many_serve_as_must(min_healthy):
    services = {"web": service("a", "b", "c", min_healthy=min_healthy)}
    own = Intent(MINE, "a", ("web",), DIGEST)
    for readings in product(_all_readings("b"), _all_readings("c")):
        out = 1 + sum(1 for one in readings if one.why_out())
        agree = all(one.intent is None or one.intent.catalogue_digest == DIGEST for one in readings)
        assert (decide(own, readings, services) == Go()) is (out <= 3 - min_healthy and agree)


def test_of_two_in_each_others_way_exactly_one_keeps_its_intent():
    for mine, theirs in product((OLDER, MINE, NEWER), repeat=2):
        one, two = Intent(mine, "portal1", ("portal",), DIGEST), Intent(theirs, "portal2", ("portal",), DIGEST)
        answers = [ask(PeerReading(b.host, intent=b), own=a) for a, b in ((one, two), (two, one))]
        assert sorted(answer.clear for answer in answers) == [False, True]
