# SPDX-License-Identifier: GPL-3.0-or-later
"""A zypper host: staged, cut off from its repositories, installed, verified and rolled back, module by module."""

from __future__ import annotations

import base64
import subprocess
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import lab
from tests.support.expect import four_parts
from tests.support.modules import call
from tests.support.night import Night

HOST = "zypp1"
RUN = {"manager": "zypper", "run_id": "20261126T010000Z-ab12cd34"}
#: A further repository of the host; what it offers is a folder that a test replaces.
FOLDER = "/srv/notes"
DEFINITION = """[notes]
name=Notes
type=rpm-md
baseurl=dir:///srv/notes
enabled=1
autorefresh=1
gpgcheck={check}
"""
#: Scripts are Lua, which rpm runs by itself: rpm knows of no shell on a Debian.
SPEC = """
Name: hospital-notes
Version: {version}
Release: 1
Summary: notes of the wards
License: GPL-3.0-or-later
Vendor: Demonstration hospital
BuildArch: noarch
AutoReqProv: no
%description
Notes of the wards.
%install
mkdir -p %{{buildroot}}/etc/hospital-notes %{{buildroot}}/usr/lib/hospital-notes
echo 'kept {version}' > %{{buildroot}}/etc/hospital-notes/kept
echo 'moved {version}' > %{{buildroot}}/etc/hospital-notes/moved
echo 'program {version}' > %{{buildroot}}/usr/lib/hospital-notes/program
ln %{{buildroot}}/usr/lib/hospital-notes/program %{{buildroot}}/usr/lib/hospital-notes/again
%files
%config(noreplace) /etc/hospital-notes/kept
%config /etc/hospital-notes/moved
/usr/lib/hospital-notes
%post -p <lua>
{post}
"""
FAILING = "error('the ward is closed')"


class Picture(NamedTuple):
    """What must be the same before and after a transaction and its way back."""

    versions: str
    automatic: str
    locks: str
    texts: str


def picture() -> Picture:
    """Look at the host past the collection."""
    return Picture(
        lab.exec(HOST, "rpm -qa | sort"),
        lab.exec(HOST, "grep -v '^#' /var/lib/zypp/AutoInstalled"),
        lab.exec(HOST, "cat /etc/zypp/locks"),
        lab.exec(HOST, "cat /etc/hospital-notes/kept /etc/hospital-notes/moved /usr/lib/hospital-notes/*"),
    )


def offer(folder: Path, version: str, post: str = "", spoil: bool = False) -> None:
    """Make the further repository offer exactly this version."""
    work = folder / version
    made = work / "RPMS" / "noarch"
    made.mkdir(parents=True)
    spec = work / "notes.spec"
    spec.write_text(SPEC.format(version=version, post=post or "print('well')"))
    defines = ["--define", f"_topdir {work}", "--define", f"_dbpath {work}/db"]
    subprocess.run(["rpmbuild", "-bb", "--quiet", *defines, spec], check=True)
    subprocess.run(["createrepo_c", "--quiet", "--no-database", made], check=True)
    if spoil:
        package = made / f"hospital-notes-{version}-1.noarch.rpm"
        package.write_bytes(package.read_bytes()[:-1] + b"!")
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(made, arcname=".")
    text = base64.b64encode(packed.getvalue()).decode()
    lab.write(HOST, "/tmp/notes.tar.gz.b64", text)
    lab.exec(HOST, f"rm -rf {FOLDER} && mkdir {FOLDER} && base64 -d /tmp/notes.tar.gz.b64 | tar -xz -C {FOLDER}")


@pytest.fixture
def notes(tmp_path) -> Iterator[Path]:
    """A host with version 1 of the notes and the hospital's own changes to them; the repository has forgotten it."""
    lab.reset([HOST])
    offer(tmp_path, "1")
    lab.write(HOST, "/etc/zypp/repos.d/notes.repo", DEFINITION.format(check=0))
    lab.exec(HOST, "zypper --non-interactive --quiet install hospital-notes")
    lab.exec(HOST, "for name in kept moved; do echo ours > /etc/hospital-notes/$name; done")
    yield tmp_path
    lab.reset([HOST])


def ok(result: dict[str, Any]) -> dict[str, Any]:
    assert "transaction" in result or "verdict" in result or "updates" in result, result
    return result


def stage() -> dict[str, Any]:
    updates = ok(call(HOST, "pending_updates_info", manager="zypper"))["updates"]
    return call(HOST, "update_stage", host=HOST, updates=updates, **RUN)


def cut_off() -> None:
    """Take every repository away from the host."""
    lab.exec(HOST, f"rm -rf {FOLDER}; sed -i 's,^baseurl=.*,baseurl=dir:///nowhere,' /etc/zypp/repos.d/*.repo")
    assert lab.exec(
        HOST, "zypper --non-interactive refresh >/dev/null 2>&1 && echo reached || echo cut off"
    ).strip() == ("cut off")


def verdict(transaction: dict[str, Any], expect: str, names: tuple[str, ...] = ()) -> tuple[str, list[Any]]:
    found = ok(call(HOST, "update_verify", transaction=transaction, expect=expect, names=list(names), **RUN))
    return found["verdict"], found["problems"]


def test_there_and_back_without_a_repository(notes):
    before, verified = picture(), lab.exec(HOST, "rpm -Va", check=False)
    offer(notes, "2")
    staged = ok(stage())
    transaction = staged["transaction"]
    assert staged["not_preserved"] == []
    assert {item["name"] for item in staged["preserved"]} == {"hospital-forms", "hospital-viewer", "hospital-notes"}
    assert staged["cves"] == {"hospital-viewer": ["CVE-2026-10001", "CVE-2026-10002"]}
    assert picture() == before, "staging has changed the host"
    assert not ok(stage())["changed"]
    cut_off()

    installed = ok(call(HOST, "update_install", transaction=transaction, **RUN))
    assert {entry["name"] for entry in installed["installed"]} == {entry["name"] for entry in transaction["entries"]}
    assert (installed["marks_equal"], installed["holds_equal"]) == (True, True)
    assert installed["conffile_proposals"] == ["/etc/hospital-notes/kept.rpmnew", "/etc/hospital-notes/moved.rpmsave"]
    assert verdict(transaction, "to") == ("ok", [])
    after = picture()
    assert "hospital-notes-2-1.noarch" in after.versions
    assert "hospital-driver-5.0-1.noarch" in after.versions, "what is locked was updated"
    assert set(after.automatic.split()) == {"hospital-common", "hospital-fonts"}
    assert not call(HOST, "update_install", transaction=transaction, **RUN)["changed"]

    ok(call(HOST, "update_rollback", transaction=transaction, names=["hospital-notes"], **RUN))
    assert verdict(transaction, "from", ("hospital-notes",)) == ("ok", [])
    one_back = picture()
    assert "hospital-notes-1-1.noarch" in one_back.versions
    assert "hospital-viewer-1.1-1.noarch" in one_back.versions
    assert one_back.texts == before.texts, "the host's own text is not in force"

    ok(call(HOST, "update_rollback", transaction=transaction, **RUN))
    assert verdict(transaction, "from") == ("ok", [])
    assert picture() == before
    assert set(lab.exec(HOST, "rpm -Va", check=False).splitlines()) <= set(verified.splitlines())
    assert not call(HOST, "update_rollback", transaction=transaction, **RUN)["changed"]


@pytest.mark.slow  # test_bad_packages.py has the same on apt hosts
def test_a_script_that_fails_is_told_and_taken_back(notes):
    before = picture()
    offer(notes, "2", post=FAILING)
    transaction = ok(stage())["transaction"]
    failed = call(HOST, "update_install", transaction=transaction, **RUN)
    four_parts(failed["msg"])
    assert "%post of hospital-notes-2-1.noarch failed" in failed["msg"]
    assert "the ward is closed" in failed["msg"]
    assert verdict(transaction, "to")[0] == "failed"
    # Another attempt installs it again, and says the same.
    assert "%post of hospital-notes-2-1.noarch failed" in call(
        HOST, "update_install", transaction=transaction, **RUN
    ).get("msg", "")
    ok(call(HOST, "update_rollback", transaction=transaction, **RUN))
    assert verdict(transaction, "from") == ("ok", [])
    assert picture() == before


@pytest.mark.slow
def test_what_is_not_as_it_was_planned_is_refused(notes):
    offer(notes, "2", spoil=True)
    before = picture()
    refused = stage()
    four_parts(refused["msg"])
    assert "hospital-notes" in refused["msg"]
    assert picture() == before

    lab.write(HOST, "/etc/zypp/repos.d/notes.repo", DEFINITION.format(check=1))
    refused = call(HOST, "pending_updates_info", manager="zypper")
    four_parts(refused["msg"])
    assert "repository notes" in refused["msg"]
    lab.write(HOST, "/etc/zypp/repos.d/notes.repo", DEFINITION.format(check=0))

    offer(notes, "3")
    transaction = ok(stage())["transaction"]
    folder = f"/var/lib/hospital-patching/stage/{transaction['digest'].split(':')[1][:12]}/rpms"
    lab.exec(HOST, f"cp -a {folder} /root/kept; echo >> {folder}/hospital-notes-3-1.noarch.rpm")
    refused = call(HOST, "update_install", transaction=transaction, **RUN)
    assert "hospital-notes-3-1.noarch.rpm: SHA-256" in refused["msg"]
    lab.exec(HOST, f"rm -rf {folder}; mv /root/kept {folder}")
    lab.exec(HOST, "rpm -e hospital-notes")
    refused = call(HOST, "update_install", transaction=transaction, **RUN)
    assert "hospital-notes:noarch: nothing is installed; expected 1-1" in refused["msg"]
    assert "hospital-viewer-1.0-1.noarch" in lab.exec(HOST, "rpm -qa")


@pytest.mark.slow
def test_a_night(notes):
    before = picture()
    offer(notes, "2")
    night = Night(notes / "evidence", hosts=HOST, patching_security_only=False)
    night.ready()
    played = night.play("patch")
    assert played.rc == 0, played.stdout
    assert night.outcomes() == {HOST: "patched"}
    assert "hospital-notes-2-1.noarch" in picture().versions
    run = {"patching_run_id": night.plan["plan_id"], "rollback_hosts": "all", "rollback_reason": "second thoughts"}
    back = night.play("rollback", **run)
    assert back.rc == 0, back.stdout
    assert picture() == before
