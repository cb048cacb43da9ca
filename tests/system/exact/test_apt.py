# SPDX-License-Identifier: GPL-3.0-or-later
"""An apt host without its repositories: everything but the versions is equal before, with and after a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest

from tests.support import lab
from tests.support.expect import version
from tests.support.journeys import Case, Walked, ask, walk

HOST = "portal1"
#: Updated: a library and what needs it exactly, data, and the hospital's own package. All else is on hold.
UPDATED = ("libssl3", "openssl", "tzdata", "ehr-portal")
#: All that has to be equal beside the versions.
REST = (
    "for mark in auto manual hold; do echo $mark; apt-mark show$mark; done;"
    " update-alternatives --get-selections; dpkg --verify; dpkg --audit"
)
VERSIONS = "dpkg-query -W -f '${Package}:${Architecture} ${Version} ${db:Status-Abbrev}\\n'"


class Told(NamedTuple):
    """The steps in order, and the host before the first and after each."""

    cases: Mapping[str, Walked]
    rest: Mapping[str, str]
    versions: Mapping[str, str]
    targets: Mapping[str, str]


def prepare() -> dict[str, str]:
    """Make the host one with a history; return the versions that are pending."""
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.1.0", "alternative"))
    lab.reset([HOST])
    lab.exec(HOST, "apt-get update -qq")
    pending = lab.exec(HOST, "apt-get -s dist-upgrade | awk '/^Inst/ {gsub(/[()]/, \"\"); print $2, $4}'")
    targets = dict(line.split() for line in pending.splitlines())
    lab.exec(HOST, f"apt-mark hold {' '.join(name for name in targets if name not in UPDATED)}")
    lab.exec(HOST, "apt-mark auto ehr-portal; apt-mark manual libssl3; echo '# here' >> /etc/ehr-portal/portal.ini")
    # A person has chosen the weaker one; the new version registers its own anew, which forgets that choice.
    viewer = "update-alternatives --install /usr/bin/ehr-viewer ehr-viewer"
    lab.exec(HOST, f"{viewer} /usr/lib/ehr-portal/portal.py 10; {viewer} /bin/true 20")
    lab.exec(HOST, "update-alternatives --set ehr-viewer /usr/lib/ehr-portal/portal.py")
    return {name: targets[name] for name in UPDATED}


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    targets = prepare()
    cases, rest, versions = {}, {}, {}

    def look(moment: str) -> None:
        rest[moment], versions[moment] = lab.exec(HOST, REST), lab.exec(HOST, VERSIONS)

    look("before")
    native = lab.exec(HOST, "dpkg --print-architecture").strip()
    updates = [ask(to, name, native if "ssl" in name else "all") for name, to in targets.items()]
    staged = walk({HOST: [Case("stage", updates=updates, steps=["stage"])]})["stage"]
    transaction = staged.results["stage"]["transaction"]
    look("staged")
    lab.cut_off(HOST)
    for case in (
        Case("install", transaction=transaction, steps=["install"]),
        Case("one", transaction=transaction, steps=["rollback"], names=["tzdata"]),
        Case("all", transaction=transaction, steps=["rollback"]),
        Case("again", transaction=transaction, steps=["rollback"]),
    ):
        cases.update(walk({HOST: [case]}))
        look(case.name)
    yield Told(cases, rest, versions, targets)
    lab.publish()
    lab.reset([HOST])


def test_the_repositories_are_out_of_reach(told):
    """Otherwise the rest shows nothing."""
    assert "Err:" in lab.exec(HOST, "apt-get update -o Acquire::http::Timeout=3 -o Acquire::Retries=0 2>&1; true")


def test_staging_changes_nothing(told):
    assert told.versions["staged"] == told.versions["before"]
    assert told.rest["staged"] == told.rest["before"]


def test_the_transaction_is_installed_and_verified(told):
    assert told.cases["install"].did("install"), told.cases["install"].said("install")
    assert told.cases["install"].problems("to") == []
    installed = dict(line.split()[:2] for line in told.versions["install"].splitlines())
    assert {name: value for key, value in installed.items() if (name := key.split(":")[0]) in UPDATED} == told.targets


def test_one_update_goes_back_and_the_others_stay(told):
    assert told.cases["one"].problems("from") == []
    changed = set(told.versions["install"].splitlines()) ^ set(told.versions["one"].splitlines())
    assert {line.split(":")[0] for line in changed} == {"tzdata"}


def test_all_go_back_and_a_second_call_changes_nothing(told):
    assert told.cases["all"].problems("from") == []
    assert told.versions["all"] == told.versions["before"]
    assert version(HOST) == "1.0.0"
    again = told.cases["again"].results["rollback"]
    assert (again["changed"], again["nothing_to_do"]) == (False, True)
    assert told.versions["again"] == told.versions["before"]


@pytest.mark.parametrize("moment", ["install", "one", "all", "again"])
def test_marks_holds_alternatives_and_files_are_equal(moment, told):
    assert told.rest[moment].splitlines() == told.rest["before"].splitlines()
    assert "ehr-viewer                     manual   /usr/lib/ehr-portal/portal.py" in told.rest[moment]
