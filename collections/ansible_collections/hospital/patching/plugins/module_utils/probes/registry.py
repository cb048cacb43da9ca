# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes probes of their definitions, and tells of a definition what there is to know without asking anybody."""

from typing import Any, Dict, List, Sequence, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Probe, ProbeContext
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector
from ansible_collections.hospital.patching.plugins.module_utils.probes.kinds import PROBES
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

#: Names of the built-in probes; a site's own probe may not take one.
BUILTIN_NAMES = ("builtin-units", "builtin-ports", "builtin-mounts")


def builtin_definitions() -> List[Dict[str, Any]]:
    """Return the probes that every host gets: failed units, listening ports, mounts."""
    return [{"name": name, "type": name.split("-", 1)[1]} for name in BUILTIN_NAMES]


def build(definition: Dict[str, Any], context: ProbeContext) -> Probe:
    """Return the validated probe of a definition.

    Raises:
        PatchingError: no mapping, no name, an unknown type, or a bad option.
    """
    if not isinstance(definition, dict) or not definition.get("name"):
        raise PatchingError("a probe", "no name", "a mapping with name and type", "correct patching_probes")
    kind = definition.get("type")
    if not isinstance(kind, str) or kind not in PROBES:
        raise PatchingError(
            "probe {!r}".format(definition["name"]),
            "type {!r}".format(kind),
            "one of {}".format(", ".join(sorted(PROBES))),
            "correct patching_probes",
        )
    return PROBES[kind](definition, context)


def build_all(
    definitions: List[Dict[str, Any]], builtin: bool, context: ProbeContext, since: Sequence[Dict[str, Any]] = ()
) -> List[Probe]:
    """Return all probes of one call, the built-in ones last.

    Args:
        since: what they read before; each gets the value of its name and type.

    Raises:
        PatchingError: a bad definition, or a name given twice.
    """
    for definition in definitions:
        if isinstance(definition, dict) and definition.get("name") in BUILTIN_NAMES:
            raise PatchingError(
                "probe {!r}".format(definition["name"]), "the name of a built-in probe", "another name", "rename it"
            )
    probes = [build(one, context) for one in list(definitions) + (builtin_definitions() if builtin else [])]
    names = [probe.name for probe in probes]
    for name in names:
        if names.count(name) > 1:
            raise PatchingError("probe {!r}".format(name), "given twice", "one probe of that name", "rename one")
    earlier = {(result.get("name"), result.get("type")): result.get("value") for result in since}
    for probe in probes:
        probe.earlier = earlier.get((probe.name, probe.NAME))
    return probes


def vantage(definition: Dict[str, Any]) -> str:
    """Return where a valid definition is read from: where it says, else where its type says."""
    return str(definition.get("vantage") or PROBES[definition["type"]].VANTAGE)


def check(definition: Dict[str, Any]) -> None:
    """Raise PatchingError unless ``definition`` is a valid probe; nothing is read or connected to."""
    _unconnected(definition)


def targets(definition: Dict[str, Any]) -> List[Tuple[str, int]]:
    """Return each (host, port) that the probe would connect to, so that they can be checked at plan time."""
    return _unconnected(definition).targets()


def options(definition: Dict[str, Any]) -> Dict[str, Any]:
    """Return the options of a valid definition, with its defaults."""
    return dict(_unconnected(definition).options)


def _unconnected(definition: Dict[str, Any]) -> Probe:
    return build(definition, ProbeContext(Runner(), Clock(), Connector(None), "/proc"))
