# SPDX-License-Identifier: GPL-3.0-or-later
"""One EC2 instance put back to a set of snapshots, in steps that can be broken off anywhere.

Nothing is remembered but in tags: the instance says that a revert is under way and to what, a new volume from which
snapshot it was made, an old one where it was. So a call after an interruption goes on, and a failure is undone.
Volumes are made before the instance is stopped, because that is where most failures would be.
"""

import hashlib
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import aws_instance, aws_sets
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_api import Ec2
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_sets import (
    FACTS,
    KEPT,
    KEPT_LAYOUT,
    KEPT_SEAL,
    LIVE,
    MADE,
    MADE_DEVICE,
    PREFIX,
    REVERT,
    Layout,
    Member,
    SnapshotSet,
    layout_text,
    read_layout,
    tag_list,
    tags_of,
)

#: AWS's own tags cannot be set.
RESERVED = ("aws:", PREFIX)


class Revert:
    """A revert of the set's instance, begun now or found begun."""

    def __init__(self, ec2: Ec2, clock: Clock, options: Dict[str, Any], one: SnapshotSet) -> None:
        self.ec2 = ec2
        self.clock = clock
        self.options = options
        self.set = one
        self.instance = one.instance
        self.attempt = ""

    def run(self) -> Dict[str, Any]:
        """Put the instance back and return what was done.

        Raises:
            PatchingError: another revert is under way; or it failed, and the message says what runs now.
        """
        layouts = {read_layout(member.layout).device: member for member in self.set.members}
        self._begin()
        try:
            self._make_volumes(layouts)
            self._note_old(layouts)
            if not self._swapped(layouts):
                self._stop()
                for device in sorted(layouts):
                    self._swap(device)
            self._set_flags({device: read_layout(one.layout).delete_on_termination for device, one in layouts.items()})
            self._start()
        except PatchingError as error:
            raise self.put_back(error)
        return self._end(layouts)

    def _begin(self) -> None:
        instance = self._state()
        mark = aws_sets.under_way(instance)
        if mark is None:
            if instance["State"]["Name"] not in ("running", "stopped"):
                raise self._error(
                    "it is {}".format(instance["State"]["Name"]),
                    "a running or stopped instance",
                    "wait until it is, then run again; nothing was changed",
                )
            mark = "{}/{}".format(self.set.id, self.clock.now().strftime("%Y%m%dT%H%M%SZ"))
            self._tag([self.instance], {REVERT: mark})
        elif mark.partition("/")[0] != self.set.id:
            raise self._error(
                "a revert to {} is under way".format(mark.partition("/")[0]),
                "no other revert",
                "revert to that snapshot again, which ends it, or take the tag {} off the instance".format(REVERT),
            )
        self.attempt = mark

    def _make_volumes(self, layouts: Dict[str, Member]) -> None:
        made = self._new_volumes()
        instance = self._state()
        at_device = self._attached()
        for device, member in sorted(layouts.items()):
            if device not in made:
                own = tags_of(at_device[device]) if device in at_device else {}
                self._make_volume(read_layout(member.layout), member, instance["Placement"]["AvailabilityZone"], own)

        def look() -> Optional[bool]:
            volumes, good = self._new_volumes(), ("creating", "available", "in-use")
            wrong = [one["VolumeId"] for one in volumes.values() if one["State"] not in good]
            if wrong:
                raise self._error(
                    "volume {} is in error".format(", ".join(wrong)),
                    "volumes made of the snapshots",
                    "look at them in the EC2 console (a key that may not be used?)",
                )
            ready = set(layouts) <= set(volumes) and all(one["State"] != "creating" for one in volumes.values())
            return ready or None

        self._wait("volumes made of the snapshots", look, "volume_timeout_s")

    def _make_volume(self, layout: Layout, member: Member, zone: str, own: Dict[str, str]) -> None:
        tags = {key: value for key, value in own.items() if not key.startswith(RESERVED)}
        tags[MADE] = "{}/{}".format(self.attempt, member.id)
        tags[MADE_DEVICE] = layout.device
        wanted: Dict[str, Any] = {
            "SnapshotId": member.id,
            "AvailabilityZone": zone,
            "VolumeType": layout.type,
            "TagSpecifications": [{"ResourceType": "volume", "Tags": tag_list(tags)}],
            # AWS makes one volume for it, however often it is asked.
            "ClientToken": hashlib.sha256(tags[MADE].encode("utf-8")).hexdigest()[:64],
        }
        # A gp2 volume is described with the IOPS of its size, which cannot be asked for.
        if layout.iops and layout.type in ("gp3", "io1", "io2"):
            wanted["Iops"] = layout.iops
        if layout.throughput and layout.type == "gp3":
            wanted["Throughput"] = layout.throughput
        if layout.encrypted:
            wanted["Encrypted"] = True
            if layout.kms_key:
                wanted["KmsKeyId"] = layout.kms_key
        self.ec2.call("create_volume", **wanted)

    def _note_old(self, layouts: Dict[str, Member]) -> None:
        """Write on every volume that will be taken out where it was, before the first one is."""
        new = {one["VolumeId"] for one in self._new_volumes().values()}
        flags = self._flags()
        noted = self._old_volumes()
        for device, volume in sorted(self._attached().items()):
            if device not in layouts or volume["VolumeId"] in new:
                continue
            if device in noted and noted[device]["VolumeId"] != volume["VolumeId"]:
                raise self._error(
                    "{} has volume {}, while {} was noted there".format(
                        device, volume["VolumeId"], noted[device]["VolumeId"]
                    ),
                    "nobody else at work on the volumes",
                    "find out who attached it",
                )
            tags = {PREFIX + key: self.set.facts[key] for key in FACTS}
            tags[KEPT] = self.attempt
            tags[KEPT_SEAL] = volume["VolumeId"]
            tags[KEPT_LAYOUT] = layout_text(volume, device, flags.get(device, False))
            self._tag([volume["VolumeId"]], tags)

    def _swapped(self, layouts: Dict[str, Member]) -> bool:
        new, now = self._new_volumes(), self._attached()
        return all(
            device in now
            and now[device]["VolumeId"] == new[device]["VolumeId"]
            and now[device]["Attachments"][0]["State"] == "attached"
            for device in layouts
        )

    def _swap(self, device: str) -> None:
        old = self._old_volumes().get(device)
        if old is not None:
            self._detach(old["VolumeId"])
        self._attach(self._new_volumes()[device]["VolumeId"], device)

    def _stop(self) -> None:
        def look() -> Optional[bool]:
            name = self._state()["State"]["Name"]
            if name == "running":
                self.ec2.call("stop_instances", InstanceIds=[self.instance])
            elif name in aws_instance.GONE:
                raise self._error("it is {}".format(name), "an instance that stops", "make the host anew")
            return True if name == "stopped" else None

        self._wait("a stopped instance", look, "stop_timeout_s")

    def _start(self) -> None:
        def running() -> Optional[bool]:
            name = self._state()["State"]["Name"]
            if name == "stopped":
                self.ec2.call("start_instances", InstanceIds=[self.instance])
            elif name in aws_instance.GONE:
                raise self._error("it is {}".format(name), "an instance that starts", "make the host anew")
            return True if name == "running" else None

        def checked() -> Optional[bool]:
            answer = self.ec2.call("describe_instance_status", InstanceIds=[self.instance])["InstanceStatuses"]
            checks = [one[kind]["Status"] for one in answer for kind in ("SystemStatus", "InstanceStatus")]
            return True if checks and all(check == "ok" for check in checks) else None

        self._wait("a running instance", running, "start_timeout_s")
        if self.options["status_checks"]:
            self._wait("an instance that passes AWS's status checks", checked, "start_timeout_s")

    def _detach(self, volume_id: str) -> None:
        def look() -> Optional[bool]:
            volume = self._volume(volume_id)
            held = volume.get("Attachments") or []
            if held and held[0]["InstanceId"] == self.instance and held[0]["State"] in ("attached", "busy"):
                self.ec2.call("detach_volume", VolumeId=volume_id, InstanceId=self.instance)
            return True if volume["State"] == "available" else None

        self._wait("volume {} detached".format(volume_id), look, "volume_timeout_s")

    def _attach(self, volume_id: str, device: str) -> None:
        def look() -> Optional[bool]:
            volume = self._volume(volume_id)
            held = volume.get("Attachments") or []
            if not held and volume["State"] == "available":
                self.ec2.call("attach_volume", VolumeId=volume_id, InstanceId=self.instance, Device=device)
            if held and held[0]["InstanceId"] != self.instance:
                raise self._error(
                    "volume {} is attached to {}".format(volume_id, held[0]["InstanceId"]),
                    "a volume that nobody else uses",
                    "find out who attached it",
                )
            return True if held and held[0]["State"] == "attached" else None

        self._wait("volume {} attached as {}".format(volume_id, device), look, "volume_timeout_s")

    def _set_flags(self, wanted: Dict[str, bool]) -> None:
        """AWS attaches without delete-on-termination; a machine made to be thrown away has it."""
        if not wanted:
            return
        present = self._flags()
        wrong = {device: flag for device, flag in wanted.items() if present.get(device) is not flag}
        if wrong:
            changes = [
                {"DeviceName": device, "Ebs": {"DeleteOnTermination": flag}} for device, flag in sorted(wrong.items())
            ]
            self.ec2.call("modify_instance_attribute", InstanceId=self.instance, BlockDeviceMappings=changes)

        def look() -> Optional[bool]:
            flags = self._flags()
            return True if all(flags.get(device) is flag for device, flag in wanted.items()) else None

        self._wait("delete-on-termination as it was", look, "volume_timeout_s")

    def _end(self, layouts: Dict[str, Member]) -> Dict[str, Any]:
        new, old = self._new_volumes(), self._old_volumes()
        # First, so that retention never takes a volume in use for one that was made in vain.
        self._tag([one["VolumeId"] for one in new.values()], {LIVE: "yes"})
        self._untag([self.instance], [REVERT])
        volumes = [
            {
                "device": device,
                "new": new[device]["VolumeId"],
                "old": old[device]["VolumeId"] if device in old else None,
                "snapshot": member.id,
            }
            for device, member in sorted(layouts.items())
        ]
        kept = [one["old"] for one in volumes if one["old"]]
        return {"instance": self.instance, "set": self.set.id, "volumes": volumes, "kept": kept}

    def put_back(self, error: PatchingError) -> PatchingError:
        """Undo what was done and return the error to raise, which says what runs now."""
        try:
            self.attempt = self.attempt or aws_sets.under_way(self._state()) or ""
            new, old = self._new_volumes(), self._old_volumes()
            now = self._attached()
            in_place = all(device in now and now[device]["VolumeId"] == one["VolumeId"] for device, one in old.items())
            if not in_place or any(one.get("Attachments") for one in new.values()):
                self._stop()
                for one in new.values():
                    self._detach(one["VolumeId"])
                for device, one in sorted(old.items()):
                    self._attach(one["VolumeId"], device)
                self._set_flags(
                    {
                        device: read_layout(tags_of(one)[KEPT_LAYOUT]).delete_on_termination
                        for device, one in old.items()
                    }
                )
            self._start()
            for one in new.values():
                self.ec2.call("delete_volume", VolumeId=one["VolumeId"])
            written = [KEPT, KEPT_SEAL, KEPT_LAYOUT] + [PREFIX + key for key in FACTS]
            self._untag([one["VolumeId"] for one in old.values()], written)
            self._untag([self.instance], [REVERT])
        except PatchingError as second:
            return self._error(
                "the revert to {} failed ({}: {}), and putting the old volumes back failed as well ({}: {}); {}".format(
                    self.set.id, error.subject, error.seen, second.subject, second.seen, self._what_runs()
                ),
                error.expected,
                "{}; then revert again, which goes on from the tags, or attach by hand the volumes tagged {}={}"
                " as their tag {} says".format(error.next_step, KEPT, self.attempt, KEPT_LAYOUT),
            )
        return self._error(
            "the revert to {} failed ({}: {}) and was undone: {}".format(
                self.set.id, error.subject, error.seen, self._what_runs()
            ),
            error.expected,
            "{}; then revert again, or look after the host by hand".format(error.next_step),
        )

    def _what_runs(self) -> str:
        try:
            name = self._state()["State"]["Name"]
            places = ["{} {}".format(device, one["VolumeId"]) for device, one in sorted(self._attached().items())]
        except PatchingError:
            return "what runs now is not known, because the API does not say"
        return "the instance is {} with {}".format(name, ", ".join(places) or "no volume")

    def _state(self) -> Dict[str, Any]:
        return aws_instance.state(self.ec2, self.instance)

    def _flags(self) -> Dict[str, bool]:
        return {
            one["DeviceName"]: bool(one["Ebs"].get("DeleteOnTermination"))
            for one in aws_instance.mappings(self._state())
        }

    def _attached(self) -> Dict[str, Dict[str, Any]]:
        """Return the instance's volumes by device, those that are being attached or detached as well."""
        found = self._volumes("attachment.instance-id", [self.instance])
        return {one["Attachments"][0]["Device"]: one for one in found}

    def _new_volumes(self) -> Dict[str, Dict[str, Any]]:
        """Return what this attempt made by device; a snapshot that is gone meanwhile hides none of it."""
        return {
            tags_of(one)[MADE_DEVICE]: one
            for one in self._volumes("tag-key", [MADE])
            if tags_of(one)[MADE].rpartition("/")[0] == self.attempt
        }

    def _old_volumes(self) -> Dict[str, Dict[str, Any]]:
        return {
            read_layout(tags_of(one)[KEPT_LAYOUT]).device: one
            for one in self._volumes("tag:" + KEPT, [self.attempt])
            if tags_of(one).get(KEPT_SEAL) == one["VolumeId"]
        }

    def _volumes(self, name: str, values: List[str]) -> List[Dict[str, Any]]:
        return self.ec2.all("describe_volumes", "Volumes", Filters=[{"Name": name, "Values": values}])

    def _volume(self, volume_id: str) -> Dict[str, Any]:
        return dict(self.ec2.call("describe_volumes", VolumeIds=[volume_id])["Volumes"][0])

    def _tag(self, resources: List[str], tags: Dict[str, str]) -> None:
        self.ec2.call("create_tags", Resources=resources, Tags=tag_list(tags))

    def _untag(self, resources: List[str], keys: List[str]) -> None:
        if resources:
            self.ec2.call("delete_tags", Resources=resources, Tags=[{"Key": key} for key in keys])

    def _wait(self, expected: str, look: Callable[[], Optional[bool]], limit: str) -> None:
        subject = "instance {}".format(self.instance)
        self.ec2.wait(subject, expected, look, self.options[limit], self.options["poll_s"])

    def _error(self, seen: str, expected: str, next_step: str) -> PatchingError:
        return PatchingError("instance {}".format(self.instance), seen, expected, next_step)
