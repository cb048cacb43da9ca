# SPDX-License-Identifier: GPL-3.0-or-later
"""The API of Proxmox VE as the provider ``proxmox`` uses it: JSON over HTTPS with an API token, tasks by their UPID.

By the standard library, because the calls are few and this file travels to hosts that have no proxmoxer. The token's
secret comes from a file or the environment where this runs, never from the plan.
"""

import http.client
import json
import os
import re
import socket
import ssl
import urllib.error
import urllib.request
from typing import Any, Dict, NamedTuple, Optional
from urllib.parse import quote, urlencode

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Inconclusive
from ansible_collections.hospital.patching.plugins.module_utils.probes.secret_file import secret
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_revert import GoesOn
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.patience import ApiRefusal, Patient

#: The most bytes of one answer; of what it says, the most that is shown.
LARGEST, SHOWN = 20000000, 400
#: 595 and 596 are pveproxy's own: the node that the call is passed on to does not answer.
BUSY = (429, 502, 503, 504, 595, 596)

Login = NamedTuple("Login", [("server", str), ("port", int), ("token_id", str), ("token_secret", str)])


class ApiError(ApiRefusal):
    """``status`` is HTTP's, or 0 where there was no answer."""

    def __init__(self, server: str, seen: str, expected: str, next_step: str, status: int, busy: bool = False) -> None:
        super().__init__("Proxmox VE {}".format(server), seen, expected, next_step)
        self.status = status
        self.busy = busy


class _Stay(urllib.request.HTTPRedirectHandler):
    """Answers a redirect with its status: the token goes to no other server."""

    def redirect_request(self, *_request: Any) -> None:
        return None


class Proxmox(Patient):
    """A cluster, by one of its nodes. Nothing is followed, and no proxy is used."""

    def __init__(self, login: Login, context: ssl.SSLContext, clock: Clock, options: Dict[str, Any]) -> None:
        super().__init__(clock, options["attempts"], options["poll_s"])
        self.server = login.server
        self.timeout_s = options["timeout_s"]
        self._url = "https://{}:{}/api2/json".format(login.server, login.port)
        self._login = login
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.HTTPSHandler(context=context),
            _Stay(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
        ):
            self._opener.add_handler(handler)

    def ask(self, *path: str, **query: str) -> Any:
        """Return what is said of a path, asked again when the API is busy.

        Raises:
            ApiError: it was refused, or not answered.
        """
        return self.patiently(lambda: self._send("GET", path, query, None))

    def change(self, method: str, *path: str, **form: str) -> Any:
        """As :meth:`ask`, but never repeated: for a call that would do its work twice."""
        return self._send(method, path, {}, form)

    def task(self, subject: str, limit_s: int, method: str, *path: str, **form: str) -> None:
        """Start a task and wait until it has ended well.

        Raises:
            ApiError: it was refused or failed.
            GoesOn: it has not ended within ``limit_s``.
        """
        upid = str(self.change(method, *path, **form))
        parts = upid.split(":")
        if len(parts) < 8 or parts[0] != "UPID":
            raise self._unknown("{} /{}".format(method, "/".join(path)))

        def look() -> Optional[str]:
            state = self.ask("nodes", parts[1], "tasks", upid, "status")
            return str(state.get("exitstatus")) if state.get("status") == "stopped" else None

        ended = self.until(look, limit_s)
        if ended is None:
            raise GoesOn(
                subject,
                "task {} has not ended after {} s, and goes on".format(upid, limit_s),
                "an end within that time",
                "look at the machine's task history in Proxmox VE; run again when it has ended",
            )
        if ended != "OK" and not ended.startswith("WARNINGS"):
            raise ApiError(
                self.server,
                "{} of {}: {}".format(parts[5], subject, ended[:SHOWN]),
                "a task that ends with OK",
                "look at the machine's task history in Proxmox VE, then run again",
                500,
            )

    def _send(self, method: str, path: Any, query: Dict[str, str], form: Optional[Dict[str, str]]) -> Any:
        place = "/" + "/".join(quote(part, safe="") for part in path)
        what = "{} {}".format(method, place)
        url = self._url + place + ("?" + urlencode(query) if query else "")
        content = urlencode(form).encode() if form else None
        request = urllib.request.Request(url, content, {"Accept": "application/json"}, method=method)  # noqa: S310 (https)
        request.add_unredirected_header(
            "Authorization", "PVEAPIToken={}={}".format(self._login.token_id, self._login.token_secret)
        )
        try:
            with self._opener.open(request, timeout=self.timeout_s) as answer:
                text = answer.read(LARGEST + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(what, error.code, "{} {}".format(error.reason, _said(error)))
        except (OSError, http.client.HTTPException) as error:
            raise self._no_answer(what, error)
        try:
            return json.loads(text.decode("utf-8"))["data"]
        except (ValueError, KeyError, TypeError):
            raise self._unknown(what)

    def _refused(self, what: str, status: int, said: str) -> ApiError:
        shown = " ".join(said.replace(self._login.token_secret, "***").split())[:SHOWN]
        seen = "{}: {} {}".format(what, status, shown)
        if status in (401, 403):
            return ApiError(
                self.server,
                seen,
                "a token that may do this",
                "correct token_id and its secret where this runs, or the token's rights in Proxmox VE",
                status,
            )
        if "locked" in shown:
            return ApiError(
                self.server,
                seen,
                "a machine that nobody else is working on",
                "wait until its task has ended (a backup?), then run again",
                status,
            )
        next_step = "look at the machine's task history and the node's log, then run again"
        return ApiError(self.server, seen, "that it is done", next_step, status, busy=status in BUSY)

    def _no_answer(self, what: str, error: Exception) -> ApiError:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(reason):
            return ApiError(
                self.server,
                "{}: its certificate is not trusted ({})".format(what, str(reason)[:SHOWN]),
                "a certificate that this machine trusts",
                "give ca_file, a copy of the cluster's /etc/pve/pve-root-ca.pem",
                0,
            )
        late = isinstance(reason, (socket.timeout, TimeoutError))
        seen = "no answer in time" if late else "no answer: {}".format(str(reason)[:SHOWN] or type(reason).__name__)
        return ApiError(
            self.server,
            "{}: {}".format(what, seen),
            "an answer within the time limits",
            "look at the node's health and the network to it, then run again",
            0,
            busy=True,
        )

    def _unknown(self, what: str) -> ApiError:
        return ApiError(
            self.server,
            "{}: an answer of another form".format(what),
            "that of Proxmox VE 7 to 9",
            "correct server and port in patching_snapshot",
            0,
        )


def _said(error: urllib.error.HTTPError) -> str:
    """Return what the body says; the reason of most errors is in the status line."""
    try:
        found = json.loads(error.read(LARGEST).decode("utf-8"))
        return "{} {}".format(found.get("message") or "", found.get("errors") or "")
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        return ""


def connect(options: Dict[str, Any], clock: Clock) -> Proxmox:
    """Return the cluster that ``options`` name, else the environment; nothing is asked yet.

    Raises:
        PatchingError: something of the login is missing, a secret that others can read, or no file of certificates.
    """
    login = _login(options)
    try:
        context = ssl.create_default_context(cafile=options["ca_file"])
    except (OSError, ssl.SSLError) as error:
        raise _unconfigured(
            "ca_file {} cannot be read ({})".format(options["ca_file"], error), "a file of certificates in PEM"
        )
    if not options["validate_certs"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return Proxmox(login, context, clock, options)


def _login(options: Dict[str, Any]) -> Login:
    environment = os.environ
    try:
        found = secret(options["token_file"]) if options["token_file"] else environment.get("PROXMOX_TOKEN_SECRET", "")
    except Inconclusive as error:
        raise _unconfigured(
            str(error).replace("password_file", "token_file"), "a file with the secret that only its owner may read"
        )
    server = options["server"] or environment.get("PROXMOX_HOST", "")
    token_id = options["token_id"] or environment.get("PROXMOX_TOKEN_ID", "")
    for key, value, variable in (
        ("server", server, "PROXMOX_HOST"),
        ("token_id", token_id, "PROXMOX_TOKEN_ID"),
        ("token_file", found, "PROXMOX_TOKEN_SECRET"),
    ):
        if not value:
            raise _unconfigured(
                "neither {} nor {} in the environment of the machine where it runs".format(key, variable), "one of both"
            )
    if not re.match(r"[^\s@!=]+@[^\s@!=]+![^\s@!=]+\Z", token_id):
        raise _unconfigured("token_id is {!r}".format(token_id), "USER@REALM!NAME of an API token")
    if not re.match(r"[A-Za-z0-9.:_-]+\Z|\[[0-9a-fA-F:]+\]\Z", server):
        raise _unconfigured("server is {!r}".format(server), "the name or address of a node")
    return Login(server, options["port"], token_id, found)


def _unconfigured(seen: str, expected: str) -> PatchingError:
    return PatchingError("snapshot provider proxmox", seen, expected, "correct patching_snapshot, or that machine")
