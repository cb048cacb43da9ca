# SPDX-License-Identifier: GPL-3.0-or-later
"""What LVM's reports say (lvs(8), vgs(8), lvmreport(7)), and labels in the letters that its tags may have."""

import json
import re
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: Columns that are asked for; a report without one of them is not understood.
VOLUME_FIELDS = (
    "lv_uuid,lv_name,vg_name,lv_attr,lv_size,origin,origin_uuid,pool_lv,data_percent,metadata_percent,"
    "lv_kernel_major,lv_kernel_minor,lv_layout,lv_role,lv_tags"
)
GROUP_FIELDS = "vg_name,vg_uuid,vg_attr,vg_free,vg_extent_size,vg_missing_pv_count"

#: One row of ``lvs``. ``device`` is its major:minor, empty while it is not active; percentages are None where LVM
#: knows none; ``layout`` and ``roles`` hold LVM's own words.
Volume = NamedTuple(
    "Volume",
    [
        ("uuid", str),
        ("name", str),
        ("group", str),
        ("attributes", str),
        ("size_bytes", int),
        ("origin", str),
        ("origin_uuid", str),
        ("pool", str),
        ("data_percent", Optional[float]),
        ("metadata_percent", Optional[float]),
        ("device", str),
        ("layout", List[str]),
        ("roles", List[str]),
        ("tags", List[str]),
    ],
)
#: One row of ``vgs``; ``missing`` counts the physical volumes that are not there.
Group = NamedTuple(
    "Group",
    [
        ("name", str),
        ("uuid", str),
        ("attributes", str),
        ("free_bytes", int),
        ("extent_bytes", int),
        ("missing", int),
    ],
)

#: All our labels begin so. A tag may have letters, digits and ``_+.-/=!:&#``, and 1024 of them (lvm(8)).
PREFIX = "hospital.patching."
LONGEST_TAG = 1024
_PLAIN = re.compile(r"[A-Za-z0-9_+./:!=-]")


def parse_volumes(text: str) -> List[Volume]:
    """Return the logical volumes of ``lvs --all --reportformat json --units b --nosuffix``.

    Raises:
        PatchingError: it is not that report.
    """
    return [
        Volume(
            uuid=row["lv_uuid"],
            name=row["lv_name"].strip("[]"),  # what LVM hides, as a snapshot that waits for its merge, is in brackets
            group=row["vg_name"],
            attributes=row["lv_attr"],
            size_bytes=int(row["lv_size"]),
            origin=row["origin"].strip("[]"),
            origin_uuid=row["origin_uuid"],
            pool=row["pool_lv"].strip("[]"),
            data_percent=_percent(row["data_percent"]),
            metadata_percent=_percent(row["metadata_percent"]),
            device=_device(row["lv_kernel_major"], row["lv_kernel_minor"]),
            layout=_words(row["lv_layout"]),
            roles=_words(row["lv_role"]),
            tags=_words(row["lv_tags"]),
        )
        for row in _rows("lv", text, VOLUME_FIELDS)
    ]


def parse_groups(text: str) -> List[Group]:
    """Return the volume groups of ``vgs --reportformat json --units b --nosuffix``.

    Raises:
        PatchingError: it is not that report.
    """
    return [
        Group(
            name=row["vg_name"],
            uuid=row["vg_uuid"],
            attributes=row["vg_attr"],
            free_bytes=int(row["vg_free"]),
            extent_bytes=int(row["vg_extent_size"]),
            missing=int(row["vg_missing_pv_count"]),
        )
        for row in _rows("vg", text, GROUP_FIELDS)
    ]


def _rows(kind: str, text: str, fields: str) -> List[Dict[str, str]]:
    try:
        found = [row for report in json.loads(text)["report"] for row in report[kind]]
        # Newer ones print numbers as such.
        return [{field: _text(row[field]) for field in fields.split(",")} for row in found]
    except (KeyError, TypeError, ValueError) as error:
        raise PatchingError(
            "report of {}s".format(kind),
            "an answer of another form ({}: {})".format(type(error).__name__, error),
            "LVM's JSON with {}".format(fields),
            "look whether the installed lvm2 is 2.02.158 or newer",
        )


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(one) for one in value)
    return "" if value is None else str(value)


def _words(text: str) -> List[str]:
    return [word for word in text.split(",") if word]


def _percent(text: str) -> Optional[float]:
    try:
        return float(text)
    except ValueError:
        return None


def _device(major: str, minor: str) -> str:
    return "{}:{}".format(major, minor) if major.isdigit() and minor.isdigit() else ""


def full_name(volume: Volume) -> str:
    """Return it as LVM's commands want it."""
    return "{}/{}".format(volume.group, volume.name)


def is_thin(volume: Volume) -> bool:
    """Return whether it is a volume of a thin pool."""
    return "thin" in volume.layout and "pool" not in volume.layout


def is_open(volume: Volume) -> bool:
    """Return whether it is mounted, or a program has it open."""
    return volume.attributes[5:6] == "o"


def is_merging(volume: Volume) -> bool:
    """Return whether it is merged, or waits for it; of origin and snapshot alike."""
    return volume.attributes[:1] in ("O", "S")


def broken(volume: Volume) -> Optional[str]:
    """Return what LVM says is wrong with it, or None (lvs(8), "lv_attr", bits 5 and 9)."""
    state, health = volume.attributes[4:5], volume.attributes[8:9]
    told = {
        "I": "it is invalid: it filled up",
        "S": "it is invalid: it filled up",
        "m": "its merge failed",
        "M": "its merge failed",
        "c": "its metadata has to be checked",
        "C": "its metadata has to be checked",
        "d": "it has no tables",
        "i": "its tables are inactive",
    }
    of_health = {
        "p": "a disk of it is missing",
        "F": "it has failed",
        "D": "it is out of data space",
        "M": "its metadata is read-only",
    }
    return told.get(state) or of_health.get(health)


def labels_of(volume: Volume) -> Dict[str, str]:
    """Return our labels among its tags, decoded."""
    found = {}
    for tag in volume.tags:
        if tag.startswith(PREFIX) and "=" in tag:
            key, _equals, value = tag[len(PREFIX) :].partition("=")
            found[key] = decode(value)
    return found


def label(key: str, value: str) -> str:
    """Return the tag of a label.

    Raises:
        PatchingError: it is too long for a tag.
    """
    tag = "{}{}={}".format(PREFIX, key, encode(value))
    if len(tag) > LONGEST_TAG:
        raise PatchingError(
            "label {}".format(key),
            "{} letters as a tag of LVM".format(len(tag)),
            "at most {}".format(LONGEST_TAG),
            "shorten it",
        )
    return tag


def encode(value: str) -> str:
    """Return any text in the letters of a tag: what it may not have is ``#`` and the byte in hexadecimal."""
    return "".join(
        letter
        if _PLAIN.match(letter)
        else "".join("#{:02x}".format(byte) for byte in letter.encode("utf-8", "surrogateescape"))
        for letter in value
    )


def decode(text: str) -> str:
    """Return what :func:`encode` was given."""
    raw = re.sub(rb"#([0-9a-f]{2})", lambda match: bytes([int(match.group(1), 16)]), text.encode("utf-8"))
    return raw.decode("utf-8", "surrogateescape")


def shortened(value: str) -> str:
    """Return as much of a text for people as a tag can hold."""
    while len(encode(value)) > LONGEST_TAG - 100:
        value = value[: len(value) * 9 // 10]
    return value
