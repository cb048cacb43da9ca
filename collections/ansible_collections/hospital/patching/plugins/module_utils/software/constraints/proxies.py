# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies that package managers go through. Logins are never shown."""

import os
import re
from typing import List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.dnf_excludes import settings_files
from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    INFORMS,
    UNKNOWN,
    Entry,
    Look,
    entry,
)

_VARIABLE = re.compile(r"""^\s*(?:export\s+)?((?:https?|ftp|all|no)_proxy)\s*=\s*["']?([^"'\n]*)""", re.IGNORECASE)
#: Files of ``NAME=value`` lines.
ENVIRONMENTS = ("etc/environment", "etc/sysconfig/proxy", "etc/profile.d/proxy.sh")


def shown(address: str) -> str:
    """Return an address without its login, which is all before the last ``@`` up to the scheme."""
    login, at, host = address.strip().rpartition("@")
    if not at:
        return address.strip()
    scheme, slashes, _rest = login.partition("://")
    return (scheme + slashes if slashes else "") + "***@" + host


def collect(look: Look) -> List[Entry]:
    """Return every proxy with the setting that names it."""
    dnf, wrong = _dnf(look)
    found = _apt(look) + dnf + _environments(look)
    return [entry("proxy", name, shown(value), INFORMS) for name, value in found] + wrong


def _apt(look: Look) -> List[Tuple[str, str]]:
    """``Acquire::http::Proxy``, ``Acquire::http::Proxy::host``, and programs that are asked (apt.conf(5))."""
    found = []
    for key, value in look.apt():
        words = key.lower().split("::")
        if words[0] != "acquire" or not value:
            continue
        if "proxy" in words[2:3]:
            found.append(("apt " + key, value))
        elif words[-1] in ("proxy-auto-detect", "proxyautodetect"):
            found.append(("apt " + key, "as {} answers".format(value)))
    return found


def _dnf(look: Look) -> Tuple[List[Tuple[str, str]], List[Entry]]:
    found, wrong = [], []
    for path in settings_files(look):
        try:
            sections = look.ini(path)
        except (OSError, ValueError) as error:
            wrong.append(entry("proxy", "/" + path, str(error), UNKNOWN))
            continue
        for section, values in sections.items():
            if values.get("proxy", "").strip() not in ("", "_none_"):
                found.append(("dnf [{}] of /{}".format(section, path), values["proxy"]))
    return found, wrong


def _environments(look: Look) -> List[Tuple[str, str]]:
    found = []
    for path in ENVIRONMENTS:
        for line in (look.text(path) or "").splitlines():
            match = _VARIABLE.match(line)
            if match and match.group(2).strip():
                found.append(("{} in /{}".format(match.group(1), path), match.group(2)))
    for name, value in sorted(os.environ.items()):
        if value and name.lower() in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy"):
            found.append(("{} of this session".format(name), value))
    return found
