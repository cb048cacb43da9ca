# SPDX-License-Identifier: GPL-3.0-or-later
"""The service catalogue as Ansible reads it, and what a playbook does when it cannot."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSTS = (
    "all: {hosts: {ehr1: {ansible_host: 10.1.0.1}, ehr2: {ansible_host: 10.1.0.2}, pump1: {ansible_host: 10.9.1.1}}}\n"
)
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
    assert "patching_tier" in shown.stdout


@pytest.mark.parametrize(
    "playbook", ["hospital.patching.explain", "hospital.patching.plan", "hospital.patching.assess"]
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
