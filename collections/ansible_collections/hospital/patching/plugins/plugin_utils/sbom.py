# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's software as a CycloneDX 1.6 document (ECMA-424) with package URLs.

The same assessment always yields the same document: the serial number is
derived from its content, the timestamp is that of the assessment.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.tool import ToolRepository
from cyclonedx.model.vulnerability import BomTarget, Vulnerability
from cyclonedx.schema.schema import SchemaVersion1Dot6
from packageurl import PackageURL

from ansible_collections.hospital.patching.plugins.plugin_utils.installed import Installed, Item, text

#: The purl namespace of a distribution, where it is not os-release's ID (purl-spec, types deb and rpm).
NAMESPACES = {"rhel": "redhat", "sles": "suse", "sles_sap": "suse", "opensuse-leap": "opensuse", "ol": "oracle"}
TYPES = {"application": ComponentType.APPLICATION, "java": ComponentType.PLATFORM, "image": ComponentType.CONTAINER}
#: The longest version that the schema of CycloneDX 1.6 allows; names are kept to it as well.
LONGEST = 1024
#: Namespace of this project's serial numbers (RFC 9562, version 5).
SERIALS = uuid.uuid5(uuid.NAMESPACE_URL, "https://hospital.patching/sbom")


def document(host: str, software: Mapping[str, Any] | None, installed: Installed, assessed: datetime) -> dict[str, Any]:
    """Return the document of one host.

    Args:
        software: the host's ``patching_software``, of which the operating system and kernel are taken.
        assessed: when it was collected.
    """
    identity = (software or {}).get("os")
    system = identity if isinstance(identity, Mapping) else {}
    root = Component(name=text(host) or "host", type=ComponentType.DEVICE, bom_ref="host", properties=_gaps(installed))
    by_ref = dict(_components(system, installed.items))
    components = [_operating_system(system, software or {}), *by_ref.values()]
    bom = Bom(
        metadata=BomMetaData(
            component=root,
            timestamp=assessed,
            tools=ToolRepository(components=[Component(name="hospital.patching", type=ComponentType.APPLICATION)]),
        ),
        components=components,
        # Stated whole at once: register_dependency() searches all of them for each one.
        dependencies=[Dependency(root.bom_ref, [Dependency(component.bom_ref) for component in components])],
        vulnerabilities=_vulnerabilities(system, installed.items),
    )
    bom.serial_number = SERIALS  # a constant until the content is known
    content = bom.as_json(view_=SchemaVersion1Dot6)  # type: ignore[attr-defined]
    found: dict[str, Any] = json.loads(content)
    found.update(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": uuid.uuid5(SERIALS, content).urn,
        }
    )
    return found


def purl(item: Item, system: Mapping[str, Any]) -> PackageURL | None:
    """Return the package URL of an installed thing.

    None for a container image without a digest, and for what no URL can name:
    whoever names a package on a host decides neither about its SBOM nor about the others.
    """
    if max(len(item.name), len(item.version or "")) > LONGEST:
        return None
    try:
        made = _purl(item, system)
    except ValueError:
        return None
    # Of a name of slashes alone the library leaves nothing, without a complaint.
    return made if made and made.name else None


def _purl(item: Item, system: Mapping[str, Any]) -> PackageURL | None:
    if item.kind in ("deb", "rpm"):
        return _of_package(item, system)
    if item.kind == "jar":
        group, _colon, artifact = item.name.rpartition(":")
        return PackageURL("maven", group or None, artifact, item.version)
    if item.kind == "npm":
        scope, _slash, name = item.name.rpartition("/")
        return PackageURL("npm", scope or None, name, item.version)
    if item.kind == "image":
        is_digest = (item.version or "").startswith("sha256:")
        return PackageURL("oci", None, item.name.rpartition("/")[2], item.version) if is_digest else None
    kind = {"pypi": "pypi", "gem": "gem"}.get(item.kind, "generic")
    return PackageURL(kind, None, item.name, item.version)


def _of_package(item: Item, system: Mapping[str, Any]) -> PackageURL:
    name, version = text(system.get("id")), text(system.get("version_id"))
    qualifiers = {"arch": item.arch, "epoch": item.epoch if item.kind == "rpm" else None}
    qualifiers["distro"] = f"{name}-{version}" if name and version else name
    namespace = NAMESPACES.get(name, name) if name else None
    given = {key: value for key, value in qualifiers.items() if value}
    return PackageURL(item.kind, namespace, item.name, item.version, given)


def _components(system: Mapping[str, Any], items: Iterable[Item]) -> Iterator[tuple[str, Component]]:
    for item in items:
        ref, url = _ref(item, system), purl(item, system)
        yield (
            ref,
            Component(
                name=item.name[:LONGEST],
                version=item.version[:LONGEST] if item.version else None,
                type=TYPES.get(item.kind, ComponentType.LIBRARY),
                bom_ref=ref,
                purl=url,
                properties=_properties(item),
            ),
        )


def _ref(item: Item, system: Mapping[str, Any]) -> str:
    """Return what names a thing within its document: its purl, and its place when there may be several copies."""
    url = purl(item, system)
    named = url.to_string() if url else f"{item.kind}:{item.name}@{item.version}"
    # Two engines may hold different images of one name.
    place = item.path or (item.source if item.kind == "image" else None)
    return f"{named}#{place}" if place else named


def _properties(item: Item) -> list[Property]:
    told = {"path": item.path, "origin": item.origin, "installed_at": item.installed_at, "source": item.source}
    told["held"] = None if item.held is None else str(item.held).lower()
    told["advice"], told["vendor"] = item.advice, item.vendor
    return [Property(name=f"hospital.patching:{name}", value=value) for name, value in told.items() if value]


def _gaps(installed: Installed) -> list[Property]:
    """Say in the document itself what it does not cover."""
    return [Property(name="hospital.patching:unknown", value=part) for part in installed.unknown]


def _operating_system(system: Mapping[str, Any], software: Mapping[str, Any]) -> Component:
    kernel = software.get("kernel")
    running = text(kernel.get("running")) if isinstance(kernel, Mapping) else None
    return Component(
        name=(text(system.get("id")) or "unknown")[:LONGEST],
        version=(text(system.get("version_id")) or "")[:LONGEST] or None,
        description=text(system.get("pretty_name")),
        type=ComponentType.OPERATING_SYSTEM,
        bom_ref="operating-system",
        properties=[Property(name="hospital.patching:kernel", value=running)] if running else [],
    )


def _vulnerabilities(system: Mapping[str, Any], items: Iterable[Item]) -> list[Vulnerability]:
    affected: dict[str, set[str]] = {}
    for item in items:
        for cve in item.cves:
            affected.setdefault(cve, set()).add(_ref(item, system))
    return [
        Vulnerability(id=cve, bom_ref=cve, affects=[BomTarget(ref=ref) for ref in sorted(refs)])
        for cve, refs in sorted(affected.items())
    ]
