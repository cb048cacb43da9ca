# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals: SSH signatures of listed people over a plan's digest.

::

    <evidence dir>/plans/<plan id>/approvals/<hex>.sig     one signature each, as ssh-keygen -Y sign writes it

What is signed is the digest and a line feed, in the namespace
``hospital.patching.plan``. Who may sign stands in an allowed-signers file
(ssh-keygen(1), ALLOWED SIGNERS). Nobody's signature is remembered as good:
each is verified whenever it counts, so that a line that is taken out of that
file, or has expired, counts no longer. A typed name approves nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.plugin_utils import plan_drops
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence, Loaded, write_text

NAMESPACE = "hospital.patching.plan"
#: No signature is larger.
LARGEST = 65536
TIMEOUT_S = 30
#: Of how many plans before a plan the approvals are looked at.
RECENT = 50
_ARMOR = re.compile(r"-----BEGIN SSH SIGNATURE-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END SSH SIGNATURE-----")
_KEY = re.compile(r"with \S+ key (SHA256:\S+)")
#: What a pattern has and a name has not: a signature has to be somebody's.
_PATTERN = re.compile(r"[*?!]")


@dataclass(frozen=True)
class Signature:
    """A good signature: all names under which its key is listed, and the key's fingerprint."""

    names: tuple[str, ...]
    key: str
    path: Path | None = None


@dataclass(frozen=True)
class Approvals:
    """Who has approved: one name a person. ``rejected`` says of each other signature why it does not count."""

    approvers: tuple[str, ...]
    rejected: tuple[str, ...]
    #: The files of good signatures, also of who has signed twice.
    signatures: tuple[Path, ...] = ()


def folder(plan_dir: Path) -> Path:
    """Return where the signatures of a plan lie."""
    return plan_dir / "approvals"


def of_plan(store: Evidence, current: Loaded, allowed_signers: Path | None, runner: Runner | None = None) -> Approvals:
    """Verify every signature over a plan, and over the :data:`RECENT` plans from which it only drops something.

    Args:
        allowed_signers: None, or a file that is missing or unreadable, allows nobody.
    """
    own = str(current.plan["plan_id"])
    good, rejected = _read(store.plan_dir(own), str(current.plan["digest"]), allowed_signers, runner)
    for plan_id in reversed(store.plans()[-RECENT:]):
        plan_dir = store.plan_dir(plan_id)
        if plan_id == own or not folder(plan_dir).is_dir():
            continue
        try:
            approved = store.load_plan(plan_id)
        except PatchingError as error:
            rejected.append(f"those of plan {plan_id}: {error.seen}")
            continue
        if not plan_drops.difference(approved, current):
            further, wrong = _read(plan_dir, str(approved.plan["digest"]), allowed_signers, runner)
            good, rejected = good + further, rejected + wrong
    approvers, doubled = _people(good)
    return Approvals(approvers, (*rejected, *doubled), tuple(one.path for one in good if one.path))


def _read(
    plan_dir: Path, digest: str, allowed_signers: Path | None, runner: Runner | None
) -> tuple[list[Signature], list[str]]:
    good: list[Signature] = []
    rejected: list[str] = []
    for path in sorted(folder(plan_dir).glob("*.sig")):
        try:
            found = verify(path.read_text(encoding="ascii")[:LARGEST], digest, allowed_signers, runner)
            good.append(replace(found, path=path))
        except (PatchingError, OSError, ValueError) as error:
            rejected.append(f"{path.name}: {error.seen if isinstance(error, PatchingError) else error}")
    return good, rejected


def _people(signatures: Sequence[Signature]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Count each person and each key once: who has two keys, or two names, is one person."""
    people: list[str] = []
    doubled: list[str] = []
    taken: set[str] = set()
    for one in sorted(signatures, key=lambda one: (len(one.names), one.names, one.key)):
        if taken.isdisjoint((*one.names, one.key)):
            people.append(one.names[0])
        else:
            doubled.append(f"{one.names[0]}: the same person or key has approved already")
        taken.update((*one.names, one.key))
    return tuple(people), tuple(doubled)


def verify(signature: str, digest: str, allowed_signers: Path | None, runner: Runner | None = None) -> Signature:
    """Return whose signature over ``digest`` this is.

    Raises:
        PatchingError: it is nobody's who may sign, or is over something else.
    """
    if allowed_signers is None:
        raise _rejected("patching_allowed_signers is not set")
    names = _names(_key_of(signature), allowed_signers)
    if not names:
        raise _rejected(f"its key is nobody's in {allowed_signers}")
    run = runner or Runner()
    with tempfile.NamedTemporaryFile("w", encoding="ascii", prefix="approval-", suffix=".sig") as handle:
        handle.write(signature)
        handle.flush()
        for name in names:
            words = ["ssh-keygen", "-Y", "verify", "-f", str(allowed_signers), "-I", name, "-n", NAMESPACE]
            words += ["-s", handle.name]
            checked = run.run(words, timeout_s=TIMEOUT_S, text_in=f"{digest}\n", check=False)
            key = _KEY.search(checked.stdout)
            if checked.rc == 0 and key is not None:
                return Signature(names, key[1])
    raise _rejected(f"{names[0]} may not sign now, or has signed something else than {digest}, or for something else")


def _key_of(signature: str) -> str:
    """Return the public key of a signature as lists of keys write it (PROTOCOL.sshsig of OpenSSH)."""
    match = _ARMOR.fullmatch(signature.strip())
    try:
        blob = base64.b64decode("".join(match[1].split()), validate=True) if match else b""
    except ValueError:
        blob = b""
    length = int.from_bytes(blob[10:14], "big")
    if not blob.startswith(b"SSHSIG") or not 0 < length <= len(blob) - 14:
        raise _rejected("it is no SSH signature")
    return base64.b64encode(blob[14 : 14 + length]).decode("ascii")


def _names(key: str, allowed_signers: Path) -> tuple[str, ...]:
    """Return all names under which a key is listed, on whichever lines; ssh-keygen tells those of the first alone."""
    try:
        lines = allowed_signers.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise _rejected(f"{allowed_signers} cannot be read: {error}") from error
    listed = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    names = {name for words in listed if key in words[1:] for name in words[0].split(",")}
    return tuple(sorted(name for name in names if name and not _PATTERN.search(name)))


def sign(digest: str, key: Path, runner: Runner | None = None) -> str:
    """Return a signature over ``digest`` by a private key, or by the agent's key whose public file ``key`` names.

    Raises:
        PatchingError: the key cannot be used without asking somebody.
    """
    # No terminal and no window: a passphrase is not asked for in the middle of a playbook.
    silent = {"SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force"}
    words = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", NAMESPACE]
    made = (runner or Runner()).run(words, timeout_s=TIMEOUT_S, text_in=f"{digest}\n", env=silent, check=False)
    if made.rc != 0 or "BEGIN SSH SIGNATURE" not in made.stdout:
        raise PatchingError(
            f"key {key}",
            _said(made.stderr),
            "a private key without passphrase, or the public file of a key that ssh-agent holds",
            f"load it with ssh-add and name its .pub, or sign elsewhere: {command(digest)}",
        )
    return made.stdout


def command(digest: str) -> str:
    """Return the command that signs ``digest`` on any machine."""
    return f"echo {digest} | ssh-keygen -Y sign -n {NAMESPACE} -f KEY > approval.sig"


def keep(plan_dir: Path, signature: str) -> Path:
    """Put a verified signature beside its plan; the same again changes nothing."""
    path = folder(plan_dir) / f"{hashlib.sha256(signature.encode()).hexdigest()[:32]}.sig"
    if not path.exists():
        write_text(path, signature)
    return path


def copy(signatures: Sequence[Path], run_dir: Path) -> None:
    """Keep signatures in a run's folder, for who audits that alone; each is named by its plan."""
    for path in signatures:
        target = folder(run_dir) / f"{path.parent.parent.name}-{path.name}"
        if not target.exists():
            write_text(target, path.read_text(encoding="ascii"))


def list_of(setting: object) -> Path | None:
    """Return the file that ``patching_allowed_signers`` names; a relative path starts where the run is started."""
    return Path(str(setting)).expanduser().absolute() if setting else None


def _said(text: str) -> str:
    return " ".join(text.split())[:300] or "ssh-keygen does not say why"


def _rejected(seen: str) -> PatchingError:
    return PatchingError(
        "an approval",
        seen,
        "a signature over the plan's digest by somebody who may sign",
        "sign the digest that plan.yml printed, with a key that patching_allowed_signers lists",
    )
