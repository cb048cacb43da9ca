# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed right after it made a restore point: resumed or swept, it leaves no orphan.

The same at the level of one call, and for other providers, is in tests/snapshots/test_killed_calls.py.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import killing, lab
from tests.support.expect import require_final_state, version
from tests.support.killing import Controller
from tests.support.night import PORTALS, Night, as_found, portals_as_built

#: The engine as the lab has it, but for a commit, which it does not end before it is let through.
ENGINE = """#!/bin/sh
[ "$1" != commit ] || echo "$*" >> {folder}/commits
{podman} "$@" || exit
[ "$1" = commit ] || exit 0
touch {folder}/made
until [ -e {folder}/passed ]; do sleep 0.1; done
"""


class Secured(NamedTuple):
    """Two portal hosts with an update staged, and an engine that holds up whoever makes a restore point with it."""

    images: Mapping[str, str]
    evidence: Path
    plan: dict[str, Any]
    settings: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def secured_once(tmp_path_factory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("engine")
    engine = folder / "podman"
    engine.write_text(ENGINE.format(folder=folder, podman=lab.folder() / "podman"), encoding="utf-8")
    engine.chmod(0o755)
    container = lab.container("{{ inventory_hostname }}")
    settings = {"patching_snapshot": {"provider": "container", "engine": [str(engine)], "container": container}}
    portals_as_built()
    night = Night(tmp_path_factory.mktemp("secured") / "evidence", **settings)
    night.ready(patching_settle_s=20)
    with lab.kept(PORTALS) as images:
        yield Secured(images, night.evidence, night.plan, settings, folder)


class Killed:
    """A night whose controller is killed right after it made portal1's restore point, and what is in the engine."""

    def __init__(self, secured: Secured, evidence: Path) -> None:
        self.folder = secured.folder
        for name in ("commits", "made", "passed"):
            (self.folder / name).unlink(missing_ok=True)
        self.night = Night(evidence, **secured.settings)
        self.night.plan = secured.plan
        self.run_id = str(secured.plan["plan_id"])
        self.foreign: set[str] = set()

    def make_foreign(self) -> None:
        """Make one image of our repository's name, and one that has our labels, as of a container that was put back."""
        labels = [f"hospital.patching.{key}={value}" for key, value in (("run_id", self.run_id), ("host", "portal1"))]
        for name, changes in (("localhost/hospital-patching/portal1:monthly", []), ("localhost/theirs:1", labels)):
            words = [word for label in changes for word in ("--change", f"LABEL {label}")]
            made = podman("commit", "--quiet", "--pause=false", *words, lab.container("portal1"), name)
            self.foreign.add(f"sha256:{made.strip().removeprefix('sha256:')}")

    def kill(self, point: str) -> str:
        """Kill the controller when the restore point was ``made``, or ``recorded`` as well; return its id."""
        if point == "recorded":
            self.let_through()
        controller = Controller(self.night)

        def recorded() -> bool:
            return any(one["detail"].get("snapshot") for one in controller.new_records())

        reached = controller.until(recorded if point == "recorded" else (self.folder / "made").exists)
        controller.kill()
        assert reached, controller.output()
        assert recorded() is (point == "recorded")
        assert version("portal1") == "1.0.0"
        self.let_through()
        (left,) = self.images() - self.foreign
        return left

    def let_through(self) -> None:
        (self.folder / "passed").touch()

    def commits(self) -> list[str]:
        """The hosts of which restore points were made, in order."""
        lines = (self.folder / "commits").read_text(encoding="utf-8").splitlines()
        return [line.split()[-1].rpartition("/")[2].partition(":")[0] for line in lines]

    def images(self) -> set[str]:
        """Every image that says it is of this run, with a name or without, and the foreign ones of our name."""
        of_run = podman("images", *IDS, "--filter", f"label=hospital.patching.run_id={self.run_id}")
        named = podman("images", *IDS, "--filter", "reference=localhost/hospital-patching/portal1:monthly")
        return set(of_run.split()) | set(named.split())

    def keep_house(self, **settings: Any) -> str:
        """Return what was told."""
        played = self.night.play("housekeeping", **settings)
        assert played.rc == 0, played.stdout
        (told,) = played.results("Show it")
        return " ".join(told["msg"])


IDS = ("--all", "--quiet", "--no-trunc")


def podman(*words: str) -> str:
    """Ask the lab's engine."""
    done = subprocess.run([str(lab.folder() / "podman"), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def killed(secured_once, tmp_path) -> Iterator[Killed]:
    lab.publish()
    lab.reset(PORTALS, secured_once.images)
    shutil.copytree(secured_once.evidence, tmp_path / "evidence")
    night = Killed(secured_once, tmp_path / "evidence")
    night.make_foreign()
    yield night
    killing.end_all()
    night.let_through()
    podman("image", "rm", "--force", *night.images())


@pytest.mark.slow
@pytest.mark.parametrize("point", ["made", "recorded"])
def test_a_run_that_is_resumed_takes_its_restore_point_up(killed, point):
    left = killed.kill(point)
    resumed = killed.night.play("patch")
    assert resumed.rc == 0, resumed.stdout
    require_final_state(killed.night)
    assert killed.commits() == list(PORTALS), "a second restore point was made of a host"
    recorded = [one["detail"]["snapshot"]["id"] for one in killed.night.records() if one["detail"].get("snapshot")]
    assert set(recorded) == killed.images() - killed.foreign
    of_portal1 = [one["detail"]["snapshot"] for one in killed.night.records("portal1") if one["detail"].get("snapshot")]
    assert {one["id"] for one in of_portal1} == {left}

    assert "it is kept until" in killed.keep_house()
    assert set(recorded) == killed.images() - killed.foreign
    told = killed.keep_house(patching_snapshot_verified_keep_s=1)
    assert told.count("the host was proven patched at") == len(PORTALS)
    assert killed.images() == killed.foreign


@pytest.mark.slow
@pytest.mark.parametrize("point", ["made", "recorded"])
def test_a_run_that_nobody_resumes_is_swept_once_it_was_recovered(killed, point):
    left = killed.kill(point)
    told = killed.keep_house()
    assert f"{left} of portal1: run {killed.run_id} is not closed; if its controller is dead, recover.yml" in told
    assert killed.images() == killed.foreign | {left}

    recovered = killed.night.play("recover", recover_all=True, recover_silent_s=1)
    assert recovered.rc == 0, recovered.stdout
    assert killed.night.outcomes() == dict.fromkeys(PORTALS, "not_started")
    for host in PORTALS:
        assert lab.in_service(host)
        assert "held 0 times" in as_found(host)
    assert killed.commits() == ["portal1"]

    told = killed.keep_house()
    assert f"Deleted: container restore point {left} of portal1 (run {killed.run_id}): its run is closed and" in told
    assert told.count("Deleted: ") == 1
    assert killed.images() == killed.foreign
