# SPDX-License-Identifier: GPL-3.0-or-later
"""Readers of setting values: each returns the typed value, or raises ``ValueError`` with what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.drains import registry as drains
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.options import read_options
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry
from ansible_collections.hospital.patching.plugins.module_utils.snapshots import registry as snapshots
from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain
from ansible_collections.hospital.patching.plugins.plugin_utils.restore_point import AUTO, OWN_KEYS
from ansible_collections.hospital.patching.plugins.plugin_utils.segments import read_segment

#: What a failure budget is stated for.
BUDGET_LEVELS = ("run", "ring", "service")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:+-]*")


def text(value: object) -> str:
    """Read text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("text that is not empty")
    # Variables may carry Ansible's own kinds of text; only plain text leaves here.
    return str(value)


def name(value: object) -> str:
    """Read the name of a host, service, unit or tool."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError("a name of letters, digits and . _ - + : @")
    return str(value)


def names(value: object) -> tuple[str, ...]:
    """Read a list of names; order and repetition mean nothing."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list of names")
    return tuple(sorted({name(item) for item in value}))


def ordered_names(value: object) -> tuple[str, ...]:
    """Read a list of names whose order means something; none stands twice."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list of names")
    given = tuple(name(item) for item in value)
    if len(set(given)) < len(given):
        raise ValueError("a list of names, each of them once")
    return given


def texts(value: object) -> tuple[str, ...]:
    """Read a list of texts that are not empty, such as shell patterns."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list of texts")
    return tuple(text(item) for item in value)


def mappings(*required: str) -> Callable[[object], tuple[dict[str, Any], ...]]:
    """Return a reader of lists of mappings that have these keys; what uses them checks the rest."""

    def read(value: object) -> tuple[dict[str, Any], ...]:
        if not isinstance(value, (list, tuple)) or not all(
            isinstance(item, Mapping) and set(required) <= set(item) for item in value
        ):
            raise ValueError(f"a list of mappings with {', '.join(required)}")
        return tuple(plain(item) for item in value)

    return read


def file_or_url(value: object) -> str:
    """Read an absolute path on the controller, or a URL."""
    return text(value) if isinstance(value, str) and "://" in value else absolute_path(value)


def version_pairs(value: object) -> tuple[dict[str, str], ...]:
    """Read pairs of versions of packages by exact names: a pattern would promise for what nobody has tried."""
    return _exact(value, ("name", "from", "to"), (), "a list of {name, from, to}, each exact and in quotes")


def irreversible(value: object) -> tuple[dict[str, str], ...]:
    """Read updates that cannot go back; without ``to`` every new version of the package."""
    return _exact(value, ("name", "reason"), ("to",), "a list of {name, reason, [to]}, a version in quotes", "name")


def _exact(
    value: object, required: Sequence[str], optional: Sequence[str], expected: str, pattern: str = ""
) -> tuple[dict[str, str], ...]:
    given: Any = plain(value)
    if not isinstance(given, (list, tuple)):
        raise ValueError(expected)
    for one in given:
        if not isinstance(one, Mapping) or not set(required) <= set(one) <= {*required, *optional}:
            raise ValueError(expected)
        if not all(isinstance(text, str) and text.strip() == text != "" for text in one.values()):
            raise ValueError(expected)
        if any(sign in one[key] for key in ("name", "from", "to") if key in one and key != pattern for sign in "*?["):
            raise ValueError(f"{expected}; no pattern")
    return tuple(dict(one) for one in given)


def rows(check: Callable[[Sequence[Any]], object]) -> Callable[[object], tuple[dict[str, Any], ...]]:
    """Return a reader of a list of mappings; ``check`` is what uses them, and raises what it refuses of one."""

    def read(value: object) -> tuple[dict[str, Any], ...]:
        if not isinstance(value, (list, tuple)):
            raise ValueError("a list of mappings")
        given = tuple(plain(item) for item in value)
        check(given)
        return given

    return read


def classes(value: object) -> tuple[str, ...]:
    """Read a list of classes of updates."""
    given = names(value)
    if not set(given) <= {"os", "third_party"}:
        raise ValueError("a list of os and third_party")
    return given


def boolean(value: object) -> bool:
    """Read a boolean; templates yield it as text."""
    if isinstance(value, bool):
        return value
    known = {"true": True, "yes": True, "false": False, "no": False}
    if not isinstance(value, str) or value.lower() not in known:
        raise ValueError("true or false")
    return known[value.lower()]


def whole(lowest: int, highest: int | None = None) -> Callable[[object], int]:
    """Return a reader of whole numbers; text of digits is one, because templates yield text."""
    limits = f"{lowest} or more" if highest is None else f"{lowest} to {highest}"

    def read(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"a whole number, {limits}")
        if value < lowest or (highest is not None and value > highest):
            raise ValueError(f"a whole number, {limits}")
        return int(value)

    return read


def choice(*allowed: str) -> Callable[[object], str]:
    """Return a reader of one of a few words."""

    def read(value: object) -> str:
        if value not in allowed:
            raise ValueError("one of " + ", ".join(allowed))
        return str(value)

    return read


def absolute_path(value: object) -> str:
    """Read a path that means the same wherever a run is started."""
    found = text(value)
    if not Path(found).is_absolute():
        raise ValueError("an absolute path, because another one would depend on where the run is started")
    return found


def failure_budget(value: object) -> dict[str, dict[str, int]]:
    """Read how many failed hosts a run, a ring and a service may have; what is not named may have none.

    Returns:
        For each level ``count``, ``share_percent``, or both, of which the smaller holds.
    """
    if not isinstance(value, Mapping) or not set(value) <= set(BUDGET_LEVELS):
        raise ValueError(f"only {', '.join(BUDGET_LEVELS)}, as in " + '{run: 2, ring: "10 %", service: 1}')
    found = {level: _allowed(value[level]) if level in value else {"count": 0} for level in BUDGET_LEVELS}
    for level, allowed in found.items():
        if not allowed:
            raise ValueError(
                f'for {level} a count like 2, a share of at most 100 % like "10 %",'
                " or the smaller of both as {count: 2, share_percent: 10}"
            )
    return found


def _allowed(value: object) -> dict[str, int]:
    """Return a count, a share or both; empty when the value is none of these."""
    share = re.fullmatch(r"([0-9]{1,9}) ?%", value.strip()) if isinstance(value, str) else None
    given = value if isinstance(value, Mapping) else {"share_percent": share[1]} if share else {"count": value}
    readers = {"count": whole(0), "share_percent": whole(0, 100)}
    if not set(given) <= set(readers):
        return {}
    try:
        return {str(key): readers[key](item) for key, item in given.items()}
    except ValueError:
        return {}


def promotion(value: object) -> dict[str, int]:
    """Read on how many hosts, and on what share of them, an update must have run well."""
    readers = {"count": whole(1), "share_percent": whole(0, 100)}
    if not isinstance(value, Mapping) or not set(value) <= set(readers) or "count" not in value:
        raise ValueError("{count: 3}, or with a share {count: 3, share_percent: 95}")
    return {"share_percent": 100, **{str(key): readers[key](item) for key, item in value.items()}}


def segments(value: object) -> tuple[str, ...]:
    """Read a list of CIDRs; a bare text is refused, because a template gone wrong yields text."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list of networks like [10.9.0.0/16], or [] when there are none")
    return tuple(str(read_segment(text(item)).cidr) for item in value)


def own_segments(value: object) -> tuple[str, ...]:
    """Read one CIDR or a list of at least one."""
    given = list(value) if isinstance(value, (list, tuple)) else [value]
    if not given or not all(isinstance(item, str) for item in given):
        raise ValueError("a network like 10.20.0.0/16, or a list of such")
    return tuple(str(read_segment(text(item), "patching_segment").cidr) for item in given)


def secrets(value: object) -> tuple[str, ...]:
    """Read one text that holds a password, or a list of such; the message never repeats it."""
    given = list(value) if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(item, str) and item.strip() for item in given):
        raise ValueError("text that is not empty, or a list of such")
    return tuple(str(item) for item in given)


def logins(value: object) -> dict[str, str]:
    """Read logins, or queries of URLs, by name; the message never repeats them."""
    if not isinstance(value, Mapping) or not all(
        isinstance(item, str) and re.fullmatch(r"(?!\?)[^:\s]+:\S.*|\?[!\"$-~]+", item) for item in value.values()
    ):
        # What follows a "#" would not be sent.
        raise ValueError("a mapping of NAME or NAME@HOST to user:password or ?query (a # in it as %23)")
    return {name(key): str(item) for key, item in value.items()}


def urls(value: object) -> tuple[str, ...]:
    """Read one URL or a list of them."""
    given = list(value) if isinstance(value, (list, tuple)) else [value]
    for item in given:
        if not isinstance(item, str) or not re.fullmatch(r"https?://\S.*", item):
            raise ValueError("a URL that begins with http:// or https://, or a list of such")
    return tuple(str(item) for item in given)


def probes(value: object) -> tuple[dict[str, Any], ...]:
    """Read a list of probe definitions; each is checked as the probe itself would."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list of probes")
    for probe in value:
        registry.check(plain(probe))
    given = tuple(plain(probe) for probe in value)
    if len({probe["name"] for probe in given}) < len(given):
        raise ValueError("probes whose names differ")
    return given


def probe_names(value: object) -> tuple[str, ...]:
    """Read names of probes, which may be any text."""
    return tuple(sorted(set(texts(value))))


def drain(value: object) -> dict[str, Any]:
    """Read ``none``, ``{haproxy: host, backend: name}``, ``{hook, back}``, or the options of a drain by a module.

    Raises:
        ValueError: saying what was expected, and naming what is not known.
        PatchingError: an option of a drain by a module is not understood.
    """
    if value == "none":
        return {"type": "none", "reason": "patching_drain is none"}
    # YAML reads an unquoted on as true.
    given = {"on" if key is True else key: item for key, item in value.items()} if isinstance(value, Mapping) else {}
    kinds = [kind for kind in ("haproxy", "hook", *drains.PROVIDERS) if kind in given]
    if len(kinds) != 1:
        raise ValueError(
            f"none, or one of {', '.join(('haproxy', 'hook', *sorted(drains.PROVIDERS)))} with its options"
        )
    if kinds[0] in drains.PROVIDERS:
        return _drain_by_module(kinds[0], plain(given))
    return _drain_hook(given) if kinds[0] == "hook" else _drain_haproxy(given)


def _drain_by_module(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    if "on" in given and not drains.PROVIDERS[kind].ELSEWHERE:
        raise ValueError(f"{kind} without on: it is done on the host itself")
    place = {"host": name(given.pop("on"))} if "on" in given else {}
    return {"type": kind, "options": plain(drains.check(kind, given)), **place}


def _drain_haproxy(value: Mapping[Any, Any]) -> dict[str, Any]:
    """Read the load balancer, its backend, and server and socket if they differ from the usual."""
    expected = "{haproxy: HOST, backend: NAME} with server and socket if they differ from the usual"
    _require_keys(value, {"haproxy", "backend"}, {"server", "socket"}, expected)
    found = {"type": "haproxy", "host": name(value["haproxy"]), "backend": name(value["backend"])}
    for option in ("server", "socket"):
        if option in value:
            found[option] = text(value[option])
    return found


def _drain_hook(value: Mapping[Any, Any]) -> dict[str, Any]:
    """Read the site's own commands: to move users away, to let them come back, and the host to run them on."""
    expected = "{hook: [COMMAND, …], back: [COMMAND, …] or []} with on: HOST if not on the host itself"
    _require_keys(value, {"hook", "back"}, {"on"}, expected)
    found: dict[str, Any] = {"type": "hook", "hook": list(texts(value["hook"])), "back": list(texts(value["back"]))}
    if not found["hook"]:
        raise ValueError("a command after hook: or none instead of all this, when users need not be moved away")
    return {**found, "host": name(value["on"])} if "on" in value else found


def _require_keys(value: Mapping[Any, Any], required: set[str], optional: set[str], expected: str) -> None:
    unknown = sorted(str(key) for key in set(value) - required - optional)
    if unknown:
        raise ValueError(f"{expected}, and no {', '.join(unknown)}")
    if not required <= set(value):
        raise ValueError(expected)


def _require_aws_options(found: Mapping[str, Any]) -> None:
    """Refuse an unknown option, a login above all, before it gets into a plan."""
    options = snapshots.PROVIDERS["aws_ebs"].OPTIONS
    _require_keys(found, {"provider"}, {"reason", "on", *options}, "{provider: aws_ebs, instance_id: ID, region: NAME}")
    if bool(found.get("instance_id")) == bool(found.get("instance_tags")):
        raise ValueError("instance_id or instance_tags beside provider aws_ebs, and not both")


def _require_hook_commands(found: Mapping[str, Any]) -> None:
    """Refuse a command that is missing, or a mistyped option, when the host is planned and not in the night."""
    expected = "{provider: hook, create: [COMMAND, …], info: […], delete: […]} with revert, on and limits if need be"
    options = snapshots.PROVIDERS["hook"].OPTIONS
    commands = {"create", "info", "delete"}
    _require_keys(found, {"provider", *commands}, {"reason", "on", *options}, expected)
    for key in sorted(commands | {"revert"} & set(found)):
        if not texts(found[key]):
            raise ValueError(f"{expected}, and words in {key}")


#: Providers whose options are read when the inventory is, and not on the host in the night; others are below.
ON_THE_HOST = ("btrfs", "container", "lvm", "snapper")


def _require_options(found: Mapping[str, Any]) -> None:
    provider = snapshots.PROVIDERS[found["provider"]]
    given = {key: value for key, value in found.items() if key not in OWN_KEYS}
    try:
        options = read_options(f"snapshot provider {provider.NAME}", provider.OPTIONS, given)
    except PatchingError as error:
        raise ValueError(f"{error.expected} ({error.seen})") from error
    held = options.get("subvolumes") or options.get("volumes") or ()
    others = [path for path in options.get("at_reboot", ()) if held and path not in held]
    if others:
        raise ValueError(f"in at_reboot only what is held, {', '.join(held)} (there is {', '.join(others)})")


#: How providers that ask a hypervisor are written; none of them takes a password, because settings get into the plan.
HYPERVISORS = {
    "libvirt": "{provider: libvirt, uri: qemu+ssh://HYPERVISOR/system, memory: true}",
    "proxmox": "{provider: proxmox, server: NAME, token_id: USER@REALM!NAME, token_file: PATH}",
    "vsphere": "{provider: vsphere, server: NAME, user: NAME, password_file: PATH}",
}


def snapshot(value: object) -> dict[str, Any]:
    """Read ``auto``, ``preserved`` or ``{provider: NAME, ...}``; no way back needs a reason."""
    if value in (AUTO, "preserved"):
        return {"provider": str(value)}
    if isinstance(value, Mapping) and value.get("provider") == AUTO:
        if len(value) > 1:
            raise ValueError("nothing beside provider auto")
        return {"provider": AUTO}
    if not isinstance(value, Mapping) or "provider" not in value:
        raise ValueError("auto, preserved, {provider: NAME, ...}, or {provider: none, reason: WHY}")
    # YAML reads an unquoted on as true.
    found: dict[str, Any] = plain({"on" if key is True else key: item for key, item in value.items()})
    found["provider"] = name(found["provider"])
    if found["provider"] not in snapshots.PROVIDERS:
        raise ValueError(f"as provider, not {found['provider']}, but one of {', '.join(sorted(snapshots.PROVIDERS))}")
    if found["provider"] in ON_THE_HOST:
        _require_options(found)
    if found["provider"] == "aws_ebs":
        _require_aws_options(found)
    if found["provider"] == "hook":
        _require_hook_commands(found)
    if found["provider"] in HYPERVISORS:
        options = snapshots.PROVIDERS[found["provider"]].OPTIONS
        _require_keys(found, {"provider"}, {"reason", "on", *options}, HYPERVISORS[found["provider"]])
    if found["provider"] == "none" and not str(found.get("reason") or "").strip():
        raise ValueError("a reason beside provider none: nothing is installed without a way back, unless one says why")
    return found
