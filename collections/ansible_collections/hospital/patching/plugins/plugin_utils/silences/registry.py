# SPDX-License-Identifier: GPL-3.0-or-later
"""Every provider of silences, imported explicitly, and the setting that names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.alertmanager import Alertmanager
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.base import Access, SilenceProvider
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.hook import Hook
from ansible_collections.hospital.patching.plugins.plugin_utils.silences.zabbix import Zabbix

PROVIDERS: dict[str, type[SilenceProvider]] = {one.NAME: one for one in (Alertmanager, Zabbix, Hook)}

#: What is done when the monitor cannot be asked: nothing is disturbed, or the host is patched with a note.
POLICIES = ("refuse", "go_on")
_EXPECTED = "none, {alertmanager: URL}, {zabbix: URL} or {hook: [COMMAND, …], back: [COMMAND, …]}"


def read(value: object) -> dict[str, Any]:
    """Return ``{"provider": NAME, "when_unavailable": POLICY, …}`` of the setting; of ``none`` only the provider.

    Raises:
        ValueError: saying what was expected.
    """
    if value == "none":
        return {"provider": "none"}
    given: Any = plain(value)
    names = [name for name in PROVIDERS if isinstance(given, Mapping) and name in given]
    if len(names) != 1:
        raise ValueError(_EXPECTED)
    policy = given.pop("when_unavailable", "refuse")
    if policy not in POLICIES:
        raise ValueError(f"when_unavailable: {' or '.join(POLICIES)}")
    return {"provider": names[0], "when_unavailable": policy, **PROVIDERS[names[0]].read(given)}


def build(setting: Mapping[str, Any], access: Access) -> SilenceProvider:
    """Return the provider of what :func:`read` has returned."""
    return PROVIDERS[setting["provider"]](setting, access)


def covers(setting: Mapping[str, Any] | None, host: str) -> tuple[str, ...]:
    """Return by which names alerts of a host are silenced; empty where that is not known or nothing is."""
    if setting is None or setting["provider"] not in PROVIDERS:
        return ()
    return PROVIDERS[setting["provider"]].covers(setting, host)


def told(setting: Mapping[str, Any]) -> str:
    """Return how a plan shows it to whoever approves it."""
    where = setting.get("url") or " ".join(setting.get("hook", ()))
    unavailable = "" if setting["when_unavailable"] == "refuse" else "; without it the host is patched all the same"
    return f"{setting['provider']} {where}{unavailable}"
