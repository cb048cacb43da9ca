# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider ``aws_ebs``: all EBS volumes of an EC2 instance at one instant, as one set of snapshots.

Such a set is what a power failure at that instant would have left (crash-consistent). Run, host, reason and expiry are
tags; the set's id is the identity (aws_sets.py). Runs where boto3 and its login are, mostly on the controller.
"""

import os
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import aws_instance, aws_sets
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_api import ApiError, Ec2, connect
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_instance import Secured
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_revert import Revert
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_sets import PREFIX, SnapshotSet
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import (
    NO_SUCH,
    Loss,
    NotSecurable,
    Room,
    Snapshot,
    SnapshotProvider,
)


class AwsEbsProvider(SnapshotProvider):
    """Restore points of an EC2 instance."""

    NAME = "aws_ebs"
    MAKES = True
    FROM_OUTSIDE = True
    OPTIONS = {
        "instance_id": {"type": "str"},
        "instance_tags": {"type": "dict", "default": {}},
        "exclude": {"type": "list", "elements": "str", "default": []},
        "profile": {"type": "str"},
        "region": {"type": "str"},
        "endpoint_url": {"type": "str"},
        "connect_timeout_s": {"type": "int", "default": 10},
        "read_timeout_s": {"type": "int", "default": 30},
        "attempts": {"type": "int", "default": 3},
        "complete_timeout_s": {"type": "int", "default": 3600},
        "volume_timeout_s": {"type": "int", "default": 600},
        "stop_timeout_s": {"type": "int", "default": 600},
        "start_timeout_s": {"type": "int", "default": 900},
        "status_checks": {"type": "bool", "default": True},
        "poll_s": {"type": "int", "default": 5},
    }

    def __init__(
        self,
        options: Dict[str, Any],
        runner: Runner,
        clock: Clock,
        connected: Callable[[Dict[str, Any], Clock], Ec2] = connect,
    ) -> None:
        super().__init__(options, runner, clock)
        for key in ("connect_timeout_s", "read_timeout_s", "attempts", "poll_s"):
            if self.options[key] < 1:
                raise PatchingError(
                    "snapshot provider aws_ebs",
                    "{} is {}".format(key, self.options[key]),
                    "1 or more",
                    "correct patching_snapshot",
                )
        self._connected = connected
        self._ec2: Optional[Ec2] = None

    @property
    def ec2(self) -> Ec2:
        if self._ec2 is None:
            self._ec2 = self._connected(self.options, self.clock)
        return self._ec2

    def available(self, host: str) -> Optional[str]:
        try:
            aws_instance.securable(self.ec2, self.options, host)
        except NotSecurable as error:
            return error.seen
        return None

    def create(self, run_id: str, host: str, reason: str, expires: str) -> Snapshot:
        """Make the set and wait until all of it is completed; what a killed call left is taken up or removed."""
        secured = aws_instance.securable(self.ec2, self.options, host)
        for left in aws_sets.read_sets(self.ec2, run_id, host):
            if aws_sets.can_complete(left):
                return self._completed(left.id)
            self._remove_snapshots([member.id for member in left.members])
        set_id = "snapset-{}".format(os.urandom(16).hex())
        facts = {"run_id": run_id, "host": host, "reason": reason, "created": self.clock.stamp(), "expires": expires}
        try:
            self._make(set_id, secured, facts)
            return self._completed(set_id)
        except PatchingError as error:
            raise self._left_nothing(set_id, error)

    def _make(self, set_id: str, secured: Secured, facts: Dict[str, str]) -> None:
        instance = secured.instance
        wanted = {volume["VolumeId"]: volume for volume in secured.volumes}
        tags = {PREFIX + key: value for key, value in facts.items()}
        tags[aws_sets.SET] = set_id
        tags[PREFIX + "instance"] = instance["InstanceId"]
        tags[PREFIX + "count"] = str(len(wanted))
        tags["Name"] = "{} before {}".format(facts["host"], facts["run_id"])
        specification: Dict[str, Any] = {"InstanceId": instance["InstanceId"], "ExcludeBootVolume": False}
        if secured.left_out:
            specification["ExcludeDataVolumeIds"] = [volume["VolumeId"] for volume in secured.left_out]
        # Never repeated: the call knows no client token, and a second one would make a second set.
        made = self.ec2.call_once(
            "create_snapshots",
            InstanceSpecification=specification,
            Description=aws_sets.describe(set_id),
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": aws_sets.tag_list(tags)}],
        )["Snapshots"]
        if sorted(one["VolumeId"] for one in made) != sorted(wanted):
            raise PatchingError(
                "instance {}".format(instance["InstanceId"]),
                "snapshots of {}".format(", ".join(sorted(one["VolumeId"] for one in made)) or "nothing"),
                "one of each of {}".format(", ".join(sorted(wanted))),
                "see whether volumes are being attached or detached, then run again",
            )
        places = {one["Ebs"]["VolumeId"]: one for one in aws_instance.mappings(instance)}
        for one in made:
            place = places[one["VolumeId"]]
            layout = aws_sets.layout_text(
                wanted[one["VolumeId"]], place["DeviceName"], bool(place["Ebs"].get("DeleteOnTermination"))
            )
            seal = {aws_sets.SEAL: one["SnapshotId"], aws_sets.LAYOUT: layout}
            self.ec2.call("create_tags", Resources=[one["SnapshotId"]], Tags=aws_sets.tag_list(seal))

    def _completed(self, set_id: str) -> Snapshot:
        def look() -> Optional[SnapshotSet]:
            one = self._set(set_id)
            if one is None or len(one.members) != one.count:
                raise PatchingError(
                    "snapshot {}".format(set_id),
                    "no such set" if one is None else str(aws_sets.lacks(one)),
                    "all of its snapshots",
                    "ask who deletes snapshots in this account, then run again",
                )
            failed = [member.id for member in one.members if member.state not in aws_sets.GOOD_STATES]
            if failed:
                raise PatchingError(
                    "snapshot {}".format(set_id),
                    "AWS could not make {}".format(", ".join(failed)),
                    "completed snapshots",
                    "look at them in the EC2 console (a key that may not be used?), then run again",
                )
            return None if aws_sets.lacks(one) else one

        limit, poll = self.options["complete_timeout_s"], self.options["poll_s"]
        whole = self.ec2.wait("snapshot {}".format(set_id), "a completed set of snapshots", look, limit, poll)
        return aws_sets.as_snapshot(self.NAME, whole)

    def _left_nothing(self, set_id: str, error: PatchingError) -> PatchingError:
        """Remove what a failed call may have made, and say so where that fails as well."""
        try:
            left = self._set(set_id)
            self._remove_snapshots([member.id for member in left.members] if left else [])
        except PatchingError as second:
            return PatchingError(
                error.subject,
                "{}; what was made could not be removed ({})".format(error.seen, second.seen),
                error.expected,
                "{}; snapshots tagged {}={} may be left, and the next call for this run and host removes them".format(
                    error.next_step, aws_sets.SET, set_id
                ),
            )
        return error

    def list(self, run_id: Optional[str] = None, host: Optional[str] = None) -> List[Snapshot]:
        return [aws_sets.as_snapshot(self.NAME, one) for one in aws_sets.read_sets(self.ec2, run_id, host)]

    def present(self, run_id: str, host: str) -> Optional[Snapshot]:
        """Only a set that is whole and completed is a restore point; create() takes up the others."""
        whole = [one for one in self.list(run_id, host) if one.detail["lacks"] is None]
        return whole[-1] if whole else None

    def rooms(self) -> List[Room]:
        """None: EBS keeps snapshots in storage that no account can fill; a quota of their number is no room in bytes.

        Making one that exceeds the quota is refused by AWS with its own words.
        """
        return []

    def loss(self, snapshot_id: str, host: str) -> Loss:
        """EBS compares two snapshots, never a snapshot with a volume (ListChangedBlocks of its direct API)."""
        if self._set(snapshot_id) is None:
            return NO_SUCH
        return Loss(None, "EBS tells what differs between two snapshots, not what a volume has changed since one")

    def delete(self, snapshot_id: str) -> bool:
        """Delete the set with the volumes that a revert to it took out or made in vain; all of it or nothing."""
        one = self._set(snapshot_id)
        if one is None:
            return False
        kept = aws_sets.kept_volumes(self.ec2, snapshot_id)
        self._require_free(one, kept)
        for volume in kept + aws_sets.unused_volumes(self.ec2, snapshot_id):
            self._gone("delete_volume", "InvalidVolume.NotFound", VolumeId=volume["VolumeId"])
        self._remove_snapshots([member.id for member in one.members])
        return True

    def _require_free(self, one: SnapshotSet, kept: List[Dict[str, Any]]) -> None:
        filters = [{"Name": "tag-key", "Values": [aws_sets.REVERT]}]
        for answer in self.ec2.all("describe_instances", "Reservations", Filters=filters):
            for instance in answer["Instances"]:
                if (aws_sets.under_way(instance) or "").partition("/")[0] == one.id:
                    raise PatchingError(
                        "snapshot {}".format(one.id),
                        "instance {} is being reverted to it".format(instance["InstanceId"]),
                        "a set that is not in use",
                        "let the revert end, or call it again if it was interrupted",
                    )
        # EC2 refuses as well, but one snapshot at a time: a set is deleted whole or not at all.
        members = {member.id for member in one.members}
        for image in self.ec2.all("describe_images", "Images", Owners=["self"]):
            mapped = [one.get("Ebs") or {} for one in image.get("BlockDeviceMappings") or []]
            used = {str(one["SnapshotId"]) for one in mapped if one.get("SnapshotId")}
            if used & members:
                raise PatchingError(
                    "snapshot {}".format(one.id),
                    "{} is in use by the image {}".format(", ".join(sorted(used & members)), image["ImageId"]),
                    "snapshots that no image needs",
                    "deregister the image, or take the set's tags off to keep it for good",
                )
        for volume in kept:
            if volume.get("Attachments"):
                raise PatchingError(
                    "snapshot {}".format(one.id),
                    "its replaced volume {} is attached to {}".format(
                        volume["VolumeId"], volume["Attachments"][0]["InstanceId"]
                    ),
                    "replaced volumes that nobody uses",
                    "detach it, or take the tag {} off to keep it".format(aws_sets.KEPT),
                )

    def revert(self, snapshot_id: str, host: str) -> Dict[str, Any]:
        """Put the instance's volumes back to the set; see aws_revert.py."""
        instance = aws_instance.find(self.ec2, self.options, host)
        one = self._set(snapshot_id)
        missing = "no such set" if one is None else aws_sets.lacks(one)
        if one and missing and (aws_sets.under_way(instance) or "").partition("/")[0] == one.id:
            gone = PatchingError("snapshot {}".format(one.id), missing, "all of its snapshots", "find who deletes them")
            raise Revert(self.ec2, self.clock, self.options, one).put_back(gone)
        if one is None or missing:
            raise PatchingError(
                "snapshot {}".format(snapshot_id),
                str(missing),
                "a whole set of completed snapshots",
                "roll the packages back by update_rollback; {} was not touched".format(instance["InstanceId"]),
            )
        if one.instance != instance["InstanceId"] or one.facts["host"] != host:
            raise PatchingError(
                "host {}".format(host),
                "it is instance {}, the snapshots are of {} ({})".format(
                    instance["InstanceId"], one.instance, one.facts["host"]
                ),
                "the instance that the snapshots were made of",
                "correct instance_id in patching_snapshot, or take the id from the run's ledger, step snapshot",
            )
        return Revert(self.ec2, self.clock, self.options, one).run()

    def _set(self, set_id: str) -> Optional[SnapshotSet]:
        return next((one for one in aws_sets.read_sets(self.ec2) if one.id == set_id), None)

    def _remove_snapshots(self, ids: List[str]) -> None:
        for snapshot_id in ids:
            self._gone("delete_snapshot", "InvalidSnapshot.NotFound", SnapshotId=snapshot_id)

    def _gone(self, operation: str, absent: str, **parameters: Any) -> None:
        try:
            self.ec2.call(operation, **parameters)
        except ApiError as error:
            if error.code != absent:
                raise
