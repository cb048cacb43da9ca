# SPDX-License-Identifier: GPL-3.0-or-later
"""The login at a monitor, which nothing ever shows: ``{token}``, or ``{user, password}``."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.hospital.patching.plugins.plugin_utils.plain import plain

SETTING = "patching_silence_login"
_EXPECTED = "{token: TOKEN}, or {user: USER, password: PASSWORD}, of visible characters of ASCII"
#: What can stand in a header. Another text would be repeated by the library that refuses to send it.
_TEXT = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Login:
    """A bearer token (RFC 6750), a user with password (RFC 7617), or neither."""

    token: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.token or self.user)

    def header(self) -> str:
        """Return the value of the Authorization header; empty without a login."""
        if self.token:
            return f"Bearer {self.token}"
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}" if self.user else ""

    def masked(self, text: str) -> str:
        """Return ``text`` without what of the login a server has repeated in it."""
        secrets = [self.token, self.password, self.header().partition(" ")[2]]
        for secret in sorted({one for one in secrets if one}, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def read(value: object) -> dict[str, str]:
    """Return the setting's value; the message never repeats it.

    Raises:
        ValueError: saying what was expected.
    """
    given: Any = plain(value)
    if not isinstance(given, Mapping) or set(given) not in ({"token"}, {"user", "password"}):
        raise ValueError(_EXPECTED)
    if not all(isinstance(one, str) and _TEXT.fullmatch(one) for one in given.values()) or ":" in given.get("user", ""):
        raise ValueError(_EXPECTED)
    return dict(given)


def of(value: object) -> Login:
    """Return the login of a host's variables; raises as :func:`read`."""
    return Login() if value is None else Login(**read(value))
