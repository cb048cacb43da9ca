# SPDX-License-Identifier: GPL-3.0-or-later
"""The EC2 instance that is a host: found, and judged by whether EBS snapshots can be a way back for it."""

from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_api import ApiError, Ec2
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.aws_sets import under_way
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.base import NotSecurable

GONE = ("shutting-down", "terminated")
#: Snapshots of one volume that may be in the making at a time (EBS user guide, "Quotas for Amazon EBS").
PENDING_LIMIT = 5
PENDING_LIMIT_OF_TYPE = {"sc1": 1, "st1": 1}

Secured = NamedTuple(
    "Secured", [("instance", Dict[str, Any]), ("volumes", List[Dict[str, Any]]), ("left_out", List[Dict[str, Any]])]
)


def find(ec2: Ec2, options: Dict[str, Any], host: str) -> Dict[str, Any]:
    """Return the one instance that the site names for ``host``, as EC2 describes it.

    Raises:
        NotSecurable: none, several, or one that is terminated.
    """
    instance_id, tags = options["instance_id"], options["instance_tags"]
    if bool(instance_id) == bool(tags):
        raise NotSecurable(
            "host {}".format(host),
            "{} instance_id and instance_tags".format("both" if instance_id else "neither"),
            "one of them, for the provider to know the host's instance",
            "give instance_id in the host's patching_snapshot",
        )
    if instance_id:
        query: Dict[str, Any] = {"InstanceIds": [instance_id]}
        wording = "instance {}".format(instance_id)
    else:
        named = sorted((str(key), str(value)) for key, value in tags.items())
        query = {"Filters": [{"Name": "tag:" + key, "Values": [value]} for key, value in named]}
        wording = "instance with {}".format(", ".join("{}={}".format(key, value) for key, value in named))
    try:
        found = [
            one for answer in ec2.all("describe_instances", "Reservations", **query) for one in answer["Instances"]
        ]
    except ApiError as error:
        if not error.code.startswith("InvalidInstanceID"):
            raise
        found = []
    living = [one for one in found if one["State"]["Name"] not in GONE]
    if len(living) == 1:
        return dict(living[0])
    if living:
        seen = "there are {} of {}: {}".format(len(living), wording, ", ".join(one["InstanceId"] for one in living))
    elif found:
        seen = "{} is {}".format(wording, found[0]["State"]["Name"])
    else:
        seen = "there is no {}".format(wording)
    raise NotSecurable(
        "host {}".format(host),
        seen,
        "one living instance in that region and account",
        "correct instance_id, instance_tags, region or profile in patching_snapshot",
    )


def securable(ec2: Ec2, options: Dict[str, Any], host: str) -> Secured:
    """Return the instance with the volumes that a restore point is made of.

    Raises:
        NotSecurable: it cannot be made, with the reason.
    """
    instance = find(ec2, options, host)
    if instance.get("RootDeviceType") != "ebs":
        raise _unfit(
            instance,
            "its root device is {}".format(instance.get("RootDeviceType")),
            "a root volume on EBS: an instance store has no snapshots and does not survive a stop",
        )
    if instance["State"]["Name"] not in ("running", "stopped"):
        raise _unfit(instance, "it is {}".format(instance["State"]["Name"]), "a running or stopped instance")
    begun = under_way(instance)
    if begun:
        raise _unfit(
            instance,
            "a revert to {} was begun and has not ended".format(begun.partition("/")[0]),
            "an instance that is not being put back",
            "revert to that snapshot again, which ends it",
        )
    attached = {mapping["Ebs"]["VolumeId"]: mapping for mapping in mappings(instance)}
    left_out = set(options["exclude"])
    for name in sorted(left_out):
        if not any(name in (key, one["DeviceName"]) for key, one in attached.items()):
            raise _unfit(instance, "exclude names {}, which is not attached".format(name), "attached volumes")
    volumes = ec2.all("describe_volumes", "Volumes", VolumeIds=sorted(attached)) if attached else []
    chosen: List[Dict[str, Any]] = []
    others: List[Dict[str, Any]] = []
    for volume in volumes:
        names = {volume["VolumeId"], attached[volume["VolumeId"]]["DeviceName"]}
        (others if names & left_out else chosen).append(volume)
    if instance.get("RootDeviceName") not in {attached[one["VolumeId"]]["DeviceName"] for one in chosen}:
        raise _unfit(
            instance,
            "its root device {} is left out or not attached".format(instance.get("RootDeviceName")),
            "the root volume in the restore point: that is where packages are installed",
        )
    for volume in chosen:
        if len(volume.get("Attachments") or []) > 1:
            raise _unfit(
                instance,
                "volume {} is attached to several instances".format(volume["VolumeId"]),
                "volumes of this instance alone, because a revert takes them away",
            )
    _require_few_pending(ec2, instance, chosen)
    return Secured(instance, chosen, others)


def mappings(instance: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Return the instance's EBS block devices as EC2 lists them."""
    return [one for one in instance.get("BlockDeviceMappings") or [] if "Ebs" in one]


def state(ec2: Ec2, instance_id: str) -> Dict[str, Any]:
    """Return the instance as it is now."""
    answer = ec2.call("describe_instances", InstanceIds=[instance_id])
    return dict(answer["Reservations"][0]["Instances"][0])


def _require_few_pending(ec2: Ec2, instance: Dict[str, Any], volumes: List[Dict[str, Any]]) -> None:
    filters = [
        {"Name": "volume-id", "Values": [volume["VolumeId"] for volume in volumes]},
        {"Name": "status", "Values": ["pending"]},
    ]
    pending = [one["VolumeId"] for one in ec2.all("describe_snapshots", "Snapshots", Filters=filters)]
    for volume in volumes:
        limit = PENDING_LIMIT_OF_TYPE.get(volume["VolumeType"], PENDING_LIMIT)
        if pending.count(volume["VolumeId"]) >= limit:
            raise _unfit(
                instance,
                "volume {} has {} snapshots in the making".format(
                    volume["VolumeId"], pending.count(volume["VolumeId"])
                ),
                "fewer than {}, which is all that AWS makes at a time of {}".format(limit, volume["VolumeType"]),
                "wait until they are completed; a backup may be under way",
            )


def _unfit(instance: Dict[str, Any], seen: str, expected: str, next_step: Optional[str] = None) -> NotSecurable:
    return NotSecurable(
        "instance {}".format(instance["InstanceId"]),
        seen,
        expected,
        next_step or "correct patching_snapshot, or give the host another snapshot provider",
    )
