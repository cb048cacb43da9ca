# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals, signed and verified by the real ssh-keygen."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.plugin_utils import (
    allowed_signers,
    approvals,
    emergency,
    plan_derived,
)
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence
from ansible_collections.hospital.patching.plugins.plugin_utils.fleet import Exclusion
from ansible_collections.hospital.patching.plugins.plugin_utils.plan import Planned, build_plan
from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils.fleets import (
    NOW,
    PLAN_ID,
    PORTAL,
    candidate,
    loaded,
    pending,
    planned,
    portal_pair,
    update,
)

PLAN = loaded(planned(portal_pair()))
DIGEST, OTHER = PLAN.plan["digest"], "sha256:" + "b" * 64
pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)")


class People:
    """Some people with a key each, the file of who may sign, and a plan's folder."""

    def __init__(self, root):
        self.root, self.allowed, self.store = root, root / "approvers", Evidence(root / "evidence")
        self.allowed.write_text("")
        self.plan = PLAN

    def key(self, name, passphrase=""):
        path = self.root / name
        if not path.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path], check=True)
        return path

    def allow(self, names, key=None, options=""):
        public = self.key(key or names.split(",", 1)[0]).with_suffix(".pub").read_text().split()
        with self.allowed.open("a") as handle:
            handle.write(f"{names} {options} {public[0]} {public[1]}\n")

    def sign(self, name, digest=DIGEST):
        signature = approvals.sign(digest, self.key(name))
        approvals.keep(self.plan_dir, signature)
        return signature

    @property
    def plan_dir(self):
        return self.store.plan_dir(PLAN_ID)

    def read(self):
        return approvals.of_plan(self.store, self.plan, self.allowed)


@pytest.fixture
def people(tmp_path):
    return People(tmp_path)


def test_two_people_approve_a_plan_and_the_same_again_changes_nothing(people):
    for name in ("ada", "ben"):
        people.allow(name)
        people.sign(name)
    assert (people.read().approvers, people.read().rejected) == (("ada", "ben"), ())
    people.sign("ada")
    assert (people.read().approvers, people.read().rejected) == (("ada", "ben"), ())


def test_a_signature_over_another_plan_counts_not_here(people):
    people.allow("ada")
    approvals.keep(people.plan_dir, approvals.sign(OTHER, people.key("ada")))
    found = people.read()
    assert found.approvers == ()
    assert f"ada may not sign now, or has signed something else than {DIGEST[:20]}" in found.rejected[0]


def test_a_signature_for_another_purpose_does_not_count(people):
    people.allow("ada")
    words = ["ssh-keygen", "-Y", "sign", "-f", people.key("ada"), "-n", "git"]
    made = subprocess.run(words, input=f"{DIGEST}\n", capture_output=True, text=True, check=True)
    with pytest.raises(PatchingError, match="ada may not sign now, or has signed something else"):
        approvals.verify(made.stdout, DIGEST, people.allowed)


def test_a_forged_a_damaged_and_a_strangers_signature_do_not_count(people):
    people.allow("ada")
    people.key("mallory")
    forged = people.sign("mallory")
    good = approvals.sign(DIGEST, people.key("ada"))
    approvals.keep(people.plan_dir, good.replace("U1NIU0lH", "U1NIU0lG"))
    approvals.keep(people.plan_dir, "ada approves this")
    (approvals.folder(people.plan_dir) / "x.sig").write_bytes(b"\xff\xfe")
    found = people.read()
    assert (found.approvers, len(found.rejected)) == ((), 4)
    with pytest.raises(PatchingError, match="its key is nobody's"):
        approvals.verify(forged, DIGEST, people.allowed)


def test_who_has_two_keys_or_two_names_is_one_person(people):
    people.allow("ada")
    people.allow("ada", key="ada-laptop")
    people.allow("ben,ben.admin")
    for name in ("ada", "ada-laptop", "ben"):
        people.sign(name)
    found = people.read()
    assert found.approvers == ("ada", "ben")
    assert found.rejected == ("ada: the same person has approved already",)


def test_a_person_whose_name_has_changed_is_still_one(people):
    people.allow("ada.smith", key="old")
    people.allow("ada.jones", key="old")
    people.allow("ada.jones", key="new")
    for key in ("old", "new"):
        people.sign(key)
    assert len(people.read().approvers) == 1


def test_names_and_keys_that_hang_together_through_another_line_are_one_person(people):
    people.allow("ada,ada.admin", key="first")
    people.allow("ada", key="second")
    people.allow("ada.admin", key="third")
    people.sign("second")
    people.sign("third")
    assert len(people.read().approvers) == 1
    people.sign("first")
    assert len(people.read().approvers) == 1
    people.allow("ben")
    people.sign("ben")
    assert people.read().approvers[1:] == ("ben",)


def test_what_counted_is_kept_with_the_run_and_named_with_its_plan(people):
    approved, after = night(), night(plan_id=LATER, names=("openssl",))
    people.store.save_plan(approved)
    people.allow("ada")
    signature = approvals.sign(approved.plan["digest"], people.key("ada"))
    approvals.keep(people.plan_dir, signature)
    people.store.save_plan(after)
    people.plan = loaded(after)
    told = approvals.copy(people.read(), people.store, LATER)
    (signed,) = told["signed"]
    assert (signed["by"], signed["plan"]) == ("ada", approved.plan["digest"])
    kept = people.store.run_dir(LATER) / "approvals"
    assert (kept / f"{PLAN_ID}.plan.json").is_file()
    assert (kept / f"{signed['signature'].removeprefix('sha256:')[:32]}.sig").read_text() == signature
    assert told["list_digest"] == "sha256:" + hashlib.sha256(people.allowed.read_bytes()).hexdigest()
    assert approvals.copy(people.read(), people.store, LATER) == told


def test_a_relative_list_lies_beside_the_inventory_and_not_where_a_run_is_started(tmp_path, monkeypatch):
    (tmp_path / "hosts.yml").write_text("")
    monkeypatch.chdir("/")
    for sources in ([str(tmp_path / "hosts.yml")], ["ada,", str(tmp_path)]):
        assert allowed_signers.place("files/approvers", sources) == tmp_path / "files/approvers"
    assert allowed_signers.place("/srv/approvers", []) == Path("/srv/approvers")
    assert allowed_signers.place("files/approvers", ["ada,"]) is None
    assert allowed_signers.place(None, [str(tmp_path)]) is None


def test_a_key_that_two_people_share_counts_once_and_for_both(people):
    people.allow("ada,ben", key="shared")
    people.allow("ben")
    people.sign("shared")
    people.sign("ben")
    assert len(people.read().approvers) == 1


@pytest.mark.parametrize("names", ["*", "*@hospital", "a?a", "!ada,*"])
def test_a_key_that_is_listed_by_a_pattern_is_nobodys(people, names):
    people.allow(names, key="ada")
    people.sign("ada")
    assert people.read().approvers == ()


def test_whoever_is_taken_out_of_the_list_or_has_expired_counts_no_longer(people):
    people.allow("ada")
    people.allow("ben", options='valid-before="20200101"')
    people.allow("cyd", options='namespaces="git"')
    for name in ("ada", "ben", "cyd"):
        people.sign(name)
    assert people.read().approvers == ("ada",)
    people.allowed.write_text("")
    assert people.read().approvers == ()


@pytest.mark.parametrize("missing", ["none", "absent", "folder"])
def test_without_a_list_nobody_may_sign(people, missing):
    people.allow("ada")
    people.sign("ada")
    allowed = {"none": None, "absent": people.root / "absent", "folder": people.root}[missing]
    found = approvals.of_plan(people.store, PLAN, allowed)
    assert (found.approvers, len(found.rejected)) == ((), 1)


def test_a_plan_that_nobody_has_signed(people):
    assert (people.read().approvers, people.read().rejected, people.read().signatures) == ((), (), ())


def test_a_key_that_asks_for_a_passphrase_is_refused_with_the_command_for_elsewhere(people):
    people.key("ada", passphrase="a long one")
    with pytest.raises(PatchingError, match=f"echo {DIGEST} | ssh-keygen -Y sign") as refusal:
        approvals.sign(DIGEST, people.root / "ada")
    assert "ssh-agent" in refusal.value.expected
    with pytest.raises(PatchingError, match="absent"):
        approvals.sign(DIGEST, people.root / "absent")


def test_the_command_for_elsewhere_makes_a_signature_that_counts(people):
    people.allow("ada")
    command = approvals.command(DIGEST).replace("KEY", str(people.key("ada")))
    subprocess.run(command, shell=True, cwd=people.root, check=True, capture_output=True)
    signature = (people.root / "approval.sig").read_text()
    assert approvals.verify(signature, DIGEST, people.allowed).name == "ada"


LATER = "20261122T081000Z-ab12cd35"


def night(hosts=("portal1", "portal2"), names=("openssl", "tzdata"), plan_id=PLAN_ID, **settings):
    """Return a plan of these hosts and updates."""
    assessed = pending(*(update(name) for name in names))
    variables = PORTAL | settings
    left_out = candidate("portal2", variables, assessed, Exclusion("excluded", "the plan was not asked for this host"))
    fleet = {"portal1": candidate("portal1", variables, assessed), "portal2": candidate("portal2", variables, assessed)}
    fleet |= {host: left_out for host in ("portal2",) if host not in hosts}
    return build_plan(plan_id, NOW, {"lb1": candidate("lb1", {}), **fleet})


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({}, True),
        ({"hosts": ("portal1",)}, True),
        ({"names": ("openssl",)}, True),
        ({"names": ("openssl", "tzdata", "nginx")}, False),
        ({"patching_probe_url": "https://elsewhere/"}, False),
    ],
)
def test_dropping_hosts_or_updates_needs_no_new_approval_and_anything_else_does(people, changed, counts):
    approved, after = night(), night(plan_id=LATER, **changed)
    people.store.save_plan(approved)
    people.store.save_plan(after)
    people.allow("ada")
    approvals.keep(people.plan_dir, approvals.sign(approved.plan["digest"], people.key("ada")))
    people.plan = loaded(after)
    assert people.read().approvers == (("ada",) if counts else ())


@pytest.mark.parametrize(
    ("hosts", "updates"), [(["portal1"], []), ([], ["tzdata"]), (["portal2"], ["openssl=3.0.17-1"])]
)
def test_whoever_approved_a_plan_has_approved_what_is_derived_from_it(people, hosts, updates):
    """Also where the canary is dropped; and who signs the derived plan has not approved the first one."""
    people.store.save_plan(night())
    for name in ("ada", "ben"):
        people.allow(name)
    approvals.keep(people.plan_dir, approvals.sign(night().plan["digest"], people.key("ada")))
    approved = people.store.load_plan(PLAN_ID)
    made = plan_derived.derive(approved, LATER, NOW, hosts, updates)
    people.store.save_plan(made)
    approvals.keep(people.store.plan_dir(LATER), approvals.sign(made.plan["digest"], people.key("ben")))
    people.plan = people.store.load_plan(made.plan["digest"])
    found = people.read()
    assert (found.approvers, found.rejected) == (("ada", "ben"), ())
    assert {one.name: one.plan_id for one in found.signatures} == {"ada": PLAN_ID, "ben": LATER}
    people.plan = approved
    assert people.read().approvers == ("ada",)


def test_who_has_approved_both_plans_counts_once(people):
    for made in (night(), night(plan_id=LATER, names=("openssl",))):
        people.store.save_plan(made)
        people.plan = loaded(made)
        signature = approvals.sign(made.plan["digest"], people.key("ada"))
        approvals.keep(people.store.plan_dir(made.plan["plan_id"]), signature)
    people.allow("ada")
    assert people.read().approvers == ("ada",)


def test_a_damaged_plan_lends_no_approval(people):
    people.store.save_plan(night())
    people.allow("ada")
    approvals.keep(people.plan_dir, approvals.sign(night().plan["digest"], people.key("ada")))
    path = people.plan_dir / "plan.json"
    path.write_text(path.read_text().replace("tzdata", "tzdatb"))
    people.plan = loaded(night(plan_id=LATER, names=("openssl",)))
    found = people.read()
    assert found.approvers == ()
    assert found.rejected[0].startswith(f"those of plan {PLAN_ID}: ")


class Night(People):
    """An emergency's plan, whose break-glass lets one person of a second list approve."""

    def __init__(self, root, *shortens):
        super().__init__(root)
        asked = {"emergency": True, "cve": "CVE-2026-1519", "break_glass": shortens}
        why = {"break_glass_reason": "attack", "break_glass_second": "Dr. Jane Roe"}
        self.plan = loaded(planned(portal_pair(), urgent=emergency.read({**asked, **why}, lambda: "ada", NOW)))
        self.seconds = root / "seconds"
        self.seconds.write_text("")

    def allow_second(self, name):
        words = self.key(name).with_suffix(".pub").read_text().split()
        with self.seconds.open("a") as handle:
            handle.write(f"{name} {words[0]} {words[1]}\n")

    def sign(self, name):
        return super().sign(name, self.plan.plan["digest"])

    def read(self):
        return approvals.of_plan(self.store, self.plan, self.allowed, seconds=self.seconds)


def test_broken_glass_lets_one_of_the_second_list_approve_beside_one_of_the_first(tmp_path):
    night = Night(tmp_path, "approval")
    night.allow("ada")
    for name in ("nurse", "chief"):
        night.allow_second(name)
        night.sign(name)
    # Two of the second list are one approver: tier 1 still needs somebody of the first.
    assert night.read().approvers == ("chief",)
    assert night.read().rejected == ("nurse: of patching_break_glass_signers one person counts",)
    night.sign("ada")
    found = night.read()
    assert found.approvers == ("ada", "chief")
    night.store.save_plan(Planned(night.plan.plan, dict(night.plan.manifests)))
    kept = approvals.copy(found, night.store, LATER)
    assert [(one["by"], one.get("second")) for one in kept["signed"]] == [("ada", None), ("chief", True)]
    assert kept["second_list_digest"] == "sha256:" + hashlib.sha256(night.seconds.read_bytes()).hexdigest()


def test_who_stands_in_both_lists_is_one_person_of_the_first(tmp_path):
    night = Night(tmp_path, "approval")
    for name in ("ada", "ben"):
        night.allow(name)
        night.allow_second(name)
        night.sign(name)
    assert [(one.name, one.second) for one in night.read().signatures] == [("ada", False), ("ben", False)]
    # Under another key in the second list he is still himself.
    other = night.key("ada2").with_suffix(".pub").read_text().split()
    night.seconds.write_text(f"ada {other[0]} {other[1]}\n")
    night.sign("ada2")
    assert night.read().approvers == ("ada", "ben")


@pytest.mark.parametrize("shortens", ["soak", "freeze"])
def test_the_second_list_counts_only_where_the_glass_is_broken_for_approval(tmp_path, shortens):
    night = Night(tmp_path, shortens)
    night.allow_second("nurse")
    night.sign("nurse")
    assert (night.read().approvers, night.read().rejected) == (
        (),
        (f"{_file(night)}: its key is nobody's in {night.allowed}",),
    )
    assert approvals.copy(night.read(), night.store, LATER).get("second_list_digest") is None


def _file(night):
    return next(approvals.folder(night.plan_dir).glob("*.sig")).name


def test_a_second_list_that_cannot_be_read_allows_nobody(tmp_path):
    night = Night(tmp_path, "approval")
    night.allow("ada")
    night.sign("ada")
    night.allow_second("nurse")
    night.sign("nurse")
    night.seconds.unlink()
    assert night.read().approvers == ("ada",)
    assert f"the list of approvers {night.seconds}" in night.read().rejected[0]


def test_one_file_for_both_lists_is_the_first_one(tmp_path):
    night = Night(tmp_path, "approval")
    night.seconds = night.allowed
    for name in ("ada", "ben"):
        night.allow(name)
        night.sign(name)
    assert night.read().approvers == ("ada", "ben")


def test_plans_that_nobody_has_approved_do_not_push_out_the_one_that_counts(people):
    people.allow("ada")
    people.store.save_plan(Planned(PLAN.plan, dict(PLAN.manifests)))
    people.sign("ada")
    for number in range(approvals.RECENT + 5):
        (people.store.root / "plans" / f"20261123T{number // 60:02}{number % 60:02}00Z-ab12cd34").mkdir(parents=True)
    later = planned(portal_pair())
    later.plan["plan_id"] = "20261124T000000Z-ab12cd34"
    people.store.save_plan(later)
    assert approvals.of_plan(people.store, loaded(later), people.allowed).approvers == ("ada",)


def test_why_the_last_approved_plan_does_not_count_for_this_one_is_said(people):
    people.allow("ada")
    people.store.save_plan(Planned(PLAN.plan, dict(PLAN.manifests)))
    people.sign("ada")
    other = {name: candidate(name, {**PORTAL, "patching_soak_s": 60}) for name in ("portal1", "portal2")}
    later = build_plan("20261124T000000Z-ab12cd34", NOW, {"lb1": candidate("lb1", {}), **other})
    people.store.save_plan(later)
    (why,) = approvals.of_plan(people.store, loaded(later), people.allowed).rejected
    assert (
        why == f"those of plan {PLAN_ID}, from which this one does more than drop something: soak_s of portal1 differs"
    )
