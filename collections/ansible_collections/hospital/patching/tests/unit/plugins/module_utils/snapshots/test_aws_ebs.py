# SPDX-License-Identifier: GPL-3.0-or-later
"""EBS snapshots of an EC2 instance, against moto, a double of AWS that runs in this process or on loopback.

moto completes everything at once, keeps no block data, ignores ExcludeDataVolumeIds and ClientToken, and lets a volume
be detached from a running instance: where a test needs AWS's own behaviour, it is added to the double here.
"""

import sys
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import aws_sets, keeping
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_api import ApiError, Ec2
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_ebs import AwsEbsProvider

if sys.version_info < (3, 10):
    pytest.skip("moto and boto3 need a newer Python; where they run, it is there", allow_module_level=True)

import boto3
from moto import mock_aws
from moto.ec2.models import ec2_backends

RUN, OTHER = "20261122T034500Z-ab12cd34", "20261122T034500Z-ffffffff"
EXPIRES = "2026-11-25T00:00:00Z"
REGION, ZONE, ACCOUNT = "eu-central-1", "eu-central-1b", "123456789012"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
ROOT, DATABASE, FILES = "/dev/sda1", "/dev/sdf", "/dev/sdg"


#: What a revert of three volumes changes, one call a word; each one is a point to be interrupted at.
CHANGES = ["create_tags"] + ["create_volume"] * 3 + ["create_tags"] * 3 + ["stop_instances"]
CHANGES += ["detach_volume", "attach_volume"] * 3 + ["modify_instance_attribute", "start_instances"]
CHANGES += ["create_tags", "delete_tags"]
QUICK_AND_SLOW = [
    number if number == 11 else pytest.param(number, marks=pytest.mark.slow) for number in range(len(CHANGES) - 1)
]


class Killed(BaseException):
    """The process ends here, as by a signal that nobody can catch."""


class FastClock(Clock):
    """Time passes only while somebody sleeps; ``meanwhile`` is what happens then."""

    def __init__(self):
        self.passed = 0.0
        self.meanwhile = lambda: None

    def now(self):
        return datetime(2026, 11, 22, 3, 45, tzinfo=timezone.utc) + timedelta(seconds=self.passed)

    def monotonic(self):
        return self.passed

    def sleep(self, seconds):
        self.passed += seconds
        self.meanwhile()


class Broken(Ec2):
    """The API, of which call number ``at`` that changes something fails, or is the last one before or after a kill."""

    def __init__(self, client, clock):
        super().__init__(client, client, clock)
        self.changes = []
        self.asked = []
        self.at = None
        self.how = "fail"
        self.dead = False

    def call(self, operation, **parameters):
        self.asked.append((operation, parameters))
        if self.dead:
            raise ApiError("503 Unavailable", "health", "wait", code="Unavailable", busy=True)
        if operation.startswith("describe"):
            return super().call(operation, **parameters)
        self.changes.append(operation)
        if len(self.changes) - 1 == self.at:
            if self.how == "killed before":
                raise Killed
            if self.how == "fail":
                raise ApiError("{}: 400 Refused: no".format(operation), "it done", "mend it", code="Refused")
            if self.how == "dies":
                self.dead = True
                return self.call(operation, **parameters)
            super().call(operation, **parameters)
            raise Killed
        return super().call(operation, **parameters)

    def call_once(self, operation, **parameters):
        return self.call(operation, **parameters)

    def all(self, operation, key, **parameters):
        if self.dead:
            raise ApiError("503 Unavailable", "health", "wait", code="Unavailable", busy=True)
        return super().all(operation, key, **parameters)


@pytest.fixture(scope="module")
def client():
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        client = boto3.client("ec2", region_name=REGION)
        client.register_image(Name="system", RootDeviceName=ROOT)
        ec2_backends[ACCOUNT][REGION].snapshots.clear()  # the image's own
        yield client


@pytest.fixture
def backend(client):
    backend = ec2_backends[ACCOUNT][REGION]
    yield backend
    for kept in (backend.reservations, backend.volumes, backend.snapshots, backend.tags):
        kept.clear()


@pytest.fixture
def clock():
    return FastClock()


@pytest.fixture
def api(client, clock):
    return Broken(client, clock)


@pytest.fixture
def machine(client, backend):
    """An instance with a root volume, an encrypted database and a fast volume of files."""
    return launch(client)


def launch(client, name="db1"):
    image = client.describe_images(Owners=["self"])["Images"][0]["ImageId"]
    root = {"DeviceName": ROOT, "Ebs": {"VolumeSize": 8, "VolumeType": "gp3", "DeleteOnTermination": True}}
    made = client.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        Placement={"AvailabilityZone": ZONE},
        BlockDeviceMappings=[root],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}],
    )["Instances"][0]["InstanceId"]
    volumes = (
        (DATABASE, {"Size": 100, "VolumeType": "io2", "Iops": 5000, "Encrypted": True, "KmsKeyId": KEY}),
        (FILES, {"Size": 20, "VolumeType": "gp3", "Iops": 4000, "Throughput": 250}),
    )
    for device, wanted in volumes:
        tags = [{"ResourceType": "volume", "Tags": [{"Key": "Backup", "Value": "daily " + device}]}]
        volume = client.create_volume(AvailabilityZone=ZONE, TagSpecifications=tags, **wanted)["VolumeId"]
        client.attach_volume(VolumeId=volume, InstanceId=made, Device=device)
    return made


@pytest.fixture
def provider(machine, api, clock):
    return make_provider(api, clock, instance_id=machine)


def make_provider(api, clock, **options):
    return AwsEbsProvider(options, Runner(), clock, connected=lambda _options, _clock: api)


def secure(provider, run_id=RUN, host="db1", reason="before the night"):
    return keeping.present(provider, run_id, host, reason, EXPIRES)


def attached(client, machine):
    found = client.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [machine]}])["Volumes"]
    return {volume["Attachments"][0]["Device"]: volume for volume in found}


def ids(client, machine):
    return {device: volume["VolumeId"] for device, volume in attached(client, machine).items()}


def instance(client, machine):
    return client.describe_instances(InstanceIds=[machine])["Reservations"][0]["Instances"][0]


def all_volumes(client):
    return {volume["VolumeId"] for volume in client.describe_volumes()["Volumes"]}


def flags(client, machine):
    mappings = instance(client, machine)["BlockDeviceMappings"]
    return {one["DeviceName"]: one["Ebs"]["DeleteOnTermination"] for one in mappings}


def tags(resource):
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


class TestMaking:
    def test_one_set_of_all_volumes_is_tagged_and_known_by_its_id(self, provider, client, machine, clock):
        kept = secure(provider, reason='before "the" night; über')
        made = kept.snapshot
        assert kept.changed
        assert made.id.startswith("snapset-")
        assert (made.run_id, made.host, made.expires) == (RUN, "db1", EXPIRES)
        assert (made.reason, made.created) == ('before "the" night; über', "2026-11-22T03:45:00Z")
        assert made.detail["lacks"] is None
        members = {one["device"]: one["volume"] for one in made.detail["snapshots"]}
        assert members == ids(client, machine)
        assert {one["device"]: one["encrypted"] for one in made.detail["snapshots"]}[DATABASE] is True
        for one in client.describe_snapshots(OwnerIds=["self"])["Snapshots"]:
            assert tags(one)["hospital.patching.run_id"] == RUN
            assert tags(one)["hospital.patching.snapshot"] == one["SnapshotId"]

    def test_a_second_call_returns_the_same_one(self, provider, client):
        first, second = secure(provider), secure(provider)
        assert (first.changed, second.changed) == (True, False)
        assert second.snapshot == first.snapshot
        assert len(client.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 3

    def test_check_mode_makes_nothing_but_says_whether_it_could(self, provider, client, machine, api):
        assert keeping.present(provider, RUN, "db1", "why", EXPIRES, write=False) == (True, None)
        client.terminate_instances(InstanceIds=[machine])
        with pytest.raises(PatchingError, match="is terminated"):
            keeping.present(provider, RUN, "db1", "why", EXPIRES, write=False)
        assert api.changes == []

    def test_an_instance_is_found_by_its_tags(self, machine, api, clock, client):
        found = make_provider(api, clock, instance_tags={"Name": "db1"})
        assert secure(found).snapshot.detail["instance"] == machine
        second = launch(client)
        assert "there are 2 of instance with Name=db1" in found.available("db1")
        client.terminate_instances(InstanceIds=[second])
        assert found.available("db1") is None

    @pytest.mark.parametrize("name", [FILES, "its volume"])
    def test_a_volume_that_is_left_out(self, machine, api, clock, client, backend, monkeypatch, name):
        files = ids(client, machine)[FILES]
        whole = backend.create_snapshots

        def as_aws_does(instance_spec, description, tags):
            made = whole(instance_spec, description, tags)
            out = instance_spec.get("ExcludeDataVolumeIds", [])
            for snapshot in [one for one in made if one.volume.id in out]:
                backend.delete_snapshot(snapshot.id)
            return [one for one in made if one.volume.id not in out]

        monkeypatch.setattr(backend, "create_snapshots", as_aws_does)
        provider = make_provider(api, clock, instance_id=machine, exclude=[FILES if name == FILES else files])
        made = secure(provider).snapshot
        assert {one["device"] for one in made.detail["snapshots"]} == {ROOT, DATABASE}
        before = ids(client, machine)
        assert [one["device"] for one in provider.revert(made.id, "db1")["volumes"]] == [ROOT, DATABASE]
        assert ids(client, machine)[FILES] == before[FILES]

    def test_more_snapshots_than_asked_for_are_no_restore_point(self, machine, api, clock, client):
        # moto ignores the exclusion, and so stands for a volume that is attached in this very moment.
        provider = make_provider(api, clock, instance_id=machine, exclude=[FILES])
        with pytest.raises(PatchingError, match="expected one of each of"):
            secure(provider)
        assert client.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []

    def test_it_is_waited_for_until_aws_has_completed_it(self, provider, backend, clock, monkeypatch):
        pending(backend, monkeypatch)

        def complete():
            if clock.passed >= 20:
                for snapshot in backend.snapshots.values():
                    snapshot.status = "completed"

        clock.meanwhile = complete
        assert secure(provider).snapshot.detail["lacks"] is None
        assert clock.passed == 20

    def test_what_is_not_completed_in_time_is_removed(self, machine, api, clock, client, backend, monkeypatch):
        pending(backend, monkeypatch)
        provider = make_provider(api, clock, instance_id=machine, complete_timeout_s=30)
        with pytest.raises(PatchingError, match="not so far after 30 s"):
            secure(provider)
        assert clock.passed == 30
        assert client.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []

    def test_a_snapshot_that_aws_could_not_make(self, provider, client, backend, monkeypatch):
        pending(backend, monkeypatch, "error")
        with pytest.raises(PatchingError, match="AWS could not make snap-"):
            secure(provider)
        assert client.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []

    @pytest.mark.parametrize("at", range(4))
    def test_a_killed_call_leaves_no_orphan_to_the_next(self, provider, client, api, at):
        api.at, api.how = at, "killed after"
        with pytest.raises(Killed):
            secure(provider)
        api.at = None
        made = secure(provider).snapshot
        there = {one["SnapshotId"] for one in client.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
        assert there == {one["id"] for one in made.detail["snapshots"]}
        assert len(there) == 3

    @pytest.mark.parametrize("at", range(4))
    def test_a_failed_call_leaves_nothing(self, provider, client, api, at):
        api.at = at
        with pytest.raises(PatchingError, match="Refused"):
            secure(provider)
        assert client.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []

    def test_an_api_that_dies_meanwhile_is_said_to_have_left_something(self, provider, client, api):
        api.at, api.how = 1, "dies"
        with pytest.raises(
            PatchingError, match=r"could not be removed .*503.* tagged hospital\.patching\.set=snapset-"
        ):
            secure(provider)
        api.at, api.dead = None, False
        secure(provider)
        assert len(client.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 3


def pending(backend, monkeypatch, status="pending"):
    """Have new snapshots take their time, as in AWS."""
    whole = backend.create_snapshots

    def made(*args):
        snapshots = whole(*args)
        for snapshot in snapshots:
            snapshot.status = status
        return snapshots

    monkeypatch.setattr(backend, "create_snapshots", made)


class TestRefusals:
    def refusal(self, provider, api):
        said = provider.available("db1")
        with pytest.raises(PatchingError) as raised:
            secure(provider)
        assert raised.value.seen == said
        assert api.changes == []
        return said

    def test_an_unknown_instance(self, machine, api, clock):
        provider = make_provider(api, clock, instance_id="i-0123456789abcdef0")
        assert self.refusal(provider, api) == "there is no instance i-0123456789abcdef0"

    @pytest.mark.parametrize(
        ("options", "said"),
        [({}, "neither"), ({"instance_id": "i-1", "instance_tags": {"Name": "db1"}}, "both")],
    )
    def test_an_instance_that_is_not_named_once(self, api, clock, options, said):
        assert said in self.refusal(make_provider(api, clock, **options), api)

    def test_a_terminated_instance(self, provider, client, machine, api):
        client.terminate_instances(InstanceIds=[machine])
        assert self.refusal(provider, api) == "instance {} is terminated".format(machine)

    def test_an_instance_between_states(self, provider, backend, machine, api):
        backend.get_instance(machine)._state.name = "stopping"
        assert self.refusal(provider, api) == "it is stopping"

    def test_an_instance_store_as_root(self, provider, backend, machine, api):
        backend.get_instance(machine).root_device_type = "instance-store"
        assert self.refusal(provider, api) == "its root device is instance-store"

    @pytest.mark.parametrize(
        ("exclude", "said"), [(ROOT, "root device /dev/sda1 is left out"), ("/dev/sdz", "names /dev/sdz, which is not")]
    )
    def test_a_wrong_exclusion(self, machine, api, clock, exclude, said):
        provider = make_provider(api, clock, instance_id=machine, exclude=[exclude])
        assert said in self.refusal(provider, api)

    def test_a_volume_of_several_instances(self, provider, api, client, monkeypatch):
        described = api.all

        def shared(operation, key, **parameters):
            found = described(operation, key, **parameters)
            if operation == "describe_volumes" and "VolumeIds" in parameters:
                found[0]["Attachments"] = found[0]["Attachments"] * 2
            return found

        monkeypatch.setattr(api, "all", shared)
        assert "is attached to several instances" in self.refusal(provider, api)

    def test_a_volume_with_too_many_pending_snapshots(self, provider, client, backend, machine, api):
        volume = ids(client, machine)[DATABASE]
        for number in range(5):
            assert provider.available("db1") is None, number
            made = client.create_snapshot(VolumeId=volume)["SnapshotId"]
            backend.snapshots[made].status = "pending"
        assert self.refusal(provider, api) == "volume {} has 5 snapshots in the making".format(volume)

    def test_an_instance_that_is_being_put_back(self, provider, client, api):
        made = secure(provider).snapshot
        api.at, api.how = len(api.changes) + 5, "killed after"
        with pytest.raises(Killed):
            provider.revert(made.id, "db1")
        api.changes.clear()
        api.at = None
        with pytest.raises(PatchingError, match=r"a revert to snapset-.* was begun and has not ended"):
            secure(provider, OTHER)
        assert api.changes == []

    @pytest.mark.parametrize("key", ["connect_timeout_s", "read_timeout_s", "attempts", "poll_s"])
    def test_limits_that_would_wait_for_ever(self, api, clock, key):
        with pytest.raises(PatchingError, match="{} is 0; expected 1 or more".format(key)):
            make_provider(api, clock, instance_id="i-1", **{key: 0})


class TestIdentity:
    def test_lists_by_run_and_by_host(self, provider):
        first, second = secure(provider).snapshot, secure(provider, OTHER).snapshot
        assert {one.id for one in provider.list()} == {first.id, second.id}
        assert provider.list(RUN) == [first]
        assert provider.list(RUN, "db2") == []

    def test_a_foreign_snapshot_of_the_same_name_is_not_ours(self, provider, client, machine):
        mine = secure(provider).snapshot
        ours = client.describe_snapshots(SnapshotIds=[mine.detail["snapshots"][0]["id"]])["Snapshots"][0]
        name = [{"Key": "Name", "Value": tags(ours)["Name"]}]
        copied = [tag for tag in ours["Tags"] if not tag["Key"].startswith("aws:")]
        volume = ids(client, machine)[ROOT]
        foreign = [
            client.create_snapshot(
                VolumeId=volume, Description=text, TagSpecifications=[{"ResourceType": "snapshot", "Tags": given}]
            )["SnapshotId"]
            # Somebody's own; one with our tags, as backup tools copy them; one with our description as well.
            for text, given in (("mine", name), ("mine", copied), (ours["Description"], copied))
        ]
        assert provider.list() == [mine]
        assert keeping.absent(provider, RUN, mine.id).changed
        left = {one["SnapshotId"] for one in client.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
        assert left == set(foreign)
        assert provider.list() == []

    def test_only_the_run_that_made_it_deletes_it_and_once(self, provider):
        mine, other = secure(provider).snapshot, secure(provider, OTHER).snapshot
        with pytest.raises(PatchingError, match="belongs to run"):
            keeping.absent(provider, OTHER, mine.id)
        assert keeping.absent(provider, RUN, mine.id, write=False) == (True, None)
        assert provider.list() == sorted([mine, other], key=lambda one: one.id)
        assert keeping.absent(provider, RUN, mine.id) == (True, None)
        assert keeping.absent(provider, RUN, mine.id) == (False, None)
        assert provider.delete(mine.id) is False
        assert provider.list() == [other]

    @pytest.mark.parametrize("how", ["made from it", "registered with it"])
    def test_a_snapshot_that_an_image_needs_is_left(self, provider, client, backend, machine, how):
        mine = secure(provider).snapshot
        used = mine.detail["snapshots"][1]["id"]
        image = client.create_image(InstanceId=machine, Name="golden")["ImageId"]
        if how == "made from it":
            backend.amis[image].ebs_snapshot = backend.snapshots[used]
        else:
            backend.snapshots[used].from_ami = image  # EC2 itself refuses
        with pytest.raises(PatchingError, match=image):
            keeping.absent(provider, RUN, mine.id)
        assert used in backend.snapshots
        if how == "made from it":
            assert provider.list() == [mine]
        client.deregister_image(ImageId=image)
        assert keeping.absent(provider, RUN, mine.id).changed
        assert provider.list() == []

    def test_a_snapshot_removed_behind_our_back(self, provider, client, machine, api):
        mine = secure(provider).snapshot
        client.delete_snapshot(SnapshotId=mine.detail["snapshots"][0]["id"])
        api.changes.clear()
        assert provider.present(RUN, "db1") is None
        with pytest.raises(PatchingError, match="2 of 3 snapshots are there"):
            provider.revert(mine.id, "db1")
        assert api.changes == []
        assert provider.list()[0].detail["lacks"].startswith("2 of 3")
        assert keeping.absent(provider, RUN, mine.id).changed  # what is left of it
        assert client.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []

    def test_one_that_vanishes_while_it_is_deleted(self, provider, client, api, monkeypatch):
        mine = secure(provider).snapshot
        require = provider._require_free

        def meanwhile(*args):
            require(*args)
            client.delete_snapshot(SnapshotId=mine.detail["snapshots"][0]["id"])

        monkeypatch.setattr(provider, "_require_free", meanwhile)
        assert provider.delete(mine.id) is True
        assert provider.list() == []

    def test_a_seal_that_somebody_edited(self, provider, client):
        mine = secure(provider).snapshot
        edited = [{"Key": aws_sets.LAYOUT, "Value": "device=/dev/sda1"}]
        client.create_tags(Resources=[mine.detail["snapshots"][0]["id"]], Tags=edited)
        with pytest.raises(PatchingError, match=r"tag hospital\.patching\.volume: 'device=/dev/sda1'"):
            provider.list()


class TestRevert:
    def test_one_host_is_put_back(self, provider, client, machine):
        client.modify_instance_attribute(
            InstanceId=machine, BlockDeviceMappings=[{"DeviceName": FILES, "Ebs": {"DeleteOnTermination": True}}]
        )
        before, flagged = attached(client, machine), flags(client, machine)
        assert flagged == {ROOT: True, DATABASE: False, FILES: True}
        mine = secure(provider).snapshot
        done = provider.revert(mine.id, "db1")
        after = attached(client, machine)
        assert set(after) == set(before)
        sources = {one["device"]: one["id"] for one in mine.detail["snapshots"]}
        for device, volume in after.items():
            assert volume["SnapshotId"] == sources[device]
            assert volume["VolumeId"] != before[device]["VolumeId"]
            for fact in ("AvailabilityZone", "VolumeType", "Size", "Iops", "Throughput", "Encrypted", "KmsKeyId"):
                assert volume.get(fact) == before[device].get(fact), fact
            # Whatever a site does by a volume's tags (backup, cost) it does with the new one too.
            assert tags(volume).get("Backup") == tags(before[device]).get("Backup")
        assert flags(client, machine) == flagged
        now = instance(client, machine)
        assert now["State"]["Name"] == "running"
        assert aws_sets.REVERT not in tags(now)
        assert done["instance"] == machine
        assert sorted(done["kept"]) == sorted(one["VolumeId"] for one in before.values())
        assert {one["device"]: (one["old"], one["new"]) for one in done["volumes"]} == {
            device: (before[device]["VolumeId"], after[device]["VolumeId"]) for device in before
        }

    def test_volumes_are_taken_out_of_a_stopped_instance_only(self, provider, client, backend, machine, monkeypatch):
        mine = secure(provider).snapshot
        for name in ("attach_volume", "detach_volume"):
            real = getattr(backend, name)

            def stopped_only(*args, _real=real, **others):
                assert backend.get_instance(machine).state == "stopped"
                return _real(*args, **others)

            monkeypatch.setattr(backend, name, stopped_only)
        provider.revert(mine.id, "db1")

    def test_old_volumes_are_kept_until_retention(self, provider, client, machine):
        before = ids(client, machine)
        mine = secure(provider).snapshot
        provider.revert(mine.id, "db1")
        live = ids(client, machine)
        for volume in client.describe_volumes(VolumeIds=sorted(before.values()))["Volumes"]:
            assert volume["State"] == "available"
            assert tags(volume)["hospital.patching.expires"] == EXPIRES
        # Even where all snapshots are gone the volumes are found, as what is left of the set.
        for one in mine.detail["snapshots"]:
            client.delete_snapshot(SnapshotId=one["id"])
        assert [(one.id, one.run_id, one.host) for one in provider.list()] == [(mine.id, RUN, "db1")]
        assert keeping.absent(provider, RUN, mine.id).changed
        assert all_volumes(client) == set(live.values())
        assert provider.list() == []

    def test_a_kept_volume_that_somebody_uses_is_left_with_its_set(self, provider, client, machine):
        mine = secure(provider).snapshot
        kept = provider.revert(mine.id, "db1")["kept"]
        client.attach_volume(VolumeId=kept[0], InstanceId=machine, Device="/dev/sdx")
        with pytest.raises(PatchingError, match="its replaced volume {} is attached to {}".format(kept[0], machine)):
            keeping.absent(provider, RUN, mine.id)
        assert all_volumes(client) >= set(kept)
        assert provider.present(RUN, "db1").id == mine.id

    def test_a_reverted_volume_in_use_is_never_taken_for_a_left_over(self, provider, client, machine):
        mine = secure(provider).snapshot
        provider.revert(mine.id, "db1")
        detached = ids(client, machine)[FILES]
        client.detach_volume(VolumeId=detached, InstanceId=machine)  # an administrator moves it for an hour
        assert keeping.absent(provider, RUN, mine.id).changed
        assert client.describe_volumes(VolumeIds=[detached])["Volumes"]

    def test_a_second_revert_starts_from_the_snapshots_again(self, provider, client, machine):
        mine = secure(provider).snapshot
        first = provider.revert(mine.id, "db1")
        provider.clock.passed += 60
        second = provider.revert(mine.id, "db1")
        assert {one["old"] for one in second["volumes"]} == {one["new"] for one in first["volumes"]}
        assert keeping.absent(provider, RUN, mine.id).changed
        assert all_volumes(client) == set(ids(client, machine).values())

    def test_a_device_that_is_empty_now_gets_its_volume(self, provider, client, machine):
        mine = secure(provider).snapshot
        lost = ids(client, machine)[FILES]
        client.detach_volume(VolumeId=lost, InstanceId=machine)
        client.delete_volume(VolumeId=lost)
        done = provider.revert(mine.id, "db1")
        assert {one["device"]: one["old"] for one in done["volumes"]}[FILES] is None
        assert set(ids(client, machine)) == {ROOT, DATABASE, FILES}

    @pytest.mark.parametrize("at", QUICK_AND_SLOW)
    def test_a_revert_that_was_interrupted_anywhere_goes_on(self, provider, client, clock, machine, api, at):
        before, flagged = ids(client, machine), flags(client, machine)
        mine = secure(provider).snapshot
        api.changes.clear()
        api.at, api.how = at, "killed after"
        with pytest.raises(Killed):
            provider.revert(mine.id, "db1")
        assert api.changes == CHANGES[: at + 1]
        # Another process, which knows nothing.
        clock.passed += 60
        again = make_provider(Broken(client, clock), clock, instance_id=machine)
        again.revert(mine.id, "db1")
        self.assert_reverted(client, machine, mine, before, flagged)
        again.delete(mine.id)
        assert all_volumes(client) == set(ids(client, machine).values())

    def test_the_interruptions_are_tried_at_every_change(self, provider, api):
        mine = secure(provider).snapshot
        api.changes.clear()
        provider.revert(mine.id, "db1")
        assert api.changes == CHANGES

    def assert_reverted(self, client, machine, mine, before, flagged):
        now = attached(client, machine)
        sources = {one["device"]: one["id"] for one in mine.detail["snapshots"]}
        assert {device: volume["SnapshotId"] for device, volume in now.items()} == sources
        assert not {volume["VolumeId"] for volume in now.values()} & set(before.values())
        assert flags(client, machine) == flagged
        assert instance(client, machine)["State"]["Name"] == "running"
        assert aws_sets.REVERT not in tags(instance(client, machine))

    @pytest.mark.parametrize("at", QUICK_AND_SLOW[1:-1])
    def test_a_revert_that_fails_anywhere_puts_the_old_volumes_back(self, provider, client, clock, machine, api, at):
        before, flagged = ids(client, machine), flags(client, machine)
        mine = secure(provider).snapshot
        api.changes.clear()
        api.at = at
        with pytest.raises(PatchingError, match=r"400 Refused.*was undone: the instance is running") as raised:
            provider.revert(mine.id, "db1")
        assert before[ROOT] in str(raised.value)
        assert ids(client, machine) == before
        assert flags(client, machine) == flagged
        now = instance(client, machine)
        assert now["State"]["Name"] == "running"
        assert aws_sets.REVERT not in tags(now)
        assert all_volumes(client) == set(before.values())
        for volume in attached(client, machine).values():
            assert not [key for key in tags(volume) if key.startswith("hospital.patching.")]

    def test_after_a_failure_it_may_be_tried_again(self, provider, client, clock, machine, api):
        before, flagged = ids(client, machine), flags(client, machine)
        mine = secure(provider).snapshot
        api.at = len(api.changes) + 10
        with pytest.raises(PatchingError, match="was undone"):
            provider.revert(mine.id, "db1")
        api.at = None
        clock.passed += 60
        provider.revert(mine.id, "db1")
        self.assert_reverted(client, machine, mine, before, flagged)

    def test_before_anything_is_marked_a_failure_changes_nothing(self, provider, client, machine, api):
        mine, before = secure(provider).snapshot, ids(client, machine)
        api.changes.clear()
        api.at = 0
        with pytest.raises(PatchingError, match="create_tags: 400 Refused"):
            provider.revert(mine.id, "db1")
        assert ids(client, machine) == before
        assert api.changes == ["create_tags"]

    def test_an_api_that_dies_half_way_leaves_what_the_next_call_goes_on_from(self, provider, client, machine, api):
        mine, before, flagged = secure(provider).snapshot, ids(client, machine), flags(client, machine)
        api.changes.clear()
        api.at, api.how = 10, "dies"
        with pytest.raises(PatchingError, match=r"failed as well.*what runs now is not known.*goes on from the tags"):
            provider.revert(mine.id, "db1")
        assert instance(client, machine)["State"]["Name"] == "stopped"
        api.at, api.dead = None, False
        provider.revert(mine.id, "db1")
        self.assert_reverted(client, machine, mine, before, flagged)

    def test_an_instance_that_does_not_come_up_gets_its_old_volumes_back(self, provider, client, machine, monkeypatch):
        provider.options["start_timeout_s"] = 60
        mine, before = secure(provider).snapshot, ids(client, machine)
        real = provider.ec2.call

        def impaired(operation, **parameters):
            answer = real(operation, **parameters)
            if operation == "describe_instance_status" and ids(client, machine) != before:
                answer["InstanceStatuses"][0]["InstanceStatus"]["Status"] = "impaired"
            return answer

        monkeypatch.setattr(provider.ec2, "call", impaired)
        with pytest.raises(PatchingError, match=r"not so far after 60 s.*was undone: the instance is running"):
            provider.revert(mine.id, "db1")
        assert ids(client, machine) == before
        assert provider.clock.passed >= 60

    def test_snapshots_that_vanish_during_an_interrupted_revert(self, provider, client, machine, api):
        mine, before = secure(provider).snapshot, ids(client, machine)
        api.changes.clear()
        api.at, api.how = 10, "killed after"
        with pytest.raises(Killed):
            provider.revert(mine.id, "db1")
        api.at = None
        assert ids(client, machine) != before
        client.delete_snapshot(SnapshotId=mine.detail["snapshots"][0]["id"])
        with pytest.raises(PatchingError, match=r"2 of 3 snapshots are there.*was undone: the instance is running"):
            provider.revert(mine.id, "db1")
        assert ids(client, machine) == before
        assert len(client.describe_volumes()["Volumes"]) == 3

    def test_another_revert_under_way_is_not_disturbed(self, provider, api):
        first, second = secure(provider).snapshot, secure(provider, OTHER).snapshot
        api.changes.clear()
        api.at, api.how = 6, "killed after"
        with pytest.raises(Killed):
            provider.revert(first.id, "db1")
        api.at = None
        with pytest.raises(PatchingError, match="a revert to {} is under way".format(first.id)):
            provider.revert(second.id, "db1")
        with pytest.raises(PatchingError, match="is being reverted to it"):
            provider.delete(first.id)
        provider.revert(first.id, "db1")
        assert provider.delete(first.id) is True

    def test_a_host_that_is_another_instance_now(self, provider, client, machine, api, clock):
        mine = secure(provider).snapshot
        rebuilt = launch(client)
        api.changes.clear()
        with pytest.raises(PatchingError, match="it is instance {}, the snapshots are of {}".format(rebuilt, machine)):
            make_provider(api, clock, instance_id=rebuilt).revert(mine.id, "db1")
        with pytest.raises(PatchingError, match=r"the snapshots are of .* \(db1\)"):
            provider.revert(mine.id, "db2")
        assert api.changes == []

    def test_an_unknown_set(self, provider):
        with pytest.raises(PatchingError, match="snapset-0: no such set"):
            provider.revert("snapset-0", "db1")

    def test_somebody_else_at_work_on_the_volumes(self, provider, client, machine, api):
        mine = secure(provider).snapshot
        api.changes.clear()
        api.at, api.how = 8, "killed before"  # the old volumes are noted
        with pytest.raises(Killed):
            provider.revert(mine.id, "db1")
        api.at = None
        client.detach_volume(VolumeId=ids(client, machine)[FILES], InstanceId=machine)
        third = client.create_volume(AvailabilityZone=ZONE, Size=20)["VolumeId"]
        client.attach_volume(VolumeId=third, InstanceId=machine, Device=FILES)
        with pytest.raises(PatchingError, match="nobody else at work"):
            provider.revert(mine.id, "db1")


def test_ebs_does_not_tell_what_a_revert_loses(provider):
    made = secure(provider).snapshot
    size, why = provider.loss(made.id, "db1")
    assert size is None
    assert "two snapshots" in why
    assert provider.loss("snapset-0", "db1") == (None, "there is no such restore point")


def test_ebs_has_no_room_that_fills(provider, api):
    assert provider.rooms() == []
    assert api.asked == []
