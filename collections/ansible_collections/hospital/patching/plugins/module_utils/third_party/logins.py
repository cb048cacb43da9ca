# SPDX-License-Identifier: GPL-3.0-or-later
"""Which secret goes to which server: only to the one that the setting ``patching_third_party_logins`` gives it for."""

import os
from typing import Any, Dict, Optional, Tuple
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


class Logins:
    """The logins that concern one entry: ``NAME`` is for its source's server, ``NAME@HOST`` for another of its URLs."""

    def __init__(self, given: Dict[str, str], entry: Dict[str, Any]) -> None:
        self.given = given
        self.name = str(entry["name"])
        self.own = _server(str(entry.get("source") or ""))

    def of(self, url: str) -> Optional[str]:
        """Return what ``url`` may be asked with: ``USER:PASSWORD``, ``?QUERY``, or None."""
        server = _server(url)
        if server is None:
            return None
        scheme, host, port = server
        places = ["{}:{}".format(host, port)] + [host] * (port == _PORTS.get(scheme))
        for key, secret in self.given.items():
            name, _at, place = key.partition("@")
            if name == self.name and place.lower() in places:
                return secret
        return self.given.get(self.name) if server == self.own else None


def is_query(secret: Optional[str]) -> bool:
    """Return whether a secret belongs at the end of the URL."""
    return bool(secret) and str(secret).startswith("?")


def _server(url: str) -> Optional[Tuple[str, str, int]]:
    """Return scheme, host and port; None for a file of the host."""
    if os.path.isabs(url) or not url:
        return None
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 0)
