# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volumes are the project's, told by tags in LVM's own metadata, which no revert of a disk erases.

A restore point is a set: one snapshot of each held volume. A snapshot has its labels from the command that made it;
when all of the set are made, each gets its seal, its own UUID, and the UUIDs of the whole set. Tags that somebody
copied, and those that a merged thin snapshot may leave on the volume it has become, name another UUID: what they are on
is not ours.

While a revert is under way its labels, ``revert.``, are on the origins, and on the snapshots as well: a merge of a
thick one leaves the origin's tags, of a thin one those of either (of LVM 2.03.16 the origin's).
"""

from typing import Dict, List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.snapshots.lvm_text import (
    PREFIX,
    Volume,
    label,
    labels_of,
    shortened,
)

#: Labels that every snapshot of ours has; ``origin`` is the UUID of the held volume, ``number`` its place in the set.
FACTS = ("set", "run_id", "host", "reason", "created", "expires", "number", "count", "mount", "origin")
REVERT = "revert."

#: A snapshot of a set.
Member = NamedTuple("Member", [("volume", Volume), ("labels", Dict[str, str])])
#: ``expected`` holds the UUIDs of a whole set; of one that a killed call was making, those that it has made.
Set = NamedTuple(
    "Set",
    [("name", str), ("whole", bool), ("labels", Dict[str, str]), ("members", List[Member]), ("expected", List[str])],
)
#: A volume that is being put back. ``labels`` without ``revert.``.
Part = NamedTuple("Part", [("volume", Volume), ("labels", Dict[str, str])])
Revert = NamedTuple("Revert", [("name", str), ("labels", Dict[str, str]), ("parts", List[Part])])


def sets_of(volumes: List[Volume]) -> List[Set]:
    """Return our sets, the oldest first."""
    members: Dict[str, List[Member]] = {}
    for volume in volumes:
        labels = labels_of(volume)
        if _ours(volume, labels):
            members.setdefault(labels["set"], []).append(Member(volume, labels))
    found = []
    for name, own in members.items():
        own.sort(key=lambda member: int(member.labels["number"]))
        sealed = [member for member in own if "seal" in member.labels]
        # The seals are set one after the other: a call that was killed in between has made no whole set.
        whole = bool(sealed) and len(sealed) == len(own)
        first = sealed[0] if sealed else own[0]
        expected = first.labels["set_uuids"].split("+") if whole else [member.volume.uuid for member in own]
        found.append(Set(name, whole, first.labels, own, expected))
    return sorted(found, key=lambda one: (one.labels["created"], one.name))


def _ours(volume: Volume, labels: Dict[str, str]) -> bool:
    if not all(key in labels for key in FACTS) or not labels["number"].isdigit():
        return False
    if "seal" in labels:
        return labels["seal"] == volume.uuid and "set_uuids" in labels
    # Not sealed yet: it has to be what the killed call was making.
    return volume.origin_uuid == labels["origin"] and volume.uuid != labels["origin"]


def reverts_of(volumes: List[Volume]) -> List[Revert]:
    """Return the reverts that are under way."""
    parts: Dict[str, List[Part]] = {}
    for volume in volumes:
        labels = part_of(volume)
        if labels.get("origin") == volume.uuid and "set" in labels:
            parts.setdefault(labels["set"], []).append(Part(volume, labels))
    return [
        Revert(name, own[0].labels, sorted(own, key=lambda part: int(part.labels["number"])))
        for name, own in sorted(parts.items())
    ]


def part_of(volume: Volume, name: Optional[str] = None) -> Dict[str, str]:
    """Return the labels of the revert that a volume is part of, of the set ``name`` alone where it is given."""
    labels = {key[len(REVERT) :]: value for key, value in labels_of(volume).items() if key.startswith(REVERT)}
    return labels if name is None or labels.get("set") == name else {}


def identity(one: Set) -> str:
    """Return the id of a restore point."""
    return ",".join(one.expected)


def missing(one: Set) -> List[str]:
    """Return the UUIDs of the snapshots that were removed behind the run's back."""
    there = [member.volume.uuid for member in one.members]
    return [uuid for uuid in one.expected if uuid not in there]


def lacks(one: Set) -> Optional[str]:
    """Return why nothing can be put back to it, or None."""
    if not one.whole:
        return "a call that was killed had not made all of it"
    gone = missing(one)
    if gone:
        return "{} of it was removed behind the run's back".format(", ".join(gone))
    for member in one.members:
        if is_full(member.volume):
            return (
                "the snapshot of {} filled up ({} bytes were set aside for what changes), so it holds nothing "
                "any more".format(member.labels["mount"], member.volume.size_bytes)
            )
        if member.volume.origin_uuid != member.labels["origin"]:
            return "the volume that was held of {} is gone: LVM names another origin".format(member.labels["mount"])
    return None


def is_full(snapshot: Volume) -> bool:
    """Return whether a thick snapshot filled up: LVM dropped it, and it holds nothing any more."""
    thick = "snapshot" in snapshot.roles and not snapshot.pool
    return snapshot.attributes[4:5] in ("I", "S") or (thick and snapshot.data_percent == 100.0)


def facts(
    name: str, labels: Dict[str, str], number: int, mount: str, origin: str, told: Dict[str, List[str]]
) -> List[str]:
    """Return the tags of a snapshot that is about to be made.

    ``labels`` are run_id, host, reason, created, expires, count and what else all of the set has; ``told`` lists that
    only its first one has.

    Raises:
        PatchingError: one is too long for a tag.
    """
    own = dict(labels, set=name, number=str(number), mount=mount, origin=origin)
    own["reason"] = shortened(own["reason"])
    tags = [label(key, value) for key, value in sorted(own.items())]
    for key, values in sorted(told.items()) if number == 0 else []:
        tags += [label("{}.{:02d}".format(key, place), shortened(value)) for place, value in enumerate(values)]
    return tags


def told(one: Set, key: str) -> List[str]:
    """Return a list that :func:`facts` has put on the first snapshot of a set; empty where that is gone."""
    found = one.members[0].labels
    return [found[name] for name in sorted(found) if name.startswith(key + ".")]


def seal(own: str, all_of_it: List[str]) -> List[str]:
    """Return the tags that make a snapshot part of a whole set."""
    return [label("seal", own), label("set_uuids", "+".join(all_of_it))]


def ours_among(tags: List[str], prefix: str = "") -> List[str]:
    """Return the tags that are labels of ours."""
    return [tag for tag in tags if tag.startswith(PREFIX + prefix)]
