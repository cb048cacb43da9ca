# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import asdict, fields

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import schema
from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain
from ansible_collections.hospital.patching.plugins.plugin_utils.settings import (
    SETTINGS,
    Settings,
    effective,
    explain,
)
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    ALL_HOSTS,
    AWX,
    CRITICAL,
    PORTAL,
)

#: The smallest way of a site's own commands.
SAN = {"provider": "hook", "create": ["san", "create"], "info": ["san", "list"], "delete": ["san", "delete"]}


def settings(**variables):
    return effective("portal1", {f"patching_{key}": value for key, value in variables.items()})


def test_the_smallest_configuration_of_the_design_is_accepted_as_written():
    found = effective("portal1", {**ALL_HOSTS, **PORTAL, **AWX, **CRITICAL})
    assert found.managed
    assert found.device_segments == ("10.9.0.0/16",)
    assert found.drain == {"type": "haproxy", "host": "lb1", "backend": "portal"}
    assert (found.tier, found.soak_s, found.estimate_s, found.way_back_s) == (3, 600, 1800, 1800)
    assert found.snapshot == {"provider": "auto"}
    assert found.security_only
    assert found.evidence_dir == "./evidence"


def test_one_line_is_enough_to_be_observed():
    found = effective("any", {**ALL_HOSTS, "ansible_host": "10.1.0.1", "patch": "no prefix"})
    assert (found.policy, found.managed, found.kind) == ("observed", False, "server")


def test_nothing_set_means_observed_and_no_segments():
    assert settings().device_segments is None
    assert settings().policy == "observed"


def test_the_table_and_the_type_have_the_same_fields_in_the_same_order():
    assert [setting.field for setting in SETTINGS] == [field.name for field in fields(Settings)]


def test_effective_settings_fit_their_schema():
    schema.validate("settings", plain(asdict(settings(service="portal", probe_url="http://a/"))), "settings")


def test_a_stated_policy_goes_before_the_derived_one():
    assert settings(service="portal", policy="observed").policy == "observed"
    assert settings(kind="endpoint", policy="managed").managed


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("policy", "manged", "one of observed"),
        ("kind", "laptop", "one of server"),
        ("tier", 5, "1 to 4"),
        ("tier", True, "whole number"),
        ("tier", "high", "whole number"),
        ("min_healthy", -1, "0 or more"),
        ("downtime_s", 0, "1 or more"),
        ("soak_s", 1.5, "whole number"),
        ("estimate_s", 0, "1 or more"),
        ("never_with", "ehr", "a list of names"),
        ("ring", "first", "one of canary"),
        ("window", "Sun 25:00, 3 h, UTC", "a form like"),
        ("window", ["Sun"], "text"),
        ("window", "ics nights.ics", "an absolute path"),
        ("freezes", "2026-12-23 18:00 to 2027-01-02 06:00, UTC", "a list of times"),
        ("freezes", ["Christmas"], "a form like"),
        ("freezes", ["2026-12-32 18:00 to 2027-01-02 06:00, UTC"], "a form like"),
        ("freezes", [5], "text"),
        ("inhibits", {"file": "/srv/busy"}, "a list of inhibits"),
        ("inhibits", ["/srv/busy"], "one of file, url and command"),
        ("inhibits", [{"file": "busy"}], "an absolute path"),
        ("inhibits", [{"file": "/a", "url": "http://a/"}], "one of file, url and command"),
        ("inhibits", [{"file": "/a", "timeout": 3}], "one of file, url and command"),
        ("inhibits", [{"url": "ftp://a/"}], "an http or https URL"),
        ("inhibits", [{"url": "http://ada:x@a/"}], "none: definitions are written to plans"),
        ("inhibits", [{"url": 5}], "a url as text"),
        ("inhibits", [{"url": "http://a/x?token=hunter2"}], "a url without a query"),
        ("inhibits", [{"command": "may-patch ehr"}], "a command as a list of words"),
        ("inhibits", [{"command": []}], "a command as a list of words"),
        ("inhibits", [{"command": ["x"], "timeout_s": 61}], "a timeout_s of 1 to 60"),
        ("inhibits", [{"command": ["x"], "timeout_s": True}], "a timeout_s of 1 to 60"),
        ("device_segments", "10.9.0.0/16", r"a list of networks"),
        ("device_segments", ["10.9.1.7/16"], r"10\.9\.0\.0/16"),
        ("probe_url", "portal/health", "http"),
        ("probe_url", ["http://a/", 5], "http"),
        ("probes", {"name": "x"}, "a list of probes"),
        ("probes", [{"name": "x", "type": "telepathy"}], "one of .*http"),
        ("probes", [{"name": "x", "type": "http", "url": "http://a/"}] * 2, "names differ"),
        ("broken_before", "printer", "a list of texts"),
        ("broken_before", [""], "text that is not empty"),
        ("thresholds", {"1": {"latency": {}}}, "latency is none of latency_ms"),
        ("health_soak_s", 3601, "0 to 3600"),
        ("drain", {"haproxy": "lb1"}, "backend"),
        ("drain", {"haproxy": "lb1", "backend": "p", "weight": 1}, "and no weight"),
        ("drain", {"hook": ["switchover"]}, "with on: HOST"),
        ("drain", {"hook": [], "back": []}, "a command after hook"),
        ("drain", {"hook": "switchover", "back": []}, "a list of texts"),
        ("drain", {"hook": ["switchover"], "back": [], "haproxy": "lb1"}, "none, or one of"),
        ("drain", {"pacemaker": "pacs1", "nodes": 2}, "unknown option nodes"),
        ("drain", {"keepalived": "10.0.0.8", "port": 443}, "no option peers"),
        ("drain", {"keepalived": "10.0.0.8", "port": 443, "peers": ["lb2"], "on": "lb2"}, "without on"),
        ("drain", {"balancer": "lb1"}, "none, or one of"),
        ("drain", "lb1", "none, "),
        ("snapshot", "none", "reason"),
        ("snapshot", {"provider": "none"}, "without a way back"),
        ("snapshot", {"provider": "none", "reason": " "}, "without a way back"),
        (
            "snapshot",
            {"provider": "tape"},
            "one of aws_ebs, btrfs, container, hook, libvirt, lvm, none, preserved, proxmox, snapper, vsphere",
        ),
        ("snapshot", {"provider": "aws_ebs"}, "instance_id or instance_tags"),
        ("snapshot", {"provider": "aws_ebs", "instance_id": "i-1", "instance_tags": {"Name": "db1"}}, "not both"),
        ("snapshot", {"provider": "aws_ebs", "instance_id": "i-1", "aws_secret_access_key": "x"}, "and no aws_secret"),
        ("snapshot", {"provider": "hook", "create": ["san"], "info": ["san"]}, r"{provider: hook, create: \[COMMAND"),
        ("snapshot", {**SAN, "delete": []}, "and words in delete"),
        ("snapshot", {**SAN, "revert": []}, "and words in revert"),
        ("snapshot", {**SAN, "info": "san list"}, "a list of texts"),
        ("snapshot", {**SAN, "password": "x"}, "and no password"),
        ("snapshot_verified_keep_s", -1, "a whole number"),
        ("snapshot_room_low_percent", 101, "0 to 100"),
        ("snapshot_room_critical_percent", "few", "0 to 100"),
        ("snapshot", {"provider": "vsphere", "server": "vc1", "password": "x"}, "and no password"),
        ("snapshot", {"provider": "libvirt", "password": "x"}, "and no password"),
        ("snapshot", {"provider": "proxmox", "token_secret": "x"}, "and no token_secret"),
        ("failure_budget", 2, "only run, ring, service"),
        ("failure_budget", {"runs": 2}, "only run, ring, service"),
        ("failure_budget", {"run": -1}, "for run a count"),
        ("failure_budget", {"run": 1.5}, "for run a count"),
        ("failure_budget", {"run": None}, "for run a count"),
        ("failure_budget", {"run": True}, "for run a count"),
        ("failure_budget", {"ring": "101 %"}, "for ring a count like 2, a share of at most 100 %"),
        ("failure_budget", {"ring": "-5 %"}, "for ring a count"),
        ("failure_budget", {"ring": "2.5 %"}, "for ring a count"),
        ("failure_budget", {"service": {}}, "for service a count"),
        ("failure_budget", {"service": {"share": 10}}, "for service a count"),
        ("failure_budget", {"service": {"count": 1, "share_percent": 101}}, "for service a count"),
        ("freeze_file", "freeze", "an absolute path"),
        ("freeze_file", ["/srv/freeze"], "text"),
        ("security_only", "maybe", "true or false"),
        ("service", "a b", "a name"),
        ("package_manager", "", "a name"),
        ("allowed_signers", "", "text"),
        ("awx_url", "http://awx.example", "https://HOST"),
        ("awx_workflow", "lunch", "the number of a workflow template"),
        ("awx_approvers", ["ada"], "{USER: NAME}"),
        ("segment", "10.1.2.3/16", r"10\.1\.0\.0/16"),
        ("segment", [], "a network like"),
        ("segment", [5], "a network like"),
        ("segment", "10.20.0.0", "a prefix length"),
        ("device_segments", ["10.9.0.0"], "a prefix length"),
        ("applications", {"name": "x"}, "a list of mappings"),
        ("applications", [{"name": "x", "globs": ["opt/x"]}], "name, globs"),
        ("vulnerable_libraries", "log4j", "a list of mappings"),
        ("vulnerable_libraries", [{"artifact": "a", "cve": "c", "affected": [[2.1, 3]]}], "with the versions quoted"),
        ("unseen_days", 0, "1 or more"),
        ("eol_near_days", -1, "0 or more"),
        ("eol_feed", "", "text"),
        ("extended_support", "debian", "a list of names"),
        ("security_contact", [""], "text that is not empty"),
        ("security_contact", {"url": "x"}, "text that is not empty"),
    ],
)
def test_a_value_that_is_not_understood_is_refused_by_name(name, value, expected):
    with pytest.raises(PatchingError, match=expected) as refusal:
        settings(**{name: value})
    assert refusal.value.subject == f"patching_{name} of portal1"


def test_an_unknown_name_is_refused_with_the_nearest_known():
    with pytest.raises(PatchingError, match="perhaps patching_window") as refusal:
        settings(windw="Sun 01:00, 3 h, UTC")
    assert refusal.value.subject == "patching_windw of portal1"


def test_names_that_the_caller_knows_are_let_through():
    assert effective("a", {"patching_plan": "x"}, also_known=("patching_plan",)).policy == "observed"


@pytest.mark.parametrize(("value", "found"), [("3", 3), (" 2 ", 2), (1, 1)])
def test_text_of_digits_is_a_number_because_templates_yield_text(value, found):
    assert settings(tier=value).tier == found


@pytest.mark.parametrize(("value", "found"), [("yes", True), ("False", False), (False, False)])
def test_text_is_a_boolean_because_templates_yield_text(value, found):
    assert settings(security_only=value).security_only is found


def test_a_window_and_freezes_may_be_calendars_which_are_not_read_yet():
    freezes = ["ics https://a/x.ics, event EHR*", "daily 06:00, 12 h, UTC"]
    found = settings(window="ics /srv/nights.ics", freezes=freezes)
    assert (found.window, found.freezes) == ("ics /srv/nights.ics", tuple(freezes))
    assert settings().freezes == ()


@pytest.mark.parametrize(
    "given",
    [
        {"window": "ics https://a/x.ics?token=hunter2"},
        {"window": "ics https://ada:hunter2@a/x.ics"},
        {"freezes": ["daily 06:00, 12 h, UTC", "ics https://a/x.ics?token=hunter2"]},
        {"inhibits": [{"url": "https://ada:hunter2@a/x"}]},
    ],
)
def test_a_refusal_repeats_no_token(given):
    with pytest.raises(PatchingError) as refusal:
        settings(**given)
    assert "hunter2" not in str(refusal.value)


def test_one_address_stands_for_a_list():
    assert settings(probe_url="http://a/").probe_url == ("http://a/",)


def test_a_drain_by_the_sites_own_commands():
    hook = {"hook": ["repmgr", "standby", "switchover"], "back": []}
    assert settings(drain=hook).drain == {"type": "hook", **hook}
    assert settings(drain={**hook, "on": "db1"}).drain == {"type": "hook", **hook, "host": "db1"}
    # As YAML reads it unquoted.
    assert settings(drain={**hook, True: "db1"}).drain == {"type": "hook", **hook, "host": "db1"}


def test_a_drain_by_this_collections_module():
    found = settings(drain={"pacemaker": "pacs1", "on": "pacs2"}).drain
    assert found == {"type": "pacemaker", "options": {"pacemaker": "pacs1", "min_peers": 1}, "host": "pacs2"}
    engine = {key: [key] for key in ("stop", "start", "queue", "accepts")}
    options = settings(drain={"interface_engine": "mirth", **engine}).drain["options"]
    assert options == {"interface_engine": "mirth", **engine, "when_limit": "refuse"}


def test_no_drain_and_a_reason_for_no_way_back():
    found = settings(drain="none", snapshot={"provider": "none", "reason": "stateless, rebuilt from its image"})
    assert found.drain["type"] == "none"
    assert found.snapshot["reason"].startswith("stateless")
    wanted = {"provider": "aws_ebs", "instance_id": "i-1", "region": "eu-central-1", "on": "jump1"}
    assert settings(snapshot=wanted).snapshot == wanted


def test_a_sites_own_commands_for_restore_points():
    assert settings(snapshot=SAN).snapshot == SAN
    # YAML reads an unquoted on as true.
    assert settings(snapshot={**SAN, True: "san1"}).snapshot == {**SAN, "on": "san1"}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (0, {"count": 0}),
        ("2", {"count": 2}),
        ("10 %", {"share_percent": 10}),
        ("100%", {"share_percent": 100}),
        ({"count": "2"}, {"count": 2}),
        ({"share_percent": 10, "count": 2}, {"count": 2, "share_percent": 10}),
    ],
)
def test_a_failure_budget_is_a_count_a_share_or_both(value, found):
    budget = settings(failure_budget={"ring": value}).failure_budget
    assert budget == {"run": {"count": 0}, "ring": found, "service": {"count": 0}}
    schema.validate("settings", plain(asdict(settings(failure_budget={"ring": value}))), "settings")


def test_by_default_no_failure_is_allowed_and_the_freeze_file_is_beside_the_evidence():
    assert settings().failure_budget == {level: {"count": 0} for level in ("run", "ring", "service")}
    assert settings().freeze_file is None
    assert settings(freeze_file="/srv/share/freeze").freeze_file == "/srv/share/freeze"


def test_explain_says_where_each_value_comes_from():
    told = {row.name: row for row in explain("portal1", {"patching_service": "portal", "patching_tier": 2})}
    assert (told["patching_tier"].value, told["patching_tier"].origin) == (2, "set")
    assert (told["patching_policy"].value, told["patching_policy"].origin) == ("managed", "derived")
    assert told["patching_soak_s"].origin == "default"
    assert "size of the service - 1" in told["patching_min_healthy"].meaning
    assert len(told) == len(SETTINGS)


def test_every_setting_says_its_type_and_meaning():
    assert all(setting.type and setting.meaning for setting in SETTINGS)


def test_a_contact_holds_a_password_and_is_never_shown():
    secret = "mailtos://user:hunter2@mail.example"
    told = {row.name: row.value for row in explain("portal1", {"patching_security_contact": secret})}
    assert "hunter2" not in str(told)
    assert told["patching_security_contact"] == "(set, not shown)"
    assert settings(security_contact=secret).security_contact == (secret,)
    with pytest.raises(PatchingError) as refusal:
        settings(security_contact=[secret, 5])
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("name", ["patching_eol_feed", "patching_debian_tracker"])
def test_a_feed_is_shown_without_its_credentials(name):
    url = "https://ada:hunter2@feed.example/{product}.json?token=S3CRET"
    assert getattr(effective("portal1", {name: url}), name.removeprefix("patching_")) == url
    told = {row.name: row.value for row in explain("portal1", {name: url})}
    assert told[name] == "https://feed.example/{product}.json"
    assert {row.name: row.value for row in explain("portal1", {})}[name] is None
    with pytest.raises(PatchingError) as refusal:
        effective("portal1", {name: [url]})
    assert "S3CRET" not in str(refusal.value)


def test_a_host_may_belong_in_one_segment_or_in_several():
    assert settings(segment="10.20.0.0/16").segment == ("10.20.0.0/16",)
    assert settings(segment=["10.20.0.0/16", "fd00::/64"]).segment == ("10.20.0.0/16", "fd00::/64")
    assert settings().segment is None


def test_declared_software_is_checked_where_it_is_set():
    with pytest.raises(PatchingError, match=r"patching_third_party of portal1.*software java: type 'msi'|type 'msi'"):
        settings(third_party=[{"name": "java", "type": "msi"}])
    gone = {"name": "flash", "type": "deb", "absent": True}
    assert settings(third_party=[gone]).third_party == (gone,)


def test_a_login_of_declared_software_is_never_shown():
    assert settings(third_party_logins={"java": "ada:hunter2"}).third_party_logins == {"java": "ada:hunter2"}
    told = {row.name: row.value for row in explain("portal1", {"patching_third_party_logins": {"java": "ada:hunter2"}})}
    assert told["patching_third_party_logins"] == "(set, not shown)"
    with pytest.raises(PatchingError) as refusal:
        settings(third_party_logins={"java": "hunter2"})
    assert "hunter2" not in str(refusal.value)
    tokens = {"java": "?token=hunter2", "java@keys.example:8443": "ada:hunter2"}
    assert settings(third_party_logins=tokens).third_party_logins == tokens
    for query in ("?token=hunter 2", "?token=hunter#2"):
        with pytest.raises(PatchingError) as refusal:
            settings(third_party_logins={"java": query})
        assert "hunter" not in str(refusal.value)
        assert "a # in it as %23" in refusal.value.expected


def test_the_order_of_restarts_is_kept_and_names_each_unit_once():
    given = {"patching_restart_order": ["postgresql@15-main.service", "app.service"]}
    assert effective("h", given).restart_order == ("postgresql@15-main.service", "app.service")
    with pytest.raises(PatchingError, match="each of them once"):
        effective("h", {"patching_restart_order": ["a.service", "a.service"]})


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        ({"provider": "btrfs", "subvolume": ["/"]}, "unknown option subvolume"),
        ({"provider": "btrfs", "min_free_bytes": "1 GiB"}, "min_free_bytes is str"),
        ({"provider": "btrfs", "subvolumes": ["/"], "at_reboot": ["/var"]}, "there is /var"),
        ({"provider": "snapper", "subvolumes": ["/"]}, "unknown option subvolumes"),
        ({"provider": "lvm", "root_tried": True}, "unknown option root_tried"),
        ({"provider": "container", "engines": ["podman"]}, "unknown option engines"),
        ({"provider": "auto", "volumes": ["/"]}, "nothing beside provider auto"),
    ],
)
def test_options_of_a_way_back_are_refused_where_they_are_written_not_in_the_night(wanted, seen):
    with pytest.raises(PatchingError, match="patching_snapshot of portal1") as caught:
        settings(snapshot=wanted)
    assert seen in str(caught.value)


@pytest.mark.parametrize(
    "wanted",
    [
        {"provider": "btrfs", "subvolumes": ["/", "/srv"], "at_reboot": ["/"], "on": "db1"},
        {"provider": "lvm", "volumes": "/var", "change_bytes_of": {"/var": 5}, "reason": "monthly"},
        {"provider": "snapper", "configs": ["root"], "min_free_bytes": "5"},
    ],
)
def test_options_of_a_way_back_stay_as_they_are_written(wanted):
    assert settings(snapshot=wanted).snapshot == wanted
