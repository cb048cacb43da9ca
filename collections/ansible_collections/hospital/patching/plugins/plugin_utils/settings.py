# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a host: one table of names, types, defaults and meanings.

Settings are host or group variables with the prefix ``patching_``. A name or a
value that is not understood is refused, because a misspelt safety setting
would otherwise silently be its default.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils import competing_updaters
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins
from ansible_collections.hospital.patching.plugins.module_utils.software import (
    application_catalogue,
    vulnerable_libraries,
)
from ansible_collections.hospital.patching.plugins.module_utils.third_party import entries as third_party
from ansible_collections.hospital.patching.plugins.plugin_utils import awx_site, figures, hooks, inhibits, schedule
from ansible_collections.hospital.patching.plugins.plugin_utils import setting_types as types
from ansible_collections.hospital.patching.plugins.plugin_utils.fetching import without_credentials
from ansible_collections.hospital.patching.plugins.plugin_utils.silences import login as silence_login
from ansible_collections.hospital.patching.plugins.plugin_utils.silences import registry as silences

PREFIX = "patching_"
#: Set on all hosts by the inventory plugin service_catalogue when it cannot read its file: Ansible itself only warns.
CATALOGUE_ERROR = "patching_catalogue_error"
#: Set on all hosts by the same plugin: the networks that its file calls vendor_locked.
CATALOGUE_SEGMENTS = "patching_catalogue_segments"
#: How the groups begin through which it hands its settings over.
CATALOGUE_GROUP = "patching_catalogue_"
#: Set on hosts that its file calls vendor_locked, which nothing else may loosen.
CATALOGUE_LOCKED = "patching_catalogue_locked"
#: Set on all hosts once it has read its file; a site that asks for one is closed without.
CATALOGUE_READ, CATALOGUE_REQUIRED = "patching_catalogue_read", "patching_catalogue_required"
CATALOGUE = frozenset({CATALOGUE_ERROR, CATALOGUE_SEGMENTS, CATALOGUE_LOCKED, CATALOGUE_READ, CATALOGUE_REQUIRED})
POLICIES = ("observed", "managed", "vendor_validated", "vendor_locked")
KINDS = ("server", "endpoint")
RINGS = ("canary", "early", "broad")
ROLES = ("primary", "replica", "quorum")
HIDDEN = "(set, not shown)"


@dataclass(frozen=True)
class Setting:
    """One row of the table. ``default`` None means not set; ``derived`` says what is used then."""

    name: str
    type: str
    default: Any
    meaning: str
    read: Callable[[object], Any]
    derived: str = ""
    #: Its value holds a password and is never shown.
    secret: bool = False
    #: It may be a URL that holds a login or token: shown without.
    is_place: bool = False

    @property
    def field(self) -> str:
        return self.name.removeprefix(PREFIX)


def _read_window(value: object) -> str:
    return schedule.check(types.text(value))


def _read_freezes(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list of times, as of patching_window, or [] when there are none")
    return tuple(schedule.check(types.text(item)) for item in value)


SETTINGS = (
    Setting(
        "patching_device_segments",
        "list of CIDR",
        None,
        "networks of medical devices, never connected to; [] declares that there are none",
        types.segments,
        "no host is contacted",
    ),
    Setting(
        "patching_policy",
        " | ".join(POLICIES),
        None,
        "whether the host may be changed",
        types.choice(*POLICIES),
        "managed when patching_service is set, else observed",
    ),
    Setting("patching_service", "name", None, "the clinical service that the host carries", types.name),
    Setting("patching_owner", "text", None, "who answers for the service; the report names him", types.text),
    Setting("patching_contact", "text", None, "how to reach the owner", types.text),
    Setting("patching_kind", " | ".join(KINDS), "server", "patched in waves, or when seen", types.choice(*KINDS)),
    Setting("patching_tier", "1 to 4", 3, "1 life-critical to 4 back office", types.whole(1, 4)),
    Setting(
        "patching_min_healthy",
        "count",
        None,
        "hosts of the service that must keep serving",
        types.whole(0),
        "size of the service - 1; 0 for a single host that states patching_downtime_s",
    ),
    Setting(
        "patching_downtime_s", "seconds", None, "the downtime that a service of a single host accepts", types.whole(1)
    ),
    Setting(
        "patching_never_with", "list of services", (), "services never disrupted together with this one", types.names
    ),
    Setting(
        "patching_depends_on",
        "list of services",
        (),
        "services without which this one does not serve; not patched in one wave with it",
        types.names,
    ),
    Setting(
        "patching_exposed",
        "boolean",
        False,
        "can be reached from outside the hospital; an emergency begins with it",
        types.boolean,
    ),
    Setting(
        "patching_after", "list of services and hosts", (), "who is patched before this host, if at all", types.names
    ),
    Setting(
        "patching_role",
        " | ".join(ROLES),
        None,
        "its part in its service; the primary is patched after the replicas",
        types.choice(*ROLES),
    ),
    Setting(
        "patching_ring",
        " | ".join(RINGS),
        None,
        "who gets a manifest first",
        types.choice(*RINGS),
        "canary for the first host of a service, else broad",
    ),
    Setting("patching_soak_s", "seconds", 600, "how long the ring before must have run well", types.whole(0)),
    Setting(
        "patching_promotion",
        "{count, [share_percent]}",
        None,
        "on how many hosts of earlier rings an update must have run well, on earlier nights, before this host gets it",
        types.promotion,
        "the rings before go first on the same night",
    ),
    Setting(
        "patching_window",
        "window",
        None,
        'when the host may be disrupted: "Sun 01:00, 3 h, UTC", or "ics PLACE" with a calendar; see docs/windows.md',
        _read_window,
    ),
    Setting(
        "patching_freezes",
        "list of windows, ranges of dates or calendars",
        (),
        'when nothing may be disrupted whatever the window says: "2026-12-23 18:00 to 2027-01-02 06:00, UTC"',
        _read_freezes,
    ),
    Setting(
        "patching_cut_off_s",
        "seconds",
        0,
        "how long before the end of the window nothing new starts; never later than work and way back need",
        types.whole(0),
    ),
    Setting("patching_probe_url", "URL or list of URLs", (), "answers well while the service is healthy", types.urls),
    Setting("patching_probes", "list of probes", (), "further readings of health", types.probes),
    Setting(
        "patching_broken_before",
        "list of probes by name",
        (),
        "probes that may fail before the patch: what they find is told, and the host is patched all the same",
        types.probe_names,
    ),
    Setting(
        "patching_thresholds",
        "{TIER: {FIGURE: {[noise], [told_percent], [failed_percent], [limit]}}}",
        None,
        "by how much numbers of health may become worse, where a site changes the defaults; see docs/probes_host.md",
        figures.read_thresholds,
        "the defaults of the tier",
    ),
    Setting(
        "patching_drain",
        "{haproxy | keepalived | pacemaker | postgresql | interface_engine | hook, …} | none",
        None,
        "how users are moved away first; see docs/drains.md",
        types.drain,
    ),
    Setting(
        "patching_silence",
        "{alertmanager, [label], [names]} | {zabbix, [name]} | {hook, back} | none",
        None,
        "the monitor in which the host's alerts are silenced while it is patched; see docs/silence.md",
        silences.read,
        "nothing silences alerts",
    ),
    Setting(
        "patching_silence_login",
        "{token} | {user, password}",
        None,
        "the login at that monitor; never shown",
        silence_login.read,
        secret=True,
    ),
    Setting(
        "patching_snapshot",
        "{provider, ...} | preserved | auto",
        {"provider": "auto"},
        "the way back, see docs/snapshots.md; auto: as assess finds it out on the host; {provider: none, reason: ...}"
        " for a host that has none",
        types.snapshot,
    ),
    Setting(
        "patching_disk_revert",
        "boolean",
        False,
        "where a failed patch cannot be taken back by its packages, the disk is put back to patching_snapshot, unless"
        " the host is stateful",
        types.boolean,
    ),
    Setting(
        "patching_failure_budget",
        '{run, ring, service: count | "N %" | {count, share_percent}}',
        {level: {"count": 0} for level in types.BUDGET_LEVELS},
        "how many planned hosts may fail before the others are left alone; of tier 1 never any",
        types.failure_budget,
    ),
    Setting(
        "patching_freeze_file",
        "absolute path",
        None,
        "a file on the controller; while it is there nothing may be disrupted",
        types.absolute_path,
        "freeze in the evidence directory",
    ),
    Setting(
        "patching_inhibits",
        "list of {file | url | command, [timeout_s]}",
        (),
        "live reasons not to start, asked on the controller; see docs/windows.md",
        inhibits.read,
    ),
    Setting(
        "patching_third_party",
        "list of {name, type, …}",
        (),
        "software beside the package manager, kept at the declared versions; see docs/software.md",
        types.rows(third_party.check),
    ),
    Setting(
        "patching_third_party_logins",
        "{NAME or NAME@HOST: USER:PASSWORD or ?QUERY}",
        None,
        "logins, or queries with tokens, for sources of that software; sent to no other server, never shown",
        types.logins,
        secret=True,
    ),
    Setting(
        "patching_hooks",
        "list of {step, when, run | script | tasks | module, …}",
        (),
        "what the site does of its own before and after steps; see docs/hooks.md",
        hooks.read,
    ),
    Setting(
        "patching_host_hooks",
        "as patching_hooks",
        (),
        "further hooks, of one host; they come after those of its service",
        hooks.read,
    ),
    Setting("patching_security_only", "boolean", True, "leave updates out that fix no security flaw", types.boolean),
    Setting("patching_package_manager", "name", "auto", "auto finds it out", types.name),
    Setting("patching_update_classes", "list of os, third_party", (), "only updates of these classes", types.classes),
    Setting("patching_update_include", "list of patterns", (), "only packages with these names", types.texts),
    Setting("patching_update_exclude", "list of patterns", (), "packages that stay as they are", types.texts),
    Setting("patching_update_allow", "list", (), "only these: NAME, NAME=VERSION or an advisory's id", types.texts),
    Setting(
        "patching_update_deny",
        "list of {item, reason}",
        (),
        "updates that are blocked, by NAME, NAME=VERSION or an advisory's id",
        types.mappings("item", "reason"),
    ),
    Setting(
        "patching_blocks_file",
        "absolute path or URL",
        None,
        "the updates that are blocked at any time, also in the middle of a run; see docs/blocks.md",
        types.file_or_url,
        "blocks.yml in the evidence directory",
        is_place=True,
    ),
    Setting(
        "patching_data_owners",
        "list of patterns",
        (),
        "more packages that own data, which are never downgraded without patching_downgrade_safe",
        types.texts,
    ),
    Setting(
        "patching_downgrade_safe",
        "list of {name, from, to}",
        (),
        "packages that own data and may be taken back all the same, from this newer version to this older one",
        types.version_pairs,
    ),
    Setting(
        "patching_stateful",
        "boolean",
        None,
        "its data moves on while it serves, so its disk is put back only when a person accepts what that loses",
        types.boolean,
        "whether a package that owns data is installed",
    ),
    Setting(
        "patching_irreversible",
        "list of {name, reason, [to]}",
        (),
        "updates that cannot be taken back (reversible: no): NAME is a pattern, to the new version; never installed",
        types.irreversible,
    ),
    Setting(
        "patching_min_age_days",
        "days",
        0,
        "for how long a version waits once published or seen",
        types.whole(0),
    ),
    Setting(
        "patching_debian_tracker",
        "path or URL",
        None,
        "the JSON of Debian's security tracker",
        types.text,
        "the CVEs of a Debian update are known once it is staged",
        is_place=True,
    ),
    Setting("patching_scan_jars", "boolean", False, "look for vulnerable libraries in Java archives", types.boolean),
    Setting("patching_scan_images", "boolean", False, "ask container engines for their images", types.boolean),
    Setting(
        "patching_applications",
        "list of {name, globs, …}",
        (),
        "more applications that are unpacked by hand; see software_facts",
        types.rows(application_catalogue.entries),
    ),
    Setting(
        "patching_vulnerable_libraries",
        "list of {artifact, cve, affected}",
        (),
        "more libraries that are looked for; see software_facts",
        types.rows(vulnerable_libraries.libraries),
    ),
    Setting(
        "patching_segment",
        "CIDR or list of CIDR",
        None,
        "the networks in which the host belongs; one that answers from elsewhere is reported",
        types.own_segments,
    ),
    Setting(
        "patching_unseen_days",
        "days",
        30,
        "after how many days without an assessment the host counts as missing",
        types.whole(1),
    ),
    Setting(
        "patching_eol_feed",
        "path or URL",
        None,
        "end-of-life data in endoflife.date's format: PRODUCT.json below it, or {product} in it",
        types.text,
        "every end of life is unknown",
        is_place=True,
    ),
    Setting(
        "patching_eol_near_days", "days", 180, "how long before its end of life software is reported", types.whole(0)
    ),
    Setting(
        "patching_extended_support",
        "list of products",
        (),
        "products of the end-of-life data for which the site has extended support",
        types.names,
    ),
    Setting(
        "patching_security_contact",
        "apprise URL or list of them",
        (),
        "who is told of lost and stolen hosts, and when one answers; never shown",
        types.secrets,
        secret=True,
    ),
    Setting(
        "patching_ask_contact",
        "apprise URL or list of them",
        (),
        "who is told that a probe of type person waits for an answer, and that somebody says no; never shown",
        types.secrets,
        secret=True,
    ),
    Setting("patching_estimate_s", "seconds", 1800, "the time to patch the host, at worst", types.whole(1)),
    Setting("patching_way_back_s", "seconds", 1800, "the time to put the host back, at worst", types.whole(1)),
    Setting("patching_evidence_dir", "path", "./evidence", "where evidence is kept", types.text),
    Setting("patching_evidence_url", "URL", None, "where evidence is also kept; not used by this release", types.text),
    Setting(
        "patching_carried",
        "path",
        None,
        "at a site without a network to the repositories: the folder on the controller that takes their place",
        types.text,
    ),
    Setting("patching_allowed_signers", "path", None, "the approvers of tiers 1 and 2", types.text),
    Setting(
        "patching_break_glass_signers",
        "path",
        None,
        "people, engineers or not, of whom one counts as an approver when an emergency breaks the glass for approval",
        types.text,
    ),
    Setting(
        "patching_awx_url",
        "URL",
        None,
        "the AWX in which plans are approved too: its address, or that of its API; see docs/approvals.md",
        awx_site.read_url,
        is_place=True,
    ),
    Setting(
        "patching_awx_workflow",
        "number",
        None,
        "the workflow template of that AWX whose approvals count, by its id",
        awx_site.read_workflow,
    ),
    Setting(
        "patching_awx_approvers",
        "{USER: NAME}",
        None,
        "who may approve there: user names of AWX, and whose each is, as patching_allowed_signers names him",
        awx_site.read_approvers,
    ),
    Setting(
        "patching_restart_order",
        "list of units",
        (),
        "units that are restarted first, in this order; the others as systemd would start them",
        types.ordered_names,
    ),
    Setting(
        "patching_boots_unattended",
        "boolean",
        False,
        "it starts without a person although /etc/crypttab asks for a passphrase; else such a host is never rebooted",
        types.boolean,
    ),
    Setting("patching_restart_by_reload", "list of units", (), "units that are reloaded, not restarted", types.names),
    Setting(
        "patching_competing_updaters",
        " | ".join(competing_updaters.POLICIES),
        "suspend",
        "what is done about programs that update the host by themselves: stopped while a run holds it, a reason to"
        " refuse it, or only told",
        types.choice(*competing_updaters.POLICIES),
    ),
    Setting("patching_drain_wait_s", "seconds", 120, "how long sessions may take to end", types.whole(1)),
    Setting("patching_lock_timeout_s", "seconds", 600, "how long the package database may be locked", types.whole(0)),
    Setting("patching_settle_s", "seconds", 60, "how long health may take to come back", types.whole(0)),
    Setting(
        "patching_health_soak_s",
        "seconds",
        0,
        "for how long probes are repeated once health is back; one that fails meanwhile is flapping",
        types.whole(0, 3600),
    ),
    Setting("patching_reboot_timeout_s", "seconds", 900, "how long a reboot may take", types.whole(1)),
    Setting(
        "patching_boot_time_command",
        "command",
        "cat /proc/sys/kernel/random/boot_id",
        "prints something else after a reboot",
        types.text,
    ),
    Setting(
        "patching_clock_limit_s",
        "seconds",
        300,
        "by how much the controller's clock may differ from the host's",
        types.whole(1),
    ),
    Setting("patching_snapshot_retention_s", "seconds", 259200, "how long a restore point is kept", types.whole(1)),
    Setting(
        "patching_snapshot_verified_keep_s",
        "seconds",
        None,
        "how long the restore point of a host that was proven patched is kept, where that is shorter",
        types.whole(0),
    ),
    Setting(
        "patching_snapshot_room_low_percent",
        "per cent",
        20,
        "with less free room where restore points lie, housekeeping warns",
        types.whole(0, 100),
    ),
    Setting(
        "patching_snapshot_room_critical_percent",
        "per cent",
        10,
        "with less free room there, housekeeping fails",
        types.whole(0, 100),
    ),
    Setting(
        "patching_preserved_keep_days",
        "days",
        62,
        "how long a host keeps the packages and archives of /etc that older transactions replaced; see docs/blocks.md",
        types.whole(1),
    ),
)

#: Settings that bound the steps on the host; a plan carries them as ``limits``.
LIMITS = (
    "drain_wait_s",
    "lock_timeout_s",
    "settle_s",
    "reboot_timeout_s",
    "boot_time_command",
    "snapshot_retention_s",
    "clock_limit_s",
)

_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True)
class Settings:
    """The effective values of one host, by the table's names without the prefix."""

    device_segments: tuple[str, ...] | None
    policy: str
    service: str | None
    owner: str | None
    contact: str | None
    kind: str
    tier: int
    min_healthy: int | None
    downtime_s: int | None
    never_with: tuple[str, ...]
    depends_on: tuple[str, ...]
    exposed: bool
    after: tuple[str, ...]
    role: str | None
    ring: str | None
    soak_s: int
    promotion: dict[str, int] | None
    window: str | None
    freezes: tuple[str, ...]
    cut_off_s: int
    probe_url: tuple[str, ...]
    probes: tuple[dict[str, Any], ...]
    broken_before: tuple[str, ...]
    thresholds: dict[str, dict[str, dict[str, int | None]]] | None
    drain: dict[str, Any] | None
    silence: dict[str, Any] | None
    silence_login: dict[str, str] | None
    snapshot: dict[str, Any]
    disk_revert: bool
    failure_budget: dict[str, dict[str, int]]
    freeze_file: str | None
    inhibits: tuple[dict[str, Any], ...]
    third_party: tuple[dict[str, Any], ...]
    third_party_logins: dict[str, str] | None
    hooks: tuple[dict[str, Any], ...]
    host_hooks: tuple[dict[str, Any], ...]
    security_only: bool
    package_manager: str
    update_classes: tuple[str, ...]
    update_include: tuple[str, ...]
    update_exclude: tuple[str, ...]
    update_allow: tuple[str, ...]
    update_deny: tuple[dict[str, Any], ...]
    blocks_file: str | None
    data_owners: tuple[str, ...]
    downgrade_safe: tuple[dict[str, Any], ...]
    stateful: bool | None
    irreversible: tuple[dict[str, Any], ...]
    min_age_days: int
    debian_tracker: str | None
    scan_jars: bool
    scan_images: bool
    applications: tuple[dict[str, Any], ...]
    vulnerable_libraries: tuple[dict[str, Any], ...]
    segment: tuple[str, ...] | None
    unseen_days: int
    eol_feed: str | None
    eol_near_days: int
    extended_support: tuple[str, ...]
    security_contact: tuple[str, ...]
    ask_contact: tuple[str, ...]
    estimate_s: int
    way_back_s: int
    evidence_dir: str
    evidence_url: str | None
    carried: str | None
    allowed_signers: str | None
    break_glass_signers: str | None
    awx_url: str | None
    awx_workflow: int | None
    awx_approvers: dict[str, str] | None
    restart_order: tuple[str, ...]
    boots_unattended: bool
    restart_by_reload: tuple[str, ...]
    competing_updaters: str
    drain_wait_s: int
    lock_timeout_s: int
    settle_s: int
    health_soak_s: int
    reboot_timeout_s: int
    boot_time_command: str
    clock_limit_s: int
    snapshot_retention_s: int
    snapshot_verified_keep_s: int | None
    snapshot_room_low_percent: int
    snapshot_room_critical_percent: int
    preserved_keep_days: int

    @property
    def managed(self) -> bool:
        """Whether the host may be changed at all."""
        return self.policy in ("managed", "vendor_validated")


def effective(host: str, variables: Mapping[str, object], also_known: Collection[str] = ()) -> Settings:
    """Return the effective settings of ``host``; variables without the prefix are ignored.

    Args:
        also_known: names with the prefix that are no settings (which run is meant, facts).

    Raises:
        PatchingError: an unknown name with the prefix, or a value that is not understood.
    """
    unreadable = catalogue_problem(variables)
    if unreadable:
        raise PatchingError(f"host {host}", unreadable, "a catalogue without mistakes", "correct it")
    for name in variables:
        if name.startswith(PREFIX) and name not in {*_BY_NAME, *CATALOGUE, *also_known}:
            raise _unknown(host, name)
    values = {setting.field: _value(host, setting, variables) for setting in SETTINGS}
    if variables.get(CATALOGUE_LOCKED):
        values["policy"] = "vendor_locked"
    if values["policy"] is None:
        values["policy"] = "managed" if values["service"] else "observed"
    return Settings(**values)


def catalogue_problem(variables: Mapping[str, object]) -> str:
    """Return why nothing may be known of a host for want of the site's service catalogue, or empty text."""
    if variables.get(CATALOGUE_ERROR):
        return f"the service catalogue cannot be read ({variables[CATALOGUE_ERROR]})"
    if variables.get(CATALOGUE_REQUIRED) and not variables.get(CATALOGUE_READ):
        return f"{CATALOGUE_REQUIRED} is set, and no service catalogue was read; Ansible's warnings say why"
    return ""


def _value(host: str, setting: Setting, variables: Mapping[str, object]) -> Any:
    given = variables.get(setting.name)
    if given is None:
        return setting.default
    try:
        return setting.read(given)
    except PatchingError as error:
        seen = f"{_shown(given)}, and {error.seen}"
        raise PatchingError(f"{setting.name} of {host}", seen, error.expected, error.next_step) from error
    except ValueError as error:
        raise PatchingError(
            f"{setting.name} of {host}",
            HIDDEN if setting.secret or setting.is_place else _shown(given),
            str(error),
            "correct it where the inventory sets it",
        ) from error


def _shown(given: object) -> str:
    """Return a value as a message may show it: of mappings and lists only the keys, for a probe may hold a password."""
    if isinstance(given, Mapping):
        return f"{{{', '.join(str(key) for key in given)}}}"
    if isinstance(given, list | tuple) and not all(isinstance(one, str) for one in given):
        return f"[{', '.join(_shown(one) for one in given)}]"
    return without_logins(repr(given))


def _unknown(host: str, name: str) -> PatchingError:
    near = difflib.get_close_matches(name, _BY_NAME, n=1)
    return PatchingError(
        f"{name} of {host}",
        "no setting has this name",
        f"perhaps {near[0]}" if near else "a setting of docs/settings.md",
        "rename or remove the variable in the inventory",
    )


@dataclass(frozen=True)
class Explained:
    """One effective value and where it comes from: ``set``, ``default`` or ``derived``."""

    name: str
    value: Any
    origin: str
    meaning: str


def explain(host: str, variables: Mapping[str, object], also_known: Collection[str] = ()) -> list[Explained]:
    """Return every effective value of ``host`` in the table's order; raises as :func:`effective`."""
    settings = effective(host, variables, also_known)
    explained = []
    for setting in SETTINGS:
        is_set = variables.get(setting.name) is not None
        origin = "set" if is_set else "derived" if setting.derived else "default"
        meaning = setting.meaning if is_set or not setting.derived else f"{setting.meaning} ({setting.derived})"
        value = HIDDEN if setting.secret and is_set else getattr(settings, setting.field)
        if setting.is_place and value is not None:
            value = without_credentials(value)
        explained.append(Explained(setting.name, value, origin, meaning))
    return explained
