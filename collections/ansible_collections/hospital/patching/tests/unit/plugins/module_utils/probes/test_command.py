# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``command`` with real programs: healthy, ill, silent, endless, absent."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import command, registry
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner


@pytest.fixture
def read(make_context):
    def run(*words, **options):
        definition = dict(options, name="c", type="command", command=list(words))
        return registry.build(definition, make_context(runner=Runner())).read()

    return run


def test_exit_code_and_output_are_judged(read):
    assert read("sh", "-c", "echo replica in sync", text_regexp="in sync")["verdict"] == "ok"
    assert read("sh", "-c", "exit 3", exit_codes=[0, 3])["value"] == {"exit_code": 3}
    assert read("sh", "-c", "exit 4", exit_codes=[0, 3])["detail"] == "exit code 4, expected 0 or 3"


def test_neither_output_nor_arguments_are_kept(read):
    for pattern in ("Mustermann", "in sync"):
        result = read("sh", "-c", "echo patient Mustermann; echo trouble >&2", text_regexp=pattern)
        assert result["target"] == "sh"
        assert "patient" not in str(result)
        assert "trouble" not in str(result)
    assert result["detail"] == "its output does not match 'in sync'"


def test_one_that_hangs_is_inconclusive(read):
    result = read("sleep", "60", timeout_s=1)
    assert result["verdict"] == "inconclusive"
    assert "no end after 1 s" in result["detail"]


def test_one_that_prints_without_end_is_inconclusive(read, monkeypatch):
    monkeypatch.setattr(command, "OUTPUT_LIMIT", 100000)
    result = read("yes")
    assert result["verdict"] == "inconclusive"
    assert "more than 100000 bytes" in result["detail"]


def test_one_that_does_not_exist_is_inconclusive(read):
    assert read("/nonexistent/check")["verdict"] == "inconclusive"


def test_there_is_no_shell(read):
    assert read("echo", "$HOME", text_regexp=r"^\$HOME$")["verdict"] == "ok"


@pytest.mark.parametrize(
    "options",
    [{}, {"command": []}, {"command": "check --replica"}, {"command": ["a"], "text_regexp": "("}, {"argv": ["a"]}],
)
def test_a_bad_definition_is_refused(options):
    with pytest.raises(PatchingError):
        registry.check(dict(options, name="c", type="command"))
