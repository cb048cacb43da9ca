# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets a source to the host: through the host's proxy, held against SHA-256 and signature, never shown with a secret.

Every download has a limit of time, and one of size where the entry says the size. What is not whole is removed.
"""

import base64
import contextlib
import os
from http.client import HTTPException
from typing import Any, Dict, NamedTuple, Optional
from urllib import error as errors
from urllib import request
from urllib.parse import urlsplit

from ansible_collections.hospital.patching.plugins.module_utils import disk_space
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner, without_logins
from ansible_collections.hospital.patching.plugins.module_utils.third_party.deadline import Late, deadline
from ansible_collections.hospital.patching.plugins.module_utils.third_party.kept_file import sha256_of
from ansible_collections.hospital.patching.plugins.module_utils.third_party.logins import Logins, is_query

#: For how long a server may say nothing.
TIMEOUT_S = 60
#: For how long one download may take, unless the entry's ``download_timeout_s`` says otherwise.
DOWNLOAD_S = 3600
#: No detached signature is longer.
SIGNATURE_BYTES = 1 << 20
#: After so many bytes of a source whose size nobody says, the disk is looked at again.
LOOK_BYTES = 64 << 20
Spec = Dict[str, Any]
#: One thing to get: of which entry, from where, asked with what, within how many seconds and (0: unknown) bytes.
Wanted = NamedTuple(
    "Wanted",
    [("name", str), ("source", str), ("secret", Optional[str]), ("limit_s", float), ("most_bytes", int)],
)


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


def fetch(spec: Spec, path: str, runner: Runner, logins: Optional[Logins] = None, root: str = "/") -> int:
    """Have the source of ``spec`` at ``path``, checked; return how many bytes were got.

    ``logins`` are those of the entry, by default none.

    Raises:
        PatchingError: it cannot be had, or it is not what the entry says. Nothing is left at ``path`` then.
    """
    logins = logins or Logins({}, spec)
    if os.path.exists(path) and sha256_of(path) == spec["sha256"]:
        _check_signature(spec, path, runner, logins, root)
        return 0
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    part = path + ".part"
    try:
        _get(_wanted(spec, spec["source"], logins, spec.get("size_bytes", 0)), part, root)
        found = sha256_of(part)
        if found != spec["sha256"]:
            raise PatchingError(
                "software {} {}".format(spec["name"], spec.get("version")),
                "{} has SHA-256 {}".format(without_logins(spec["source"]), found),
                spec["sha256"],
                "find out who changed the file before anything is installed; nothing was changed",
            )
        _check_signature(spec, part, runner, logins, root)
        os.rename(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
    return os.path.getsize(path)


def _wanted(spec: Spec, source: str, logins: Logins, most_bytes: int) -> Wanted:
    limit_s = spec.get("download_timeout_s", DOWNLOAD_S)
    return Wanted(spec["name"], source, logins.of(source), limit_s, most_bytes)


def _get(wanted: Wanted, path: str, root: str) -> None:
    try:
        with deadline(wanted.limit_s):
            _download(wanted, path, root)
    except Late:
        raise PatchingError(
            "software {}".format(wanted.name),
            "{} was not there after {} s".format(without_logins(wanted.source), wanted.limit_s),
            "a download within that time",
            "find out why the server or the way to it is slow, or raise the entry's download_timeout_s, then stage the"
            " host again; nothing was changed",
        )
    except (OSError, ValueError, HTTPException) as error:  # URLError and HTTPError are OSErrors
        if isinstance(error, errors.HTTPError):
            error.close()
        raise _unreachable(wanted, str(getattr(error, "reason", error)))


def _download(wanted: Wanted, path: str, root: str) -> None:
    with _opened(wanted, root) as answer, open(path, "wb") as handle:
        length = _length(answer)
        _refuse_larger(wanted, length)
        if length or wanted.most_bytes:
            disk_space.check(disk_space.survey({os.path.dirname(path): length or wanted.most_bytes}))
        looked = 0
        for part in iter(lambda: answer.read(1 << 16), b""):
            handle.write(part)
            _refuse_larger(wanted, handle.tell())
            if not length and handle.tell() - looked > LOOK_BYTES:
                looked = handle.tell()
                disk_space.check(disk_space.survey({os.path.dirname(path): LOOK_BYTES}))
        handle.flush()
        os.fsync(handle.fileno())
        got = handle.tell()
    if length and got != length:
        raise _unreachable(wanted, "{} of {} bytes".format(got, length))


def _refuse_larger(wanted: Wanted, found: int) -> None:
    if wanted.most_bytes and found > wanted.most_bytes:
        raise PatchingError(
            "software {}".format(wanted.name),
            "{} has {} bytes or more".format(without_logins(wanted.source), found),
            "at most {}".format(wanted.most_bytes),
            "find out who changed the file, or correct the entry's size_bytes, then stage the host again; nothing was"
            " changed",
        )


def _opened(wanted: Wanted, root: str) -> Any:
    if os.path.isabs(wanted.source):
        return open(wanted.source, "rb")
    known = proxies(root)
    url = wanted.source + str(wanted.secret) if is_query(wanted.secret) else wanted.source
    question = request.Request(url)  # noqa: S310 - entries have http and https only
    if wanted.secret and not is_query(wanted.secret):
        token = base64.b64encode(wanted.secret.encode("utf-8")).decode("ascii")
        # Not repeated where the server redirects to.
        question.add_unredirected_header("Authorization", "Basic " + token)
    if request.proxy_bypass_environment(urlsplit(url).netloc, known):  # type: ignore[attr-defined]
        known = {}
    return request.build_opener(request.ProxyHandler(known)).open(question, timeout=TIMEOUT_S)


def _length(answer: Any) -> int:
    headers = getattr(answer, "headers", None)
    said = headers.get("Content-Length") if headers is not None else None
    return int(said) if said and said.isdigit() else 0


def _unreachable(wanted: Wanted, why: str) -> PatchingError:
    if is_query(wanted.secret):
        why = why.replace(str(wanted.secret), "?***")  # also in a path, which no URL begins
    return PatchingError(
        "software {}".format(wanted.name),
        without_logins("{} could not be had: {}".format(wanted.source, why)),
        "the file",
        "correct the source, its login or the host's proxy, then stage the host again; nothing was changed",
    )


def _check_signature(spec: Spec, path: str, runner: Runner, logins: Logins, root: str) -> None:
    """Hold a file against its detached signature.

    Raises:
        PatchingError: it is missing, or not by the key that the entry names.
    """
    if "signature" not in spec:
        return
    signature, signed = spec["signature"], path + ".signature"
    try:
        _get(_wanted(spec, signature["source"], logins, SIGNATURE_BYTES), signed, root)
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
            "its signature is not good: {}".format(without_logins((said.stderr or said.stdout).strip())[-300:]),
            "a signature by a key of {}".format(signature.get("keyring") or signature["allowed_signers"]),
            "find out who made the file before anything is installed; nothing was changed",
        )
