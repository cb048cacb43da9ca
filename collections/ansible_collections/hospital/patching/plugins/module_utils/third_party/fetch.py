# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets a source to the host: through the host's proxy, held against SHA-256 and signature, never shown with a login."""

import base64
import contextlib
import os
import shutil
from http.client import HTTPException
from typing import Any, Dict, Optional
from urllib import error as errors
from urllib import request
from urllib.parse import urlsplit

from ansible_collections.hospital.patching.plugins.module_utils import disk_space
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner, without_logins
from ansible_collections.hospital.patching.plugins.module_utils.third_party.kept_file import sha256_of

TIMEOUT_S = 60
Spec = Dict[str, Any]


def proxies(root: str = "/") -> Dict[str, str]:
    """Return the host's proxies: of the environment, else of /etc/environment, which a become method may drop."""
    found = request.getproxies_environment()
    try:
        with open(os.path.join(root, "etc/environment"), encoding="utf-8", errors="replace") as handle:
            lines = handle.read().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, equals, value = line.strip().partition("=")
        name = name.replace("export ", "").strip().lower()
        if equals and name.endswith("_proxy"):
            found.setdefault(name[: -len("_proxy")], value.strip("\"'"))
    return found


def fetch(spec: Spec, path: str, runner: Runner, login: Optional[str] = None, root: str = "/") -> int:
    """Have the source of ``spec`` at ``path``, checked; return how many bytes were got.

    Raises:
        PatchingError: it cannot be had, or it is not what the entry says. Nothing is left at ``path`` then.
    """
    if os.path.exists(path) and sha256_of(path) == spec["sha256"]:
        _check_signature(spec, path, runner, login, root)
        return 0
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    part = path + ".part"
    try:
        _get(spec["name"], spec["source"], part, login, root)
        found = sha256_of(part)
        if found != spec["sha256"]:
            raise PatchingError(
                "software {} {}".format(spec["name"], spec.get("version")),
                "{} has SHA-256 {}".format(spec["source"], found),
                spec["sha256"],
                "find out who changed the file before anything is installed; nothing was changed",
            )
        _check_signature(spec, part, runner, login, root)
        os.rename(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
    return os.path.getsize(path)


def _get(name: str, source: str, path: str, login: Optional[str], root: str) -> None:
    try:
        with _opened(source, login, root) as answer, open(path, "wb") as handle:
            length = _length(answer)
            if length:
                disk_space.check(disk_space.survey({os.path.dirname(path): length}))
            shutil.copyfileobj(answer, handle, 1 << 20)
            handle.flush()
            os.fsync(handle.fileno())
            got = handle.tell()
    except (OSError, ValueError, HTTPException) as error:  # URLError and HTTPError are OSErrors
        if isinstance(error, errors.HTTPError):
            error.close()
        raise _unreachable(name, source, str(getattr(error, "reason", error)))
    if length and got != length:
        raise _unreachable(name, source, "{} of {} bytes".format(got, length))


def _opened(source: str, login: Optional[str], root: str) -> Any:
    if os.path.isabs(source):
        return open(source, "rb")
    known = proxies(root)
    wanted = request.Request(source)  # noqa: S310 - entries have http and https only
    if login:
        token = base64.b64encode(login.encode("utf-8")).decode("ascii")
        # Not repeated where the server redirects to.
        wanted.add_unredirected_header("Authorization", "Basic " + token)
    if request.proxy_bypass_environment(urlsplit(source).netloc, known):  # type: ignore[attr-defined]
        known = {}
    return request.build_opener(request.ProxyHandler(known)).open(wanted, timeout=TIMEOUT_S)


def _length(answer: Any) -> int:
    headers = getattr(answer, "headers", None)
    said = headers.get("Content-Length") if headers is not None else None
    return int(said) if said and said.isdigit() else 0


def _unreachable(name: str, source: str, why: str) -> PatchingError:
    return PatchingError(
        "software {}".format(name),
        without_logins("{} could not be had: {}".format(source, why)),
        "the file",
        "correct the source, its login or the host's proxy, then stage the host again; nothing was changed",
    )


def _check_signature(spec: Spec, path: str, runner: Runner, login: Optional[str], root: str) -> None:
    """Hold a file against its detached signature.

    Raises:
        PatchingError: it is missing, or not by the key that the entry names.
    """
    if "signature" not in spec:
        return
    signature, signed = spec["signature"], path + ".signature"
    try:
        _get(spec["name"], signature["source"], signed, login, root)
        if "keyring" in signature:
            words = ["gpgv", "--keyring", signature["keyring"], signed, path]
        else:
            words = ["sh", "-c", 'file=$0; exec ssh-keygen "$@" <"$file"', path, "-Y", "verify"]
            words += ["-f", signature["allowed_signers"], "-I", signature["signer"], "-n", "file", "-s", signed]
        said = runner.run(words, timeout_s=60, check=False)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(signed)
    if said.rc != 0:
        raise PatchingError(
            "software {} {}".format(spec["name"], spec.get("version")),
            "its signature is not good: {}".format((said.stderr or said.stdout).strip()[-300:]),
            "a signature by a key of {}".format(signature.get("keyring") or signature["allowed_signers"]),
            "find out who made the file before anything is installed; nothing was changed",
        )
