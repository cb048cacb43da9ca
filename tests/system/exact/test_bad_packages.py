# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad packages and bad repositories on an apt host: what happens, what is said, and that the application works after.

Whole nights with bad packages are shown elsewhere and not once more here:

| what is bad | shown in | what happens |
| --- | --- | --- |
| breaks the application's health, old version in no repository | way_back/test_rollback.py | rolled back |
| postinst fails in a night | way_back/test_rollback.py | rolled back |
| breaks the application's health, and so does its way back | way_back/test_rollback.py | stuck, and shouted about |
| needs a reboot | night/test_night.py, killed/test_killed.py | rebooted and proven |
| repository unsigned; repository away | way_back/test_refusals.py | refused at assess and at stage |
| disk full at stage | way_back/test_refusals.py | refused at stage |
| package database locked for longer than allowed | way_back/test_refusals.py | refused before the host is drained |
| something else updated the package since the stage | way_back/test_refusals.py | refused before the host is drained |

Here the modules are called by themselves, on both portal hosts side by side. The tables below say the outcome:
``refused`` at stage, or by the installation ``untouched``, before anything was changed; ``failed``, and put back by
the way back, also where an installation was cut off; or ``installed``, and put back all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from hospital_lab import machine

from tests.support import lab
from tests.support.expect import four_parts, version
from tests.support.journeys import Case, Walked, ask, walk
from tests.support.night import PORTALS, portals_as_built


class Bad(NamedTuple):
    """What becomes of one bad package, and what the message names."""

    outcome: str
    said: str = ""
    meanwhile: str = ""
    tidy: str = ""
    timeout_s: int = 120
    left: str = ""  # a line that dpkg has more to say afterwards


#: A unit of the host's own that nobody has started.
EXTRA = "printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/ehr-extra.service"
NO_EXTRA = "systemctl stop ehr-extra; rm -f /etc/systemd/system/ehr-extra.service; systemctl daemon-reload"

PACKAGES: Mapping[str, Bad] = {
    # Refused at stage: the transaction would not be the manifest's, or there is none.
    "removes_another": Bad("refused", "nginx-light"),
    "removes_essential": Bad("refused", "hostname"),
    "unmet_dependency": Bad("refused", "ehr-viewer"),
    "file_of_another": Bad("refused", "it brings /usr/sbin/nginx, a file of nginx"),
    # Failed in the window: said in dpkg's or the script's own words, and taken back.
    "failing_preinst": Bad("failed", "not on this hardware"),
    "failing_postinst": Bad("failed", "schema migration failed"),
    "failing_trigger": Bad("failed", "index is damaged"),
    "hanging_postinst": Bad("failed", "no end after 10 s", timeout_s=10),
    "killing_postinst": Bad("failed", "killed by signal 9"),
    # The module dies with dpkg: what it has begun is repaired by whoever comes next.
    "killing_work": Bad("killed"),
    # Nothing asks, and what was changed here stays as it is.
    "debconf": Bad("installed"),
    "conffile": Bad("installed"),
    # A directory where the configuration file was: the host's own file comes back with the old version.
    # dpkg goes on to expect the file that was in it, until the package is next upgraded.
    "conffile_directory": Bad(
        "installed", left="missing   c /etc/ehr-portal/portal.ini/settings.ini (Not a directory)"
    ),
    # The new version cannot be removed by its own script; dpkg then asks the old one's.
    "failing_prerm": Bad("installed"),
    # policy-rc.d is asked by Debian's own tools only; what calls systemctl itself is not held.
    "starting_postinst": Bad("installed", meanwhile=EXTRA, tidy=NO_EXTRA),
}
VERSIONS = {variant: f"2.{number:02}" for number, variant in enumerate(PACKAGES)}

#: apt does so unless it is told otherwise.
CHECK_DATES = 'Acquire::Check-Valid-Until "true";\nAcquire::Check-Date "true";\n'
CHANGED_HERE = "# changed here, with nothing of it in any package"


@pytest.fixture(scope="module")
def hosts() -> Iterator[None]:
    """Both portal hosts as built, with a configuration file that was changed on them."""
    portals_as_built()
    for host in PORTALS:
        lab.exec(host, f"echo '{CHANGED_HERE}' >> /etc/ehr-portal/portal.ini")
        # Debian's archive takes longer to read than all the rest together, and nothing here is in it.
        lab.exec(host, "find /etc/apt -name '*.sources' -o -name sources.list | grep -v hospital | xargs rm -f")
        # Where the machine reads frozen archives, its settings and so the hosts' leave the date alone.
        lab.write(host, "/etc/apt/apt.conf.d/zz-dates", CHECK_DATES)
    yield
    lab.publish()


@pytest.fixture(scope="module")
def walked(hosts) -> Mapping[str, Walked]:
    """Walk through all bad packages once, half of them on each host."""
    lab.publish(lab.PortalVersion("1.0.0"), *(lab.PortalVersion(VERSIONS[variant], variant) for variant in PACKAGES))
    cases = [
        Case(variant, [ask(VERSIONS[variant])], meanwhile=bad.meanwhile, tidy=bad.tidy, timeout_s=bad.timeout_s)
        for variant, bad in PACKAGES.items()
    ]
    return walk({"portal1": cases[::2], "portal2": cases[1::2]})


@pytest.mark.parametrize("variant", PACKAGES)
def test_a_bad_package(variant, walked):
    case, bad = walked[variant], PACKAGES[variant]
    after = [line for line in case.after.splitlines() if line != bad.left or not bad.left]
    assert after == case.before.splitlines(), "the host is not what it was, or the portal is ill"
    if bad.outcome == "refused":
        assert not case.did("stage")
        assert bad.said in case.said("stage")
        four_parts(case.said("stage"))
        return
    assert case.did("stage"), case.said("stage")
    assert case.did("install") is (bad.outcome == "installed"), case.said("install")
    if bad.outcome == "failed":
        assert bad.said in case.said("install")
        four_parts(case.said("install"))
    if bad.outcome == "installed":
        assert case.problems("to") == []
    assert case.did("rollback"), case.said("rollback")
    assert case.problems("from") == []
    assert "version 1.0.0" in case.results["served"]["stdout"], "users got something else than the running version"


def test_a_changed_configuration_file_is_kept_and_the_proposal_told(walked):
    result = walked["conffile"].results["install"]
    assert result["conffile_proposals"] == ["/etc/ehr-portal/portal.ini.dpkg-dist"]
    assert CHANGED_HERE in walked["conffile"].after


# --- repositories --------------------------------------------------------------------------------


class Repository(NamedTuple):
    """A repository that cannot be trusted: how it is published, and what the refusal names."""

    published: Mapping[str, Any]
    said: str


REPOSITORIES = {
    "signed_by_a_stranger": Repository({"by_a_stranger": True}, "InRelease"),
    "expired": Repository({"expired": True}, "expired"),
    "wrong_checksum": Repository({"wrong_checksums": ["1.1.0"]}, "ehr-portal"),
    "truncated": Repository({"truncated": ["1.1.0"]}, "ehr-portal"),
}


def require_refused(case: Walked, *said: str) -> None:
    """Require that the stage refused for what is named, and that the host is what it was."""
    assert not case.did("stage"), case.results["stage"]
    for part in said:
        assert part in case.said("stage")
    four_parts(case.said("stage"))
    assert case.after == case.before


@pytest.mark.parametrize("fault", REPOSITORIES)
def test_a_repository_that_cannot_be_trusted(fault, hosts):
    lab.publish(**REPOSITORIES[fault].published)
    case = walk({"portal1": [Case(fault, updates=[ask("1.1.0")])]})[fault]
    require_refused(case, REPOSITORIES[fault].said)


def manifest_of(walked: Walked) -> dict[str, Any]:
    """A manifest that allows what a host has staged, and nothing else."""
    entries = walked.results["stage"]["transaction"]["entries"]
    return {
        "digest": "sha256:" + "0" * 64,
        "group": f"debian-12-{machine.architecture()}",
        "entries": [
            {"name": one["name"], "arch": one["arch"], "version": one["to"], "sha256": one["sha256"], "kind": "upgrade"}
            for one in entries
        ],
    }


@pytest.fixture(scope="module")
def canary(hosts) -> Walked:
    """What the first host has staged; the manifest of all others is made of it."""
    lab.publish()
    return walk({"portal1": [Case("canary", updates=[ask("1.1.0")], steps=["stage"])]})["canary"]


def test_a_repository_that_gives_the_same_version_another_content(canary):
    """Before the stage it is refused; after it nobody looks there any more."""
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.1.0", "unhealthy"))
    transaction = canary.results["stage"]["transaction"]
    cases = walk(
        {
            "portal1": [Case("staged", transaction=transaction, steps=["install", "rollback"])],
            "portal2": [Case("not_staged", updates=[ask("1.1.0")], manifest=manifest_of(canary))],
        }
    )
    require_refused(cases["not_staged"], "ehr-portal:all", "manifest allows SHA-256")
    assert cases["staged"].problems("to") == []
    assert cases["staged"].after == cases["staged"].before


def test_a_manifest_of_another_architecture(canary):
    foreign = ask("1.1.0", arch="arm64")
    manifest = manifest_of(canary)
    manifest["entries"][0]["arch"] = "arm64"
    case = walk({"portal2": [Case("foreign", updates=[foreign], manifest=manifest)]})["foreign"]
    require_refused(case, "ehr-portal:arm64", "repository gives 1.1.0 for all only")


def test_a_manifest_of_another_release(canary):
    manifest = {**manifest_of(canary), "group": f"debian-13-{machine.architecture()}"}
    case = walk({"portal2": [Case("other_release", updates=[ask("1.1.0")], manifest=manifest)]})["other_release"]
    require_refused(case, "it is debian-12-", "the manifest is for debian-13-")


# --- a second wave, after the repository went on ------------------------------------------------------


@pytest.mark.parametrize("kept", [True, False], ids=["old_one_kept", "old_one_gone"])
def test_a_second_wave_gets_the_manifests_versions_and_no_newer_ones(kept, canary):
    """portal1 was staged before the repository went on, portal2 was not."""
    old = [lab.PortalVersion("1.1.0")] if kept else []
    lab.publish(lab.PortalVersion("1.0.0"), *old, lab.PortalVersion("1.2.0"), refresh=PORTALS)
    cases = walk(
        {
            "portal1": [
                Case("staged", transaction=canary.results["stage"]["transaction"], steps=["install", "rollback"])
            ],
            "portal2": [Case("second", updates=[ask("1.1.0")], manifest=manifest_of(canary))],
        }
    )
    assert [one["to"] for one in cases["staged"].results["install"]["installed"]] == ["1.1.0"]
    assert cases["staged"].problems("to") == []
    if kept:
        assert [one["to"] for one in cases["second"].results["install"]["installed"]] == ["1.1.0"]
        assert cases["second"].problems("to") == []
    else:
        require_refused(cases["second"], "repository now gives 1.2.0", "manifest allows 1.1.0")


# --- disks, and what was staged ----------------------------------------------------------------------


@pytest.fixture
def staged(hosts) -> Mapping[str, Any]:
    """A transaction that portal2 has staged: one large file more."""
    lab.publish(lab.PortalVersion("1.0.0"), lab.PortalVersion("1.3.0", "large"))
    return walk({"portal2": [Case("large", updates=[ask("1.3.0")], steps=["stage"])]})["large"].results["stage"]


def test_a_disk_that_is_full_while_dpkg_unpacks(staged):
    folder = "/usr/lib/ehr-portal"
    lab.in_mount_namespace("portal2", f"mount -t tmpfs -o size=1m,mode=755 tmpfs /mnt && cp -a {folder}/. /mnt/")
    lab.in_mount_namespace("portal2", f"mount --move /mnt {folder}")
    try:
        case = walk({"portal2": [Case("full", transaction=staged["transaction"], steps=["install", "rollback"])]})
    finally:
        lab.in_mount_namespace("portal2", f"umount {folder}")
    assert "No space left on device" in case["full"].said("install")
    four_parts(case["full"].said("install"))
    assert case["full"].problems("from") == []
    assert case["full"].after == case["full"].before


def test_a_disk_that_is_full_when_etc_is_archived(staged):
    lab.exec("portal2", "mkdir -p /var/lib/hospital-patching/etc")
    lab.in_mount_namespace("portal2", "mount -t tmpfs -o size=64k tmpfs /var/lib/hospital-patching/etc")
    try:
        case = walk({"portal2": [Case("etc", transaction=staged["transaction"], steps=["install", "rollback"])]})
    finally:
        lab.in_mount_namespace("portal2", "umount /var/lib/hospital-patching/etc")
    said = case["etc"].said("install")
    assert "No space left on device" in said
    assert "nothing was installed" in said
    four_parts(said)
    assert version("portal2") == "1.0.0"
    assert case["etc"].after == case["etc"].before


def test_a_staged_file_that_was_changed(staged):
    case = Case(
        "changed",
        updates=[ask("1.3.0")],
        meanwhile="for one in /var/lib/hospital-patching/stage/*/debs/ehr-portal_1.3.0_*; do echo x >> $one; done",
    )
    walked = walk({"portal2": [case]})["changed"]
    assert not walked.did("install")
    assert "SHA-256" in walked.said("install")
    assert "nothing was installed" in walked.said("install")
    four_parts(walked.said("install"))
    assert walked.after == walked.before


def test_a_way_back_whose_old_version_is_gone(staged):
    """Said before anything is changed; with its old version at hand again it goes back."""
    kept, away = "/var/lib/hospital-patching/preserved", "/var/lib/hospital-patching/away"
    transaction = staged["transaction"]
    cases = [
        Case("gone", transaction=transaction, steps=["install", "rollback"], meanwhile=f"mv {kept} {away}"),
        Case("found", transaction=transaction, steps=["rollback"], meanwhile=f"rm -rf {kept}; mv {away} {kept}"),
    ]
    walked = walk({"portal2": cases})
    assert "1.0.0 was not preserved" in walked["gone"].said("rollback")
    assert "nothing was changed" in walked["gone"].said("rollback")
    four_parts(walked["gone"].said("rollback"))
    assert "the portal is ill" not in walked["gone"].after
    assert walked["found"].problems("from") == []
    assert walked["found"].after == walked["gone"].before
