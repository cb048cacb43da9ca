# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes by their type, and everything about a definition that is refused."""

import importlib
import pkgutil

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import probes
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Probe


def test_every_probe_is_registered_under_its_name():
    # The registry does not scan its folder, so that everything in it travels to a host; a test may.
    written = set()
    for module in pkgutil.iter_modules(probes.__path__):
        content = vars(importlib.import_module(probes.__name__ + "." + module.name)).values()
        written |= {one for one in content if isinstance(one, type) and issubclass(one, Probe) and one.NAME}
    assert {probe.NAME: probe for probe in written} == registry.PROBES


def test_where_a_probe_is_read_from():
    assert registry.vantage({"name": "a", "type": "units"}) == "host"
    assert registry.vantage({"name": "a", "type": "fhir"}) == "controller"
    assert registry.vantage({"name": "a", "type": "fhir", "vantage": "host"}) == "host"


def test_built_in_probes_come_last(make_context):
    own = {"name": "ssh", "type": "tcp", "host": "127.0.0.1", "port": 22}
    probes = registry.build_all([own], True, make_context())
    assert [probe.name for probe in probes] == ["ssh", "builtin-units", "builtin-ports", "builtin-mounts"]


def test_no_probe_is_no_error(make_context):
    assert registry.build_all([], False, make_context()) == []


@pytest.mark.parametrize(
    "definition",
    [
        "http://portal1/",
        {"type": "units"},
        {"name": "a"},
        {"name": "a", "type": "ftp"},
        {"name": "a", "type": ["http"]},
        {"name": "a", "type": "units", "vantage": "moon"},
        {"name": "a", "type": "units", "actve": ["ssh"]},
        {"name": "a", "type": "units", "active": {"ssh": True}},
        {"name": "a", "type": "units", "active": [{"ssh": True}]},
        {"name": "a", "type": "units", "timeout_s": "soon"},
        {"name": "a", "type": "units", "timeout_s": 601},
        {"name": "a", "type": "units", "timeout_s": True},
        {"name": "a", "type": "units", "timeout_s": 1.5},
    ],
)
def test_a_bad_definition_is_refused(definition):
    with pytest.raises(PatchingError):
        registry.check(definition)


def test_text_from_templates_is_converted():
    registry.check({"name": "a", "type": "units", "timeout_s": "20", "active": "ssh"})


def test_each_probe_gets_what_it_read_before(make_context):
    before = [
        {"name": "builtin-units", "type": "units", "value": {"failed": []}},
        {"name": "load", "type": "memory", "value": {"size_bytes": 1}},
    ]
    probes = registry.build_all([{"name": "load", "type": "load"}], True, make_context(), before)
    assert [probe.earlier for probe in probes] == [None, {"failed": []}, None, None]


def test_a_name_given_twice_is_refused(make_context):
    with pytest.raises(PatchingError, match="given twice"):
        registry.build_all([{"name": "a", "type": "units"}, {"name": "a", "type": "ports"}], False, make_context())


def test_the_name_of_a_built_in_probe_is_refused(make_context):
    with pytest.raises(PatchingError, match="built-in"):
        registry.build_all([{"name": "builtin-units", "type": "units"}], False, make_context())
