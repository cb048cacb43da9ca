# SPDX-License-Identifier: GPL-3.0-or-later
"""A site's AWX: where it answers, which of its workflows approves plans, and which of its users are whom."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain

URL, WORKFLOW, APPROVERS = "patching_awx_url", "patching_awx_workflow", "patching_awx_approvers"
SIGNERS = "patching_allowed_signers"
SETTINGS = (URL, WORKFLOW, APPROVERS)
#: Where the token stands, as for the modules of awx.awx; the first that is set counts.
TOKENS = ("CONTROLLER_OAUTH_TOKEN", "TOWER_OAUTH_TOKEN")
#: What a token may be (RFC 6750, b64token). Another text would be repeated by the library that refuses to send it.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_EXPECTED_URL = (
    "https://HOST[:PORT], or with the path of the API such as https://HOST/api/controller/v2,"
    " without login and query; http only on loopback"
)


def read_url(value: object) -> str:
    """Return the address of the API without a slash at its end; ``/api/v2`` is AWX's own.

    Raises:
        ValueError: saying what was expected.
    """
    try:
        parts = urlsplit(str(value))
        known = isinstance(value, str) and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(_EXPECTED_URL) from None
    secure = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts))
    path = parts.path.rstrip("/") or "/api/v2"
    plain_path = re.fullmatch(r"(/[A-Za-z0-9_-]+)*/v2", path)
    if not known or not secure or "@" in parts.netloc or not plain_path or re.search(r"[?#\s\x00-\x1f]", str(value)):
        raise ValueError(_EXPECTED_URL)
    return f"{parts.scheme}://{parts.netloc}{path}"


def _is_loopback(parts: SplitResult) -> bool:
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"


def read_approvers(value: object) -> dict[str, str]:
    """Return for each user name of AWX whose it is; raises as :func:`read_url`."""
    given: Any = plain(value)
    texts = [*given, *given.values()] if isinstance(value, Mapping) else []
    if not texts or not all(isinstance(one, str) and one == one.strip() != "" and "," not in one for one in texts):
        raise ValueError(
            "{USER: NAME}: user names of AWX, and for each the person's name as in patching_allowed_signers"
        )
    return dict(given)


def read_workflow(value: object) -> int:
    """Return the id of a workflow job template; raises as :func:`read_url`."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("the number of a workflow template, as its address in AWX has it")
    return int(value)


@dataclass(frozen=True)
class AwxSite:
    """What is set of it. With a ``problem``, no approval of it counts."""

    url: str = ""
    workflow: int = 0
    approvers: Mapping[str, str] = field(default_factory=dict)
    segments: tuple[str, ...] | None = None
    token: str = field(default="", repr=False)
    problem: str = ""


def of(
    variable: Callable[[str], tuple[Any, str]],
    segments: Sequence[str] | None,
    signers: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> AwxSite:
    """Return what a host's variables say, and the token that the controller's environment has.

    Args:
        variable: returns a variable's value, or why it cannot be read.
        segments: those of medical devices, into which nothing is sent.
        signers: the list of who may sign. Where one is set and not found, nobody knows who is one person.
    """
    found: dict[str, Any] = {}
    listed, problem = variable(SIGNERS)
    if problem or (listed is not None and signers is None):
        return AwxSite(problem=problem or f"{SIGNERS} names no file")
    for name, read in ((URL, read_url), (WORKFLOW, read_workflow), (APPROVERS, read_approvers)):
        value, problem = variable(name)
        if problem or value is None:
            return AwxSite(problem=problem or f"{name} is not set")
        try:
            found[name] = read(value)
        except ValueError as error:
            return AwxSite(problem=f"{name} is not {error}")
    given = os.environ if environment is None else environment
    token = next((given[name].strip() for name in TOKENS if given.get(name, "").strip()), "")
    if not _TOKEN.fullmatch(token):
        seen = "holds no token" if token else "is not set"
        return AwxSite(problem=f"{' or '.join(TOKENS)} {seen} in the controller's environment")
    known = None if segments is None else tuple(segments)
    return AwxSite(found[URL], found[WORKFLOW], found[APPROVERS], known, token)
