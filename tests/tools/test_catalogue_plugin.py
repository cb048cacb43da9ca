# SPDX-License-Identifier: GPL-3.0-or-later
"""The service catalogue as Ansible reads it, and what a playbook does when it cannot."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Variants, each of which starts Ansible once or twice more.
SLOW = pytest.mark.slow
HOSTS = """\
all:
  hosts: {ehr1: {ansible_host: 10.1.0.1}, ehr2: {ansible_host: 10.1.0.2}, pump1: {ansible_host: 10.9.1.1}}
"""
CATALOGUE = """\
plugin: hospital.patching.service_catalogue
schema: 1
segments:
  10.9.0.0/16: {policy: vendor_locked}
services:
  ehr:
    tier: 4
    drain: none
    window: "Sun 01:00, 3 h, UTC"
    probe_url: "https://{{ ansible_host }}/health"
    hosts:
      ehr1: {ring: canary}
      ehr2:
"""


def run(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_NOCOLOR": "1"}
    words = [command[0], "-i", str(site), *command[1:]]
    return subprocess.run(words, capture_output=True, text=True, env=env, cwd=site, check=False)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An inventory of hosts and a catalogue that is read after it."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "hosts.yml").write_text(HOSTS)
    (folder / "zz-catalogue.yml").write_text(CATALOGUE)
    return folder


def test_hosts_have_their_settings_and_templates_work(site):
    done = run(site, "ansible-inventory", "--list")
    hosts = json.loads(done.stdout)["_meta"]["hostvars"]
    assert hosts["ehr1"]["patching_ring"] == "canary"
    assert hosts["ehr2"]["patching_service"] == "ehr"
    assert hosts["pump1"]["patching_policy"] == "vendor_locked"
    assert hosts["ehr2"]["patching_device_segments"] == ["10.9.0.0/16"]
    shown = run(site, "ansible", "ehr2", "-m", "ansible.builtin.debug", "-a", "var=patching_probe_url")
    assert "https://10.1.0.2/health" in shown.stdout


def test_explain_says_what_it_says(site):
    shown = run(site, "ansible-playbook", "hospital.patching.explain", "-l", "ehr1", "-e", "patching_hosts=ehr1")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert any("patching_tier" in line and "the service catalogue" in line for line in shown.stdout.splitlines())


@pytest.mark.parametrize(
    "playbook",
    ["hospital.patching.plan", "hospital.patching.assess", pytest.param("hospital.patching.explain", marks=SLOW)],
)
def test_no_playbook_goes_on_without_it(site, playbook):
    (site / "zz-catalogue.yml").write_text(CATALOGUE.replace("tier", "teir"))
    done = run(site, "ansible-playbook", playbook, "-e", "patching_hosts=ehr1", "-e", "patching_evidence_dir=evidence")
    assert "the key teir; expected perhaps tier" in done.stdout
    assert "the service catalogue cannot be read" in done.stdout
    assert not list(site.glob("evidence/plans/*"))
    assert done.returncode != 0 or playbook == "hospital.patching.assess"


def test_one_that_is_read_before_the_hosts_is_refused(site):
    (site / "zz-catalogue.yml").rename(site / "aa-catalogue.yml")
    done = run(site, "ansible-inventory", "--host", "ehr1")
    assert "host ehr1, which the inventory does not know" in done.stderr
    assert "patching_catalogue_error" in done.stdout


def test_what_the_site_says_elsewhere_goes_before_it_but_unlocks_nothing(site):
    (site / "group_vars").mkdir()
    (site / "group_vars/all.yml").write_text("patching_tier: 2\npatching_policy: managed\n")
    (site / "hosts.yml").write_text(HOSTS.replace("10.1.0.2}", "10.1.0.2, patching_ring: broad}"))
    hosts = json.loads(run(site, "ansible-inventory", "--list").stdout)["_meta"]["hostvars"]
    assert (hosts["ehr1"]["patching_tier"], hosts["ehr1"]["patching_ring"]) == (2, "canary")
    assert hosts["ehr2"]["patching_ring"] == "broad"
    shown = run(site, "ansible-playbook", "hospital.patching.explain", "-e", "patching_hosts=pump1").stdout
    assert "vendor_locked" in shown
    assert any("patching_tier" in line and "group all" in line for line in shown.splitlines())


@pytest.mark.parametrize(
    ("where", "declared"),
    [
        ("group_vars/all.yml", []),
        pytest.param("group_vars/all.yml", ["10.20.0.0/16"], marks=SLOW),
        pytest.param("hosts.yml", [], marks=SLOW),
        pytest.param("hosts.yml", ["10.20.0.0/16"], marks=SLOW),
    ],
)
def test_no_other_file_takes_a_device_network_away(site, declared, where):
    (site / "group_vars").mkdir()
    text = json.dumps({"patching_device_segments": declared})
    content = text if where == "group_vars/all.yml" else f"{HOSTS}  vars: {text}\n"
    (site / where).write_text(content)
    hosts = json.loads(run(site, "ansible-inventory", "--list").stdout)["_meta"]["hostvars"]
    assert hosts["ehr1"]["patching_device_segments"] == declared
    run(site, "ansible-playbook", "hospital.patching.assess", "-e", "patching_hosts=ehr1")
    kept = json.loads((site / "evidence/assess/ehr1.json").read_text())
    assert kept["status"] == "not_contacted"
    assert "10.9.0.0/16, vendor_locked in the service catalogue, is not in patching_device_segments" in kept["reason"]


BROKEN = {
    "no YAML": (CATALOGUE + "    bad: [\n").encode(),
    "a tag": CATALOGUE.replace("tier: 4", "tier: !foo 4").encode(),
    "no text": CATALOGUE.encode() + b"\xff\xfe",
    "another plugin": CATALOGUE.replace("service_catalogue", "service_catalog").encode(),
    "no plugin": CATALOGUE.replace("plugin: hospital.patching.service_catalogue\n", "").encode(),
}


@pytest.mark.parametrize(
    "broken",
    ["no YAML", "no plugin", *(pytest.param(name, marks=SLOW) for name in ("a tag", "no text", "another plugin"))],
)
def test_what_ansible_itself_cannot_read_closes_the_site(site, broken):
    (site / "zz-catalogue.yml").write_bytes(BROKEN[broken])
    (site / "group_vars").mkdir()
    (site / "group_vars/all.yml").write_text("patching_catalogue_required: true\npatching_device_segments: []\n")
    done = run(site, "ansible-playbook", "hospital.patching.plan", "-e", "patching_hosts=ehr1")
    assert done.returncode != 0
    assert "patching_catalogue_required is set, and no service catalogue was read" in done.stdout


def test_ansible_ends_the_run_itself_where_it_is_told_to(site):
    (site / "zz-catalogue.yml").write_bytes(BROKEN["no YAML"])
    (site / "ansible.cfg").write_text("[inventory]\nany_unparsed_is_failed = true\n")
    done = run(site, "ansible-playbook", "hospital.patching.plan", "-e", "patching_hosts=ehr1")
    assert done.returncode != 0
    assert "PLAY [" not in done.stdout


def test_other_files_are_not_its_own_where_a_site_lists_it(site):
    (site / "ansible.cfg").write_text("[inventory]\nenable_plugins = hospital.patching.service_catalogue, yaml, ini\n")
    hosts = json.loads(run(site, "ansible-inventory", "--list").stdout)["_meta"]["hostvars"]
    assert "patching_catalogue_error" not in hosts["ehr1"]
    assert hosts["ehr1"]["patching_ring"] == "canary"
