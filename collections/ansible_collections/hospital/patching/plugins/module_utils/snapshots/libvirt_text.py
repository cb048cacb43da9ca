# SPDX-License-Identifier: GPL-3.0-or-later
"""What virsh prints: text in, values out. Its tables are for people; documents and single words are asked for."""

import re
from typing import Dict, List, NamedTuple, Optional
from xml.etree import ElementTree

#: No document of libvirt is as long.
LONGEST = 16 * 1024 * 1024

Disk = NamedTuple(
    "Disk",
    [
        ("target", str),
        ("format", str),
        ("source", Optional[str]),
        ("chain", int),
        ("shared", bool),
        ("transient", bool),
    ],
)
Domain = NamedTuple(
    "Domain",
    [("uuid", str), ("name", str), ("disks", List[Disk]), ("pflash", bool), ("agent", bool), ("memory_bytes", int)],
)
SnapshotXml = NamedTuple(
    "SnapshotXml",
    [("name", str), ("description", str), ("state", str), ("parent", Optional[str]), ("internal", bool)],
)
_UNITS = {"b": 1, "bytes": 1, "KB": 1000, "k": 1024, "KiB": 1024, "M": 1024**2, "MiB": 1024**2, "MB": 1000**2}
_UNITS.update({"G": 1024**3, "GiB": 1024**3, "GB": 1000**3, "T": 1024**4, "TiB": 1024**4})


def parse(text: str) -> ElementTree.Element:
    """Return a document of libvirt, which never declares a type or an entity.

    Raises:
        ValueError: it is none.
    """
    if len(text) > LONGEST:
        raise ValueError("{} bytes, more than any document of libvirt has".format(len(text)))
    if "<!" in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL):
        raise ValueError("a declaration of a type or entity, which no document of libvirt has")
    try:
        return ElementTree.fromstring(text)  # noqa: S314 - without a declaration it can neither grow nor fetch
    except ElementTree.ParseError as error:
        raise ValueError("not XML: {}".format(error))


def domain(text: str) -> Domain:
    """Return what ``virsh dumpxml`` says of a domain.

    Raises:
        ValueError: it is not such a document.
    """
    root = parse(text)
    uuid, name = root.findtext("uuid"), root.findtext("name")
    if root.tag != "domain" or not uuid or not name:
        raise ValueError("no domain with a name and a UUID")
    disks = [_disk(one) for one in root.findall("devices/disk") if _holds_data(one)]
    loader = root.find("os/loader")
    # OVMF is named by <loader type="pflash"> or chosen by <os firmware="efi">.
    system = root.find("os")
    firmware = loader is not None and loader.get("type") == "pflash"
    firmware = firmware or (system is not None and system.get("firmware") == "efi")
    channels = [one.get("name") for one in root.findall("devices/channel/target")]
    memory = root.find("memory")
    size = 0
    if memory is not None and (memory.text or "").strip().isdigit():
        size = int(memory.text or "0") * _UNITS.get(memory.get("unit", "KiB"), 1024)
    return Domain(uuid.strip(), name, disks, firmware, "org.qemu.guest_agent.0" in channels, size)


def _holds_data(disk: ElementTree.Element) -> bool:
    return disk.get("device", "disk") in ("disk", "lun") and disk.find("readonly") is None


def _disk(element: ElementTree.Element) -> Disk:
    driver, source, target = element.find("driver"), element.find("source"), element.find("target")
    place = None
    if source is not None:
        place = source.get("file") or source.get("dev") or source.get("name") or source.get("volume")
    links, backing = 0, element.find("backingStore")
    while backing is not None and backing.find("source") is not None:
        links, backing = links + 1, backing.find("backingStore")
    return Disk(
        target.get("dev", "?") if target is not None else "?",
        (driver.get("type") if driver is not None else None) or "raw",
        place,
        links,
        element.find("shareable") is not None,
        element.find("transient") is not None,
    )


def snapshot(text: str) -> SnapshotXml:
    """Return what ``virsh snapshot-dumpxml`` says of a snapshot.

    Raises:
        ValueError: it is not such a document.
    """
    root = parse(text)
    name = root.findtext("name")
    if root.tag != "domainsnapshot" or not name:
        raise ValueError("no snapshot with a name")
    kinds = [one.get("snapshot") for one in root.findall("disks/disk")]
    memory = root.find("memory")
    kinds += [memory.get("snapshot")] if memory is not None else []
    return SnapshotXml(
        name,
        root.findtext("description") or "",
        root.findtext("state") or "",
        root.findtext("parent/name"),
        "external" not in kinds,
    )


def redescribed(text: str, description: str) -> str:
    """Return a snapshot's document with another description.

    Raises:
        ValueError: it is not such a document.
    """
    root = parse(text)
    element = root.find("description")
    if element is None:
        element = ElementTree.SubElement(root, "description")
    element.text = description
    return ElementTree.tostring(root, encoding="unicode")


def fields(text: str) -> Dict[str, str]:
    """Return lines of ``key: value`` as virsh prints facts of one thing."""
    pairs = [line.partition(":") for line in text.splitlines()]
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}


def bytes_of(facts: Dict[str, str], key: str) -> Optional[int]:
    """Return one size of ``virsh pool-info --bytes``."""
    value = facts.get(key, "")
    return int(value) if value.isdigit() else None
