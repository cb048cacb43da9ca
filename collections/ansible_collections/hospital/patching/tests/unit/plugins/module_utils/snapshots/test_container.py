# SPDX-License-Identifier: GPL-3.0-or-later
"""Container snapshots, on what podman 4.3 was recorded to answer."""

import json
import re

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Result
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import keeping
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import Room
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.container import ContainerProvider

RUN = "20261122T034500Z-ab12cd34"
OTHER = "20261122T034500Z-ffffffff"
EXPIRES = "2026-11-25T00:00:00Z"
GIB = 1024**3


class Podman:
    """Keeps containers and images, and answers in podman's words."""

    def __init__(self):
        self.images = {}
        self.containers = {
            "lab-portal1": {
                "Id": "4aa023ff",
                "ImageName": "localhost/lab/portal:7706dd10",
                "SizeRw": 4096,
                "Config": {
                    "CreateCommand": ["podman", "--root", "/srv/lab", "run", "--detach", "--name", "lab-portal1"]
                    + ["--ip", "10.77.10.21", "localhost/lab/portal:7706dd10", "/sbin/init"]
                },
            }
        }
        self.commands = []
        self.fail_on = None
        self.failures = {}

    def run(self, args, timeout_s=0, check=True, **_others):
        assert args[:3] == ["podman", "--root", "/srv/lab"]
        words = list(args[3:])
        self.commands.append(words)
        if self.fail_on and words[0] == self.fail_on:
            raise PatchingError("podman", "exit 125", "exit 0", "correct it")
        if self.failures.get(words[0]):
            self.failures[words[0]] -= 1
            raise PatchingError("podman", "exit 125: image not known", "exit 0", "correct it")
        answer = getattr(self, "do_" + words[0])(words)
        return Result(args, 0, answer if isinstance(answer, str) else json.dumps(answer), "")

    def do_ps(self, words):
        return "\n".join(self.containers)

    def do_container(self, words):
        return [self.containers[words[-1]]]

    def do_info(self, words):
        return {"store": {"graphRoot": "/srv/lab"}}

    def do_images(self, words):
        return "".join("sha256:{}\n".format(identity) for identity in self.images)

    def do_commit(self, words):
        assert words[-2] in self.containers
        labels = {}
        for word in words:
            if word.startswith("LABEL "):
                key, value = word[len("LABEL ") :].split("=", 1)
                assert value[0] == value[-1] == '"'
                assert not set(value[1:-1]) & set('"\\$')
                labels[key] = value[1:-1]
        identity = "{:064x}".format(len(self.images) + 1)
        for image in self.images.values():  # a name is one image's
            image["RepoTags"] = [name for name in image["RepoTags"] if name != words[-1]]
        self.images[identity] = {"Id": identity, "RepoTags": [words[-1]], "Size": 388908670, "Labels": labels}
        return identity

    def do_image(self, words):
        if words[1] == "rm":
            del self.images[words[2].replace("sha256:", "")]
            return ""
        return [self.images[identity.replace("sha256:", "")] for identity in words[2:]]

    def do_stop(self, words):
        return ""

    do_start = do_run = do_rm = do_stop

    def do_rename(self, words):
        self.containers[words[2]] = self.containers.pop(words[1])
        return ""


@pytest.fixture
def podman():
    return Podman()


@pytest.fixture
def provider(podman):
    options = {"engine": ["podman", "--root", "/srv/lab"], "container": "lab-portal1"}
    return ContainerProvider(options, podman, Clock(), free=lambda path: 50 * GIB)


def make(provider, run_id=RUN, host="portal1", reason="before the night"):
    return keeping.present(provider, run_id, host, reason, EXPIRES)


def test_a_snapshot_is_known_by_id_with_run_host_reason_and_expiry(provider, podman):
    made = make(provider, reason='before "the" $HOME night; it\'s \\ schön').snapshot
    assert made.id.startswith("sha256:")
    assert (made.run_id, made.host, made.expires) == (RUN, "portal1", EXPIRES)
    assert made.reason == 'before "the" $HOME night; it\'s \\ schön'
    (name,) = made.detail["names"]
    assert re.match(r"localhost/hospital-patching/portal1:{}-[0-9a-f]{{8}}\Z".format(RUN), name)
    assert "--pause=true" in next(words for words in podman.commands if words[0] == "commit")


def test_a_second_call_returns_the_same_one(provider, podman):
    first = make(provider)
    second = make(provider)
    assert (first.changed, second.changed) == (True, False)
    assert second.snapshot == first.snapshot
    assert len(podman.images) == 1


def test_a_commit_that_outlives_its_caller_is_listed_beside_the_next_ones(provider, podman):
    """The engine goes on with it when the caller is killed; a resumed run that finds none yet makes another."""
    made = [provider.create(RUN, "portal1", "before the night", EXPIRES) for _call in range(2)]
    assert {one.id for one in provider.list(RUN)} == {one.id for one in made}
    for one in made:
        assert provider.delete(one.id)
    assert podman.images == {}


def test_one_of_an_older_version_is_still_ours(provider, podman):
    mine = make(provider).snapshot
    podman.images[mine.id.replace("sha256:", "")]["RepoTags"] = ["localhost/hospital-patching/portal1:" + RUN]
    assert [one.id for one in provider.list(RUN)] == [mine.id]
    podman.images[mine.id.replace("sha256:", "")]["RepoTags"] = ["localhost/hospital-patching/portal1:" + RUN + "-kept"]
    assert provider.list(RUN) == []


def test_check_mode_makes_nothing_but_says_whether_it_could(provider, podman):
    assert keeping.present(provider, RUN, "portal1", "why", EXPIRES, write=False) == (True, None)
    podman.containers.clear()
    with pytest.raises(PatchingError, match="no container lab-portal1"):
        keeping.present(provider, RUN, "portal1", "why", EXPIRES, write=False)
    assert podman.images == {}


def test_lists_by_run_and_by_host(provider):
    make(provider)
    make(provider, OTHER)
    make(provider, RUN, "portal2")
    assert len(provider.list()) == 3
    assert [found.host for found in provider.list(RUN)] == ["portal1", "portal2"]
    assert [found.run_id for found in provider.list(host="portal1")] == [RUN, OTHER]


class PatientClock(Clock):
    def __init__(self):
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)


@pytest.mark.parametrize(("failures", "slept"), [(1, [1]), (3, [1, 2, 4])])
def test_an_image_that_another_run_deletes_while_ours_are_listed(provider, podman, failures, slept):
    make(provider)
    provider.clock = PatientClock()
    podman.failures = {"images": failures}

    assert [found.host for found in provider.list()] == ["portal1"]
    assert provider.clock.slept == slept


def test_an_engine_that_never_lists_is_not_one_without_snapshots(provider, podman):
    provider.clock = PatientClock()
    podman.failures = {"images": 4}

    with pytest.raises(PatchingError, match="image not known"):
        provider.list()


def test_a_foreign_image_with_inherited_labels_is_not_ours(provider, podman):
    mine = make(provider).snapshot
    foreign = dict(podman.images[mine.id.replace("sha256:", "")], Id="f" * 64, RepoTags=["localhost/foreign:1"])
    podman.images["f" * 64] = foreign
    assert provider.list() == [mine]
    assert provider.delete("sha256:" + "f" * 64) is False
    assert "f" * 64 in podman.images


def test_only_the_run_that_made_it_deletes_it(provider, podman):
    mine = make(provider).snapshot
    with pytest.raises(PatchingError, match="belongs to run"):
        keeping.absent(provider, OTHER, mine.id)
    with pytest.raises(PatchingError, match=r"it is of host portal1; expected a snapshot of host portal2"):
        keeping.absent(provider, RUN, mine.id, host="portal2")
    assert keeping.absent(provider, RUN, mine.id, write=False, host="portal1").changed
    assert keeping.absent(provider, RUN, mine.id, write=False) == (True, None)
    assert len(podman.images) == 1
    assert keeping.absent(provider, RUN, mine.id) == (True, None)
    assert keeping.absent(provider, RUN, mine.id) == (False, None)


def test_without_the_container_there_is_no_snapshot(provider, podman):
    podman.containers.clear()
    with pytest.raises(PatchingError, match="no container lab-portal1"):
        make(provider)


def test_without_space_there_is_no_snapshot(podman):
    options = {"engine": ["podman", "--root", "/srv/lab"], "container": "lab-portal1"}
    podman.containers["lab-portal1"]["SizeRw"] = 5 * GIB
    tight = ContainerProvider(options, podman, Clock(), free=lambda path: 6 * GIB - 1)
    with pytest.raises(PatchingError, match="/srv/lab has 6442450943 bytes free, the snapshot needs 6442450944"):
        make(tight)
    assert podman.images == {}


def test_room_is_that_of_the_engines_store(podman):
    options = {"engine": ["podman", "--root", "/srv/lab"]}
    asked = ContainerProvider(options, podman, Clock(), free=lambda path: 6 * GIB, size=lambda path: 50 * GIB)
    assert asked.rooms() == [Room("file system", "/srv/lab", 50 * GIB, 6 * GIB)]


def test_an_engine_that_drops_labels_is_refused(provider, podman, monkeypatch):
    monkeypatch.setattr(podman, "do_commit", lambda words: "")
    with pytest.raises(PatchingError, match="no image with this run's labels"):
        make(provider)


def test_revert_recreates_the_container_by_its_own_command(provider, podman):
    mine = make(provider).snapshot
    done = provider.revert(mine.id, "portal1")
    created = next(words for words in podman.commands if words[0] == "run")
    assert created == ["run", "--detach", "--name", "lab-portal1", "--ip", "10.77.10.21", mine.id, "/sbin/init"]
    assert done["image"] == mine.id
    assert done["kept"] in podman.containers


def test_a_container_that_was_reverted_is_reverted_again(provider, podman):
    """It was created from the image's id; podman shows the image's name, which its command does not have."""
    mine = make(provider).snapshot
    podman.containers["lab-portal1"].update(
        Image=mine.id.replace("sha256:", ""),
        ImageName="localhost/hospital-patching/portal1:" + RUN,
        Config={"CreateCommand": ["podman", "run", "--detach", "--name", "lab-portal1", mine.id, "/sbin/init"]},
    )
    provider.revert(mine.id, "portal1")
    created = next(words for words in podman.commands if words[0] == "run")
    assert created == ["run", "--detach", "--name", "lab-portal1", mine.id, "/sbin/init"]


def test_a_revert_that_does_not_start_puts_the_old_one_back(provider, podman):
    mine = make(provider).snapshot
    podman.fail_on = "run"
    with pytest.raises(PatchingError):
        provider.revert(mine.id, "portal1")
    assert list(podman.containers) == ["lab-portal1"]
    assert podman.commands[-1] == ["start", "lab-portal1"]


def test_a_container_created_in_another_way_is_not_stopped(provider, podman):
    mine = make(provider).snapshot
    podman.containers["lab-portal1"]["Config"] = {}
    with pytest.raises(PatchingError, match="creation command"):
        provider.revert(mine.id, "portal1")
    assert not [words for words in podman.commands if words[0] in ("stop", "rename")]


def test_only_the_snapshot_of_this_host_and_run_is_reverted_to(provider):
    mine = make(provider).snapshot
    assert keeping.require(provider, mine.id, RUN, "portal1") == mine
    for wrong in ((mine.id, OTHER, "portal1"), (mine.id, RUN, "portal2"), ("sha256:0", RUN, "portal1")):
        with pytest.raises(PatchingError, match="ledger"):
            keeping.require(provider, *wrong)


def test_an_unknown_option_is_refused(podman):
    with pytest.raises(PatchingError, match="unknown option"):
        ContainerProvider({"contaner": "x"}, podman, Clock())


def test_what_a_revert_loses_is_what_the_containers_layer_has_grown(provider, podman):
    made_of = {"Id": "ba5e", "RepoTags": [], "Size": 388908670 - 4096, "Labels": {}}
    podman.images["ba5e"] = made_of
    podman.containers["lab-portal1"]["Image"] = "ba5e"
    mine = make(provider).snapshot
    grown = "files that were overwritten count only by what they have grown"
    assert provider.loss(mine.id, "portal1") == (0, grown)
    podman.containers["lab-portal1"]["SizeRw"] = 4096 + 7_000_000
    assert provider.loss(mine.id, "portal1") == (7_000_000, grown)
    podman.containers["lab-portal1"]["SizeRw"] = 0
    assert provider.loss(mine.id, "portal1") == (0, grown)
    # A container that was put back before runs from the restore point itself.
    podman.containers["lab-portal1"].update(Image=mine.id, SizeRw=500)
    assert provider.loss(mine.id, "portal1") == (500, grown)


def test_an_engine_that_tells_no_size_tells_no_loss(provider, podman):
    mine = make(provider).snapshot
    assert provider.loss(mine.id, "portal1").size_bytes is None
    assert provider.loss("sha256:beef", "portal1") == (None, "there is no such restore point")
