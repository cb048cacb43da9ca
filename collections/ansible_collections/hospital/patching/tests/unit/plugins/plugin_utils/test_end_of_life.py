# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from datetime import date

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import eol_products, installed
from ansible_collections.hospital.patching.plugins.plugin_utils.end_of_life import (
    CATALOGUE,
    OS_RELEASE,
    Judge,
    cycle_of,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.eol_feed import Cycle, Feed
from ansible_collections.hospital.patching.plugins.plugin_utils.installed import Item
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.software_documents import (
    ALMA,
    DEBIAN,
    EVERYTHING,
    package,
    software,
)

TODAY = date(2026, 6, 10)
DATA = {
    "debian": [{"cycle": "12", "eol": "2026-06-10", "extendedSupport": "2028-06-30"}, {"cycle": "11", "eol": True}],
    "almalinux": [{"cycle": "9", "eol": "2032-05-31"}, {"cycle": "8", "eol": "2029-03-01"}],
    "nginx": [{"cycle": "1.22", "eol": True}, {"cycle": "1.30", "eol": False}],
    "openssl": [{"cycle": "3.0", "eol": "2026-09-07"}, {"cycle": "3", "eol": None}],
    "postgresql": [{"cycle": "15", "eol": "2027-11-11"}],
    "eclipse-temurin": [{"cycle": "17", "eol": "2027-10-31"}, {"cycle": "8", "eol": "2030-12-31"}],
}  # fmt: skip


@pytest.fixture
def feed(tmp_path):
    path = tmp_path / "all.json"
    path.write_text(json.dumps(DATA), encoding="utf-8")
    return Feed(str(path))


def judge(feed, today=TODAY, **more):
    return Judge(feed, today, **more)


def of_os(feed, *identity, today=TODAY, **more):
    (found,) = judge(feed, today, **more).findings(identity[0] if identity else DEBIAN, [])
    return found


@pytest.mark.parametrize(
    ("today", "state", "days_left"),
    [
        (date(2025, 12, 11), "supported", 181),
        (date(2025, 12, 12), "near", 180),
        (date(2026, 6, 10), "near", 0),  # the last day is still supported
        (date(2026, 6, 11), "past", -1),
        (date(2028, 2, 29), "past", -629),
    ],
)
def test_an_operating_system_nears_and_passes_its_end(feed, today, state, days_left):
    found = of_os(feed, today=today)
    assert (found.product, found.cycle, found.eol) == ("debian", "12", "2026-06-10")
    assert (found.state, found.days_left) == (state, days_left)


def test_extended_support_counts_only_for_products_for_which_the_site_has_it(feed):
    later = date(2027, 1, 1)
    assert of_os(feed, today=later).state == "past"
    extended = of_os(feed, today=later, extended=("debian",))
    assert (extended.state, extended.eol) == ("supported", "2028-06-30")
    assert "extended support" in extended.source


def test_a_minor_release_belongs_to_its_major_cycle(feed):
    assert of_os(feed, ALMA).cycle == "9"


@pytest.mark.parametrize(
    ("stated", "state", "source"),
    [
        ("2026-01-01", "past", OS_RELEASE),
        ("2030-01-01", "near", None),
        ("never", "near", None),
        (None, "near", None),
    ],
)
def test_of_two_sources_the_earlier_end_holds(feed, stated, state, source):
    found = of_os(feed, {**DEBIAN, "support_end": stated})
    assert found.state == state
    assert found.source == (source or feed.location)


def test_support_end_speaks_where_the_feed_is_silent(feed):
    identity = {**DEBIAN, "id": "fedora", "version_id": "42", "support_end": "2026-05-13"}
    found = of_os(feed, identity)
    assert (found.state, found.eol, found.source) == ("past", "2026-05-13", OS_RELEASE)


@pytest.mark.parametrize(
    "identity", [None, {}, {"id": "debian"}, {**DEBIAN, "version_id": "99"}, {**DEBIAN, "id": "plan9"}]
)
def test_what_the_feed_does_not_say_is_unknown_and_a_finding(feed, identity):
    found = of_os(feed, identity)
    assert (found.state, found.eol, found.days_left) == ("unknown", None, None)
    assert found.source


def test_without_a_feed_or_with_an_unreadable_one_everything_is_unknown():
    items = installed.read(EVERYTHING).items
    for without in (None, Feed("/nonexistent")):
        found = judge(without).findings(DEBIAN, items)
        assert {one.state for one in found if one.source != CATALOGUE} == {"unknown"}


def test_packages_of_one_source_are_one_finding_and_the_worst_comes_first(feed):
    found = judge(feed).findings(DEBIAN, installed.read(EVERYTHING).items)
    assert [(one.product, one.state) for one in found] == [
        ("flash", "past"),
        ("nginx", "past"),
        ("debian", "near"),
        ("openssl", "near"),
        ("eclipse-temurin", "supported"),
    ]
    openssl = next(one for one in found if one.product == "openssl")
    assert [item.name for item in openssl.items] == ["openssl", "libssl3"]
    flash = found[0]
    assert (flash.source, flash.where) == (CATALOGUE, "/opt/flash")


def test_who_maintains_a_package_is_said(feed):
    items = installed.read(software(packages=[package("nginx", "1.22.1-1", origin="nginx:stable"), package()])).items
    found = {one.product: one.maintained_by for one in judge(feed).findings(DEBIAN, items)}
    assert (found["nginx"], found["openssl"]) == ("upstream", "os")
    unknown = installed.read(software(packages=[package(origin=None)])).items
    assert {one.maintained_by for one in judge(feed).findings(DEBIAN, unknown)} == {"upstream"}


@pytest.mark.parametrize(
    ("version", "cycle"),
    [("3.0.17", "3.0"), ("3.5.1", "3"), ("30.1", None), ("3", "3"), ("2", None)],
)
def test_a_version_belongs_to_the_longest_cycle_by_whole_numbers(version, cycle):
    found = cycle_of(version, {"3": Cycle("3", None), "3.0": Cycle("3.0", None)})
    assert (found.name if found else None) == cycle


@pytest.mark.parametrize(
    ("item", "named"),
    [
        (Item("deb", "postgresql-15", "15.14-0+deb12u1"), ("postgresql", "15.14")),
        (Item("rpm", "postgresql15-server", "15.14-1PGDG.el9"), ("postgresql", "15.14")),
        (Item("deb", "postgresql-client-common", "248"), None),
        (Item("deb", "libssl3", "3.0.17-1", source="openssl"), ("openssl", "3.0.17")),
        (Item("deb", "nginx", "1:1.22.1-9"), ("nginx", "1.22.1")),
        (Item("deb", "haproxy", "2.6.12-1"), ("haproxy", "2.6.12")),
        (Item("rpm", "httpd", "2.4.57-8.el9"), ("apache-http-server", "2.4.57")),
        (Item("deb", "openjdk-17-jre-headless", "17.0.16+8-1", source="openjdk-17"), ("eclipse-temurin", "17.0.16")),
        (Item("rpm", "java-1.8.0-openjdk", "1.8.0.462.b08-1"), ("eclipse-temurin", "8.0.462")),
        (Item("java", "java", "1.8.0_412", path="/opt/jdk", vendor="Oracle Corporation"), ("oracle-jdk", "8.0")),
        (Item("java", "java", "17.0.1", path="/opt/jdk", vendor="Homemade"), None),
        (Item("application", "Firefox", "128.0esr", product="firefox"), ("firefox", "128.0")),
        (Item("application", "Viewer", "1.0"), None),
        (Item("deb", "openssl", None), None),
        (Item("deb", "openssl", "unversioned"), None),
        (Item("pypi", "openssl", "1.0"), None),
    ],
)
def test_installed_things_and_their_products(item, named):
    assert eol_products.product_of(item) == named
