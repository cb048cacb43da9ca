# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``http`` with expressions on JSON, and where their library is missing."""

import json
import sys

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry

UP = {"status": "UP", "ready": True, "components": [{"name": "db", "status": "UP"}, {"name": "disk", "status": "UP"}]}


def needs_jmespath():
    pytest.importorskip("jmespath", reason="the Python library jmespath is not here")


def read(make_context, port, *expressions):
    definition = {"name": "portal", "type": "http", "url": "http://127.0.0.1:{}/".format(port)}
    return registry.build(dict(definition, jmespath=list(expressions)), make_context()).read()


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("status == 'UP' && length(components[?status=='UP']) == `2`", "ok"),
        ("ready", "ok"),
        ("components[0].status == 'DOWN'", "failed"),
        ("status", "failed"),  # a text is not true, whatever it says
        ("nothing.here", "failed"),
        ("length(nothing) == `1`", "failed"),  # cannot be worked out
    ],
)
def test_every_expression_has_to_be_true(web, make_context, expression, verdict):
    needs_jmespath()
    port, pages, _seen = web
    pages["/"] = (200, {}, json.dumps(UP).encode())
    assert read(make_context, port, "ready", expression)["verdict"] == verdict


def test_an_error_page_with_status_200_is_failed(web, make_context):
    needs_jmespath()
    port, pages, _seen = web
    pages["/"] = (200, {}, b"<html>Database of Mr Patient connection failed")
    result = read(make_context, port, "status == 'UP'")
    assert (result["verdict"], result["detail"]) == ("failed", "the answer is no JSON")
    pages["/"] = (200, {}, b"[" * 100000)
    assert read(make_context, port, "status == 'UP'")["verdict"] == "failed"


def test_a_bad_expression_is_refused():
    needs_jmespath()
    definition = {"name": "portal", "type": "http", "url": "http://portal1/"}
    for bad in ("status ==", "", "[?"):
        with pytest.raises(PatchingError, match="JMESPath"):
            registry.check(dict(definition, jmespath=[bad]))
    with pytest.raises(PatchingError, match="HEAD"):
        registry.check(dict(definition, jmespath=["a"], method="HEAD"))


def test_without_the_library_it_is_inconclusive_and_says_so(web, make_context, monkeypatch):
    monkeypatch.setitem(sys.modules, "jmespath", None)  # what an import then raises is an ImportError
    port, pages, _seen = web
    pages["/"] = (200, {}, json.dumps(UP).encode())
    result = read(make_context, port, "status == 'UP'")
    assert result["verdict"] == "inconclusive"
    assert "jmespath is missing" in result["detail"]
