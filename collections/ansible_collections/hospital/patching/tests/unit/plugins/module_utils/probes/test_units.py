# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``units`` on recorded output of ``systemctl show`` (systemd 252, Debian 12)."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry

HEALTHY = """\
Id=paths.target
Names=paths.target
LoadState=loaded
ActiveState=active
SubState=active

Id=systemd-logind.service
Names=systemd-logind.service dbus-org.freedesktop.login1.service
LoadState=loaded
ActiveState=active
SubState=running

Id=apt-daily.service
Names=apt-daily.service
LoadState=loaded
ActiveState=inactive
SubState=dead
"""
FAILED = (
    HEALTHY
    + """
Id=portal.service
Names=portal.service
LoadState=loaded
ActiveState=failed
SubState=failed

Id=orthanc.service
Names=orthanc.service
LoadState=loaded
ActiveState=activating
SubState=auto-restart
"""
)
#: `systemctl show -- ssh.service sshd.service nosuch.service`: an alias is answered by its unit, twice.
NAMED = """\
Id=ssh.service
Names=ssh.service sshd.service
LoadState=loaded
ActiveState=active
SubState=running

Id=ssh.service
Names=ssh.service sshd.service
LoadState=loaded
ActiveState=active
SubState=running

Id=nosuch.service
Names=nosuch.service
LoadState=not-found
ActiveState=inactive
SubState=dead
"""


@pytest.fixture
def read(make_context, recorded_runner):
    def run(stdout, **options):
        runner = recorded_runner(stdout)
        return registry.build(dict(options, name="u", type="units"), make_context(runner=runner)).read(), runner

    return run


def test_no_failed_unit_is_ok(read):
    result, runner = read(HEALTHY)
    assert result["verdict"] == "ok"
    assert result["value"] == {"failed": [], "named": [], "units": {}}
    assert result["detail"] == "none of 3 units failed"
    assert runner.commands[0][-2:] == ["--", "*"]


def test_failed_and_restarting_units_are_failed(read):
    result, _runner = read(FAILED)
    assert result["verdict"] == "failed"
    assert result["value"]["failed"] == ["orthanc.service", "portal.service"]
    assert result["value"]["units"]["orthanc.service"] == "activating (auto-restart)"


def test_named_units_are_found_by_their_aliases(read):
    result, runner = read(NAMED, active=["ssh", "sshd.service"])
    assert result["verdict"] == "ok"
    assert runner.commands[0][-2:] == ["ssh.service", "sshd.service"]
    assert result["value"]["named"] == ["ssh.service", "sshd.service"]


def test_a_named_unit_that_does_not_exist_is_failed(read):
    result, _runner = read(NAMED, active=["ssh", "nosuch"])
    assert result["verdict"] == "failed"
    assert result["detail"] == "nosuch.service is not-found"


def test_a_named_unit_that_is_stopped_is_failed(read):
    assert read(HEALTHY, active=["apt-daily"])[0]["verdict"] == "failed"


def test_named_units_ignore_the_failure_of_others(read):
    assert read(FAILED, active=["systemd-logind"])[0]["verdict"] == "ok"


def test_a_named_unit_in_a_restart_loop_is_failed(read):
    result, _runner = read(FAILED, active=["orthanc"])
    assert result["verdict"] == "failed"
    assert result["value"]["failed"] == ["orthanc.service"]


def test_a_named_unit_that_still_starts_is_inconclusive(read):
    starting = FAILED.replace("SubState=auto-restart", "SubState=start")
    assert read(starting, active=["orthanc"])[0]["verdict"] == "inconclusive"


@pytest.mark.parametrize("stdout", ["", None])
def test_without_an_answer_it_is_inconclusive(read, stdout):
    assert read(stdout)[0]["verdict"] == "inconclusive"
    assert read(stdout, active=["ssh"])[0]["verdict"] == "inconclusive"


@pytest.mark.parametrize("name", ["-Hroot@pump1", "ssh*", " "])
def test_only_names_of_units_are_taken(name):
    with pytest.raises(PatchingError):
        registry.check({"name": "u", "type": "units", "active": [name]})


#: `systemctl show` of a lab host (systemd 252, Debian 12): one unit of each kind.
ENABLED = """\
Type=notify
RemainAfterExit=no
Id=ssh.service
Names=ssh.service sshd.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
Job=

Type=oneshot
RemainAfterExit=no
Id=e2scrub_reap.service
Names=e2scrub_reap.service
LoadState=loaded
ActiveState=inactive
SubState=dead
UnitFileState=enabled
Job=

Type=oneshot
RemainAfterExit=yes
Id=slow.service
Names=slow.service
LoadState=loaded
ActiveState=activating
SubState=start
UnitFileState=enabled-runtime
Job=246

Type=dbus
RemainAfterExit=no
Id=systemd-hostnamed.service
Names=systemd-hostnamed.service dbus-org.freedesktop.hostname1.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=static
Job=

Type=notify
RemainAfterExit=no
Id=dbus.service
Names=dbus.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=static
Job=
"""


def test_the_states_of_enabled_units_are_kept_to_compare(read):
    assert read(ENABLED)[0]["value"]["enabled"] == {
        "ssh.service": "active (running)",
        "e2scrub_reap.service": "oneshot",
        "slow.service": "starting",
    }
