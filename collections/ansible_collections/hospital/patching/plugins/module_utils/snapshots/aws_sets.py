# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of EBS snapshots: what is written into tags, and how our own are told from everybody else's.

A set is known by an id of our own making. A snapshot is one of the set's when three things agree: the tags, the
description that was given with the very call that made it, and the seal, which is the snapshot's own id: tags that a
backup tool or a person copied name another snapshot. Names are never read.
"""

from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_api import Ec2
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import Snapshot

PREFIX = "hospital.patching."
#: On snapshots only: the volumes carry other keys, because backup tools copy a volume's tags to their snapshots.
SET = PREFIX + "set"
SEAL = PREFIX + "snapshot"
LAYOUT = PREFIX + "volume"
#: On the instance while a revert is under way: ``SET/ATTEMPT``.
REVERT = PREFIX + "revert"
#: On volumes that a revert made: ``SET/ATTEMPT/SNAPSHOT`` and for what device; and once it has ended well.
MADE = PREFIX + "made"
MADE_DEVICE = PREFIX + "made_device"
LIVE = PREFIX + "live"
#: On volumes that a revert took out: ``SET/ATTEMPT``, the volume's own id, and where it was.
KEPT = PREFIX + "kept"
KEPT_SEAL = PREFIX + "kept_volume"
KEPT_LAYOUT = PREFIX + "kept_layout"
#: EC2's limit of a tag's value.
TAG_CHARS = 256
#: States of a snapshot that is, or will be, one. There are error, recoverable and recovering as well.
GOOD_STATES = ("pending", "completed")
FACTS = ("run_id", "host", "reason", "created", "expires")

Layout = NamedTuple(
    "Layout",
    [
        ("device", str),
        ("delete_on_termination", bool),
        ("type", str),
        ("iops", Optional[int]),
        ("throughput", Optional[int]),
        ("encrypted", bool),
        ("kms_key", Optional[str]),
    ],
)
Member = NamedTuple(
    "Member",
    [("id", str), ("volume", str), ("state", str), ("size_gib", int), ("encrypted", bool), ("layout", str)],
)
SnapshotSet = NamedTuple(
    "SnapshotSet",
    [("id", str), ("instance", str), ("count", int), ("facts", Dict[str, str]), ("members", List[Member])],
)


def describe(set_id: str) -> str:
    """Return the description of every snapshot of the set."""
    return "hospital.patching restore point {}".format(set_id)


def tag_list(tags: Dict[str, str]) -> List[Dict[str, str]]:
    """Return tags as EC2 takes them."""
    return [{"Key": key, "Value": value[:TAG_CHARS]} for key, value in sorted(tags.items())]


def tags_of(resource: Dict[str, Any]) -> Dict[str, str]:
    """Return the tags of a snapshot, volume or instance that EC2 described."""
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags") or []}


def under_way(instance: Dict[str, Any]) -> Optional[str]:
    """Return ``SET/ATTEMPT`` of the revert that was begun on the instance and has not ended, or None."""
    return tags_of(instance).get(REVERT)


def layout_text(volume: Dict[str, Any], device: str, delete: bool) -> str:
    """Return what a volume is and where, in characters that every part of AWS allows in a tag."""
    facts = {
        "device": device,
        "delete": "yes" if delete else "no",
        "type": volume.get("VolumeType") or "gp2",
        "iops": volume.get("Iops") or "-",
        "throughput": volume.get("Throughput") or "-",
        "encrypted": "yes" if volume.get("Encrypted") else "no",
        "kms": volume.get("KmsKeyId") or "-",
    }
    return " ".join("{}={}".format(key, value) for key, value in facts.items())


def read_layout(text: str) -> Layout:
    """Return what :func:`layout_text` wrote.

    Raises:
        PatchingError: the tag was edited.
    """
    facts = dict(word.partition("=")[::2] for word in text.split())
    try:
        return Layout(
            device=facts["device"],
            delete_on_termination=facts["delete"] == "yes",
            type=facts["type"],
            iops=_number(facts["iops"]),
            throughput=_number(facts["throughput"]),
            encrypted=facts["encrypted"] == "yes",
            kms_key=None if facts["kms"] == "-" else facts["kms"],
        )
    except (KeyError, ValueError) as error:
        raise PatchingError(
            "tag {}".format(LAYOUT),
            "{!r} ({})".format(text, error),
            "what was written with the snapshot",
            "put the tag right in the EC2 console; the volume that the snapshot was made of has the facts",
        )


def _number(text: str) -> Optional[int]:
    return None if text == "-" else int(text)


def read_sets(ec2: Ec2, run_id: Optional[str] = None, host: Optional[str] = None) -> List[SnapshotSet]:
    """Return our sets, whole or not, and those of which only kept volumes are left; the oldest first."""
    found: Dict[str, SnapshotSet] = {}
    filters = [{"Name": "tag-key", "Values": [SET]}]
    for snapshot in ec2.all("describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=filters):
        tags = tags_of(snapshot)
        set_id = tags.get(SET, "")
        if (
            snapshot.get("Description") != describe(set_id)
            or tags.get(SEAL, snapshot["SnapshotId"]) != (snapshot["SnapshotId"])
        ):
            continue
        one = found.setdefault(set_id, _empty(set_id, tags))
        one.members.append(
            Member(
                snapshot["SnapshotId"],
                snapshot["VolumeId"],
                snapshot["State"],
                int(snapshot["VolumeSize"]),
                bool(snapshot.get("Encrypted")),
                tags.get(LAYOUT, "") if SEAL in tags else "",
            )
        )
    for volume in kept_volumes(ec2):
        set_id = tags_of(volume)[KEPT].partition("/")[0]
        found.setdefault(set_id, _empty(set_id, tags_of(volume)))
    chosen = [
        one for one in found.values() if run_id in (None, one.facts["run_id"]) and host in (None, one.facts["host"])
    ]
    return sorted(chosen, key=lambda one: (one.facts["created"], one.id))


def _empty(set_id: str, tags: Dict[str, str]) -> SnapshotSet:
    facts = {key: tags.get(PREFIX + key, "") for key in FACTS}
    count = tags.get(PREFIX + "count", "")
    return SnapshotSet(set_id, tags.get(PREFIX + "instance", ""), int(count) if count.isdigit() else 0, facts, [])


def lacks(one: SnapshotSet) -> Optional[str]:
    """Return why nothing can be put back to this set, or None when all of it is there."""
    if not one.count or len(one.members) != one.count:
        there = ", ".join(sorted(member.id for member in one.members)) or "none"
        return "{} of {} snapshots are there ({})".format(len(one.members), one.count, there)
    unready = ["{} is {}".format(member.id, member.state) for member in one.members if member.state != "completed"]
    unready += ["{} has no seal".format(member.id) for member in one.members if not member.layout]
    return ", ".join(unready) or None


def can_complete(one: SnapshotSet) -> bool:
    """Return whether time alone makes a whole restore point of the set."""
    ready = all(member.layout and member.state in GOOD_STATES for member in one.members)
    return bool(one.count) and len(one.members) == one.count and ready


def as_snapshot(provider: str, one: SnapshotSet) -> Snapshot:
    """Return the set in the words that all providers share."""
    members = [
        {
            "id": member.id,
            "volume": member.volume,
            "device": read_layout(member.layout).device if member.layout else None,
            "state": member.state,
            "size_gib": member.size_gib,
            "encrypted": member.encrypted,
        }
        for member in sorted(one.members)
    ]
    detail = {"instance": one.instance, "snapshots": members, "lacks": lacks(one)}
    return Snapshot(id=one.id, provider=provider, detail=detail, **one.facts)


def kept_volumes(ec2: Ec2, set_id: Optional[str] = None) -> List[Dict[str, Any]]:
    """Return the volumes that reverts took out of an instance, proven by their own id."""
    filters = [{"Name": "tag-key", "Values": [KEPT]}]
    return [
        volume
        for volume in ec2.all("describe_volumes", "Volumes", Filters=filters)
        if tags_of(volume).get(KEPT_SEAL) == volume["VolumeId"]
        and set_id in (None, tags_of(volume)[KEPT].partition("/")[0])
    ]


def unused_volumes(ec2: Ec2, set_id: str) -> List[Dict[str, Any]]:
    """Return the volumes that an interrupted revert to the set made and never brought to use."""
    filters = [{"Name": "tag-key", "Values": [MADE]}]
    return [
        volume
        for volume in ec2.all("describe_volumes", "Volumes", Filters=filters)
        if tags_of(volume)[MADE].partition("/")[0] == set_id
        and tags_of(volume)[MADE].rpartition("/")[2] == volume.get("SnapshotId")
        and LIVE not in tags_of(volume)
        and not volume.get("Attachments")
    ]
