# SPDX-License-Identifier: GPL-3.0-or-later
"""Portals and load balancers of which one may go: users reach the other one."""

from __future__ import annotations

import pytest

from tests.support import lab
from tests.support.database_pair import eventually
from tests.support.told import tell

pytestmark = pytest.mark.slow
FRONT_DOOR = "10.77.10.9"


def has_the_address(host: str) -> bool:
    """Whether users who come to the front door come to this load balancer."""
    return f"inet {FRONT_DOOR}/" in lab.exec(host, "ip -4 address show dev eth0")


def said(host: str, command: str) -> str:
    """What a command of the site prints; its exit status is the last word."""
    return lab.exec(host, f"{command} 2>&1; echo $?")


@pytest.fixture
def first(pair) -> str:
    """The load balancer that has the address."""
    eventually(lambda: has_the_address("lb1") != has_the_address("lb2"), "not just one load balancer has the address")
    return "lb1" if has_the_address("lb1") else "lb2"


def test_the_address_moves_to_the_other_load_balancer_and_stays_there(first, ward):
    other = {"lb1": "lb2", "lb2": "lb1"}[first]
    with ward:
        ward.goes_on()
        assert said(first, "front-door leave") == "0\n"
        assert (has_the_address(first), has_the_address(other)) == (False, True)
        ward.goes_on()
        assert said(first, "front-door stand-in") == "0\n"
        assert (has_the_address(first), has_the_address(other)) == (False, True)
        ward.goes_on()
    tell(ward)
    assert ward.failed == []


def test_the_address_stays_where_the_other_load_balancer_is_away(first):
    other = {"lb1": "lb2", "lb2": "lb1"}[first]
    lab.exec(other, "systemctl stop haproxy")
    try:
        assert said(first, "front-door leave") == (
            f"{other} answers no page, expected one that could take over; nobody was moved\n1\n"
        )
        assert has_the_address(first)
    finally:
        lab.exec(other, "systemctl start haproxy")


def test_a_portal_leaves_both_load_balancers_and_comes_back(pair, ward):
    with ward:
        ward.goes_on()
        assert said("portal1", "ehr-portal-users leave") == "0\n"
        assert not lab.in_service("portal1")
        ward.goes_on()
        orders = "grep -v -c -e /live -e /health /var/log/nginx/access.log || true"
        before = lab.exec("portal1", orders)
        ward.goes_on()
        assert lab.exec("portal1", orders) == before, "users are still sent to portal1"
        assert said("portal1", "ehr-portal-users return") == "0\n"
        assert lab.in_service("portal1")
    tell(ward)
    assert ward.failed == []


def test_the_last_portal_does_not_leave(pair):
    assert said("portal2", "ehr-portal-users leave") == "0\n"
    try:
        left = said("portal1", "ehr-portal-users leave")
        assert left.startswith("no other portal is up everywhere, nobody was moved: lb1 says")
        assert left.endswith("\n1\n")
        assert lab.in_service("portal1")
    finally:
        assert said("portal2", "ehr-portal-users return") == "0\n"
