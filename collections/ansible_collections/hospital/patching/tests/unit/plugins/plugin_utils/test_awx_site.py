# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site says of its AWX."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils import awx_site

GOOD = {
    "patching_awx_url": "https://awx.hospital.example",
    "patching_awx_workflow": 12,
    "patching_awx_approvers": {"ada": "ada@hospital"},
}


def site(environment=None, segments=(), signers=None, **changed):
    variables = GOOD | changed
    environment = {"CONTROLLER_OAUTH_TOKEN": "S3cret"} if environment is None else environment
    return awx_site.of(lambda name: (variables.get(name), ""), segments, signers, environment)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("https://awx.example", "https://awx.example/api/v2"),
        ("https://awx.example:8443/", "https://awx.example:8443/api/v2"),
        ("https://aap.example/api/controller/v2/", "https://aap.example/api/controller/v2"),
        ("http://127.0.0.1:8052", "http://127.0.0.1:8052/api/v2"),
        ("http://[::1]:8052", "http://[::1]:8052/api/v2"),
        ("http://localhost/api/v2", "http://localhost/api/v2"),
    ],
)
def test_the_address_of_awx_or_of_its_api(given, read):
    assert awx_site.read_url(given) == read
    assert awx_site.read_url(read) == read


@pytest.mark.parametrize(
    "given",
    ["http://awx.example", "http://localhost.example", "http://10.0.0.1/", "https://ada:hunter2@awx.example",
     "https://awx.example/?token=S3cret", "https://awx.example/#x", "https://awx.example/api/v2/workflow_approvals/1/",
     "https://awx.example/../v2", "https://", "awx.example", "ftp://awx.example", "https://awx.example:no",
     "https://awx.example/a b/v2", "https://awx.example\n", 5, None, ["https://awx.example"]],
)  # fmt: skip
def test_another_address_is_refused_and_its_secrets_are_not_repeated(given):
    with pytest.raises(ValueError, match="https://HOST") as refusal:
        awx_site.read_url(given)
    assert not any(secret in str(refusal.value) for secret in ("hunter2", "S3cret"))


@pytest.mark.parametrize("given", [{}, [], "ada", {"ada": ""}, {"": "ada"}, {"ada": ["ada"]}, {5: 5}, {"ada": " ada"}])
def test_approvers_are_users_and_people(given):
    with pytest.raises(ValueError, match="user names of AWX"):
        awx_site.read_approvers(given)


@pytest.mark.parametrize("given", [0, -1, True, "x", "", 1.5, None])
def test_a_workflow_is_a_number(given):
    with pytest.raises(ValueError, match="number of a workflow template"):
        awx_site.read_workflow(given)
    assert awx_site.read_workflow("12") == awx_site.read_workflow(12) == 12


def test_the_token_comes_from_the_environment_and_is_not_shown():
    assert site().token == "S3cret"
    assert "S3cret" not in repr(site())
    assert site({"TOWER_OAUTH_TOKEN": "old\n"}).token == "old"
    assert site({"CONTROLLER_OAUTH_TOKEN": "new", "TOWER_OAUTH_TOKEN": "old"}).token == "new"
    assert "is not set in the controller's environment" in site({}).problem
    told = site({"CONTROLLER_OAUTH_TOKEN": "S3cret\r\nX-Other: 1"})
    assert "holds no token" in told.problem
    assert "S3cret" not in repr(told)


@pytest.mark.parametrize("name", awx_site.SETTINGS)
def test_without_one_of_the_settings_nothing_of_awx_counts(name):
    assert site(**{name: None}).problem == f"{name} is not set"
    assert site(**{name: ["x"]}).problem.startswith(f"{name} is not ")
    unreadable = awx_site.of(lambda _name: (None, "it cannot be read"), [], None, {"CONTROLLER_OAUTH_TOKEN": "x"})
    assert unreadable.problem == "it cannot be read"


@pytest.mark.parametrize("listed", ["files/approvers", ""])
def test_where_the_list_of_who_may_sign_is_lost_nobody_knows_who_is_one_person(listed):
    assert site(patching_allowed_signers=listed).problem == "patching_allowed_signers names no file"
    assert site(patching_allowed_signers=listed, signers=Path("/srv/approvers")).problem == ""
    given = {name: (value, "") for name, value in GOOD.items()} | {"patching_allowed_signers": (None, "it failed")}
    assert awx_site.of(lambda name: given[name], [], None, {"CONTROLLER_OAUTH_TOKEN": "x"}).problem == "it failed"
