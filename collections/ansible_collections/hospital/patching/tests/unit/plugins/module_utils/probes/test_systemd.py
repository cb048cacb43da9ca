# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``systemd``, on the properties that ``systemctl show`` prints (systemd 239 and newer)."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed

UNIT = """\
NRestarts={restarts}
Id={name}.service
Names={name}.service{alias}
LoadState={loaded}
ActiveState={active}
SubState={sub}
"""
SOCKET = "Id=ssh.socket\nNames=ssh.socket\nLoadState=loaded\nActiveState=failed\nSubState=failed\n"


def unit(name, restarts=0, active="active", sub="running", loaded="loaded", alias=""):
    return UNIT.format(name=name, restarts=restarts, active=active, sub=sub, loaded=loaded, alias=alias)


@pytest.fixture
def build(make_context, recorded_runner):
    def make(*blocks, **options):
        runner = recorded_runner("\n".join(blocks))
        return registry.build(dict(options, name="s", type="systemd"), make_context(runner=runner))

    return make


def test_restarts_of_named_services_are_counted(build):
    result = build(unit("orthanc", 3), unit("ssh", alias=" sshd.service"), units=["orthanc", "sshd"]).read()
    assert result["verdict"] == "ok"
    assert result["value"] == {
        "failed": [],
        "failed_units": 0,
        "restarts": {"orthanc.service": 3, "sshd.service": 0},
    }


def test_more_restarts_than_declared_are_failed(build):
    result = build(unit("orthanc", 3), units=["orthanc"], restarts_limit=2).read()
    assert (result["verdict"], result["detail"]) == ("failed", "orthanc.service restarted 3 times, the limit is 2")


def test_failed_units_are_counted_without_those_that_are_known(build):
    blocks = [unit("cups", active="failed", sub="failed"), unit("ris", active="activating", sub="auto-restart"), SOCKET]
    assert build(*blocks, ignore=["cups"]).read()["value"]["failed"] == ["ris.service", "ssh.socket"]
    assert build(*blocks, failed_limit=3).read()["verdict"] == "ok"
    result = build(*blocks, failed_limit=1, ignore=["cups"]).read()
    assert result["detail"] == "2 units failed, the limit is 1: ris.service, ssh.socket"


def test_a_service_that_is_not_installed_is_failed(build):
    result = build(unit("ris", loaded="not-found", active="inactive", sub="dead"), units=["ris"]).read()
    assert (result["verdict"], result["detail"]) == ("failed", "ris.service is not-found")


def test_a_systemd_that_does_not_count_is_inconclusive(build):
    block = unit("ris").replace("NRestarts=0\n", "")
    assert build(block, units=["ris"]).read()["verdict"] == "inconclusive"
    assert build(block, units=["other"]).read()["verdict"] == "inconclusive"
    assert build("").read()["verdict"] == "inconclusive"


def test_a_service_that_is_restarted_between_readings_is_told(build):
    probe = build(unit("ris"), units=["ris", "pacs"])
    seen = [{"restarts": {"ris.service": count, "pacs.service": 7}} for count in (4, 4, 5, 0, 1)]
    with pytest.raises(Failed, match=r"^ris\.service restarted 2 times while it was watched$"):
        probe.settled(seen)
    # Started by hand: the counter begins anew, and that is no failure.
    assert probe.settled([seen[0], seen[3]]) == seen[3]


@pytest.mark.parametrize(
    "options",
    [
        {"units": ["ssh.socket"]},
        {"units": ["-H"]},
        {"units": ["ssh*"]},
        {"ignore": ["a b"]},
        {"restarts_limit": -1},
        {"active": ["ssh"]},
    ],
)
def test_a_bad_definition_is_refused(options):
    with pytest.raises(PatchingError):
        registry.check(dict(options, name="s", type="systemd"))
