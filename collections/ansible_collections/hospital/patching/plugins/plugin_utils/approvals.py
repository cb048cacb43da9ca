# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals: SSH signatures of listed people over a plan's digest, and approvals in AWX (see awx_approvals).

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
from itertools import product
from pathlib import Path
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner
from ansible_collections.hospital.patching.plugins.plugin_utils import awx_approvals, break_glass, plan_drops
from ansible_collections.hospital.patching.plugins.plugin_utils.allowed_signers import People
from ansible_collections.hospital.patching.plugins.plugin_utils.awx_api import AwxApi
from ansible_collections.hospital.patching.plugins.plugin_utils.awx_site import AwxSite
from ansible_collections.hospital.patching.plugins.plugin_utils.evidence import Evidence, Loaded, write_json, write_text

NAMESPACE = "hospital.patching.plan"
#: Of an answer to a question (see answering): a signature over one is none over the other.
ANSWER_NAMESPACE = "hospital.patching.answer"
#: No signature is larger.
LARGEST = 65536
TIMEOUT_S = 30
#: Of how many approved plans before a plan the approvals are looked at.
RECENT = 50
_ARMOR = re.compile(r"-----BEGIN SSH SIGNATURE-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END SSH SIGNATURE-----")


@dataclass(frozen=True)
class Signature:
    """A good signature: whose it is, under the first of the names of its key, and over which plan.

    Or a good approval in AWX, whose ``text`` is its record and whose ``source`` is where it was read back.
    """

    name: str
    person: str
    plan_id: str = ""
    plan_digest: str = ""
    text: str = ""
    source: str = "ssh"
    #: By somebody who stands only in the list for broken glass.
    second: bool = False

    @property
    def digest(self) -> str:
        return digest_of(self.text)


@dataclass(frozen=True)
class Approvals:
    """Who has approved: one name a person. ``rejected`` says of each other signature why it does not count."""

    approvers: tuple[str, ...]
    rejected: tuple[str, ...]
    signatures: tuple[Signature, ...] = ()
    #: Of the list of who may sign, as it was when it was asked; and of the one for broken glass, if that counts.
    list_digest: str = ""
    second_list_digest: str = ""


def digest_of(signature: str) -> str:
    """Return the digest by which the ledger names a signature."""
    return f"sha256:{hashlib.sha256(signature.encode()).hexdigest()}"


def file_of(directory: Path, digest: str, kind: str = "sig") -> Path:
    """Return where the signature of this digest lies beside a plan or run; a run's record of AWX is of kind json."""
    return folder(directory) / f"{digest.removeprefix('sha256:')[:32]}.{kind}"


def folder(plan_dir: Path) -> Path:
    """Return where the signatures of a plan lie."""
    return plan_dir / "approvals"


def approved_plans(store: Evidence) -> list[str]:
    """Return the ids of the plans that anybody has approved, oldest first."""
    return [plan_id for plan_id in store.plans() if folder(store.plan_dir(plan_id)).is_dir()]


def of_plan(
    store: Evidence,
    current: Loaded,
    allowed_signers: Path | None,
    runner: Runner | None = None,
    awx: AwxSite | None = None,
    seconds: Path | None = None,
) -> Approvals:
    """Verify every approval of a plan, and of the :data:`RECENT` plans from which it only drops something.

    Args:
        allowed_signers: None allows nobody to sign. With a file that is missing or unreadable nobody has approved,
            in AWX neither: who is one person stands in it.
        seconds: the list for broken glass; it counts only if the plan breaks the glass for approval, and then
            one person of it, so that tier 1 still needs one of the first list. One that is unreadable allows nobody.
    """
    own = str(current.plan["plan_id"])
    if seconds == allowed_signers or not break_glass.shortens(current.plan, "approval"):
        seconds = None
    try:
        lists, unreadable = _readable(allowed_signers, seconds)
    except PatchingError as error:
        return Approvals((), (str(error),))
    site = awx or AwxSite(problem="AWX is not set")
    look = _Look(lists, People(*lists), runner or Runner(), AwxApi(site), seconds)
    look.rejected += unreadable
    look.at(store, current)
    differs = ""
    for plan_id in reversed(approved_plans(store)[-RECENT:]):
        if plan_id == own:
            continue
        try:
            approved = store.load_plan(plan_id)
        except PatchingError as error:
            look.rejected.append(f"those of plan {plan_id}: {error.seen}")
            continue
        more = plan_drops.difference(approved, current)
        if not more:
            look.at(store, approved)
        elif not differs:
            # Of the newest one only: others are of other nights.
            differs = f"those of plan {plan_id}, from which this one does more than drop something: {more}"
    look.rejected += [differs] if differs and not look.good else []
    return look.answer()


class _Look:
    """Verifies the approvals of several plans against the same lists."""

    def __init__(
        self, lists: Sequence[Path], people: People, runner: Runner, awx: AwxApi, seconds: Path | None
    ) -> None:
        self.lists, self.people, self.runner, self.awx, self.seconds = lists, people, runner, awx, seconds
        self.good: list[Signature] = []
        self.rejected: list[str] = []

    def at(self, store: Evidence, loaded: Loaded) -> None:
        plan_id, digest = str(loaded.plan["plan_id"]), str(loaded.plan["digest"])
        for path in sorted(folder(store.plan_dir(plan_id)).glob("*.sig")):
            try:
                text = path.read_text(encoding="ascii")[:LARGEST]
                found, by = _verify(text, digest, self.lists, self.people, self.runner)
                self.good.append(replace(found, plan_id=plan_id, plan_digest=digest, second=by == self.seconds))
            except (PatchingError, OSError, ValueError) as error:
                self.rejected.append(f"{path.name}: {error.seen if isinstance(error, PatchingError) else error}")
        for path in awx_approvals.records(folder(store.plan_dir(plan_id))):
            try:
                given = awx_approvals.again(path, digest, self.awx)
            except PatchingError as error:
                self.rejected.append(f"{path.name}: {error.seen}")
                continue
            name = self.awx.site.approvers[given.user]
            person = self.people.person_named(name)
            self.good.append(Signature(name, person, plan_id, digest, given.text, given.source))

    def answer(self) -> Approvals:
        by_person: dict[str, Signature] = {}
        # Of the first list first: who stands in both counts as one of those.
        for one in sorted(self.good, key=lambda one: (one.second, one.name, one.digest)):
            if one.person in by_person:
                self.rejected.append(f"{one.name}: the same person has approved already")
            elif one.second and any(other.second for other in by_person.values()):
                self.rejected.append(f"{one.name}: of patching_break_glass_signers one person counts")
            else:
                by_person[one.person] = one
        names = tuple(sorted(one.name for one in by_person.values()))
        first = [path for path in self.lists if path != self.seconds]
        second = [path for path in self.lists if path == self.seconds]
        return Approvals(
            names, tuple(self.rejected), tuple(by_person.values()), _digest(first), _digest(second) if second else ""
        )


def _digest(lists: Sequence[Path]) -> str:
    content = b"".join(path.read_bytes() for path in lists)
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _readable(allowed_signers: Path | None, seconds: Path | None) -> tuple[list[Path], list[str]]:
    """Return the lists that can be read, and why the second one cannot.

    Raises:
        PatchingError: the first one cannot be, and nobody knows who is one person.
    """
    lists, unreadable = [], []
    for path in (allowed_signers, seconds):
        try:
            lists += [path] if path is not None and People(path) else []
        except PatchingError as error:
            if path == allowed_signers:
                raise
            unreadable.append(str(error))
    return lists, unreadable


def verify(
    signature: str,
    digest: str,
    allowed_signers: Path | None,
    seconds: Path | None = None,
    runner: Runner | None = None,
    namespace: str = NAMESPACE,
) -> Signature:
    """Return whose signature over ``digest`` this is.

    Args:
        seconds: a list of people who may sign besides; one that cannot be read allows nobody.
        namespace: what is signed, so that a signature over one thing is none over another.

    Raises:
        PatchingError: it is nobody's who may sign, or is over something else.
    """
    lists, _unreadable = _readable(allowed_signers, seconds)
    return _verify(signature, digest, lists, People(*lists), runner or Runner(), namespace)[0]


def _verify(
    signature: str, digest: str, lists: Sequence[Path], people: People, runner: Runner, namespace: str = NAMESPACE
) -> tuple[Signature, Path]:
    """Return the signature and the first list by which it is good."""
    if not lists:
        raise _rejected("patching_allowed_signers is not set, or names no file")
    key = _key_of(signature)
    names = people.names(key)
    if not names:
        raise _rejected(f"its key is nobody's in {' or '.join(str(path) for path in lists)}")
    with tempfile.NamedTemporaryFile("w", encoding="ascii", prefix="approval-", suffix=".sig") as handle:
        handle.write(signature)
        handle.flush()
        for path, name in product(lists, names):
            words = ["ssh-keygen", "-Y", "verify", "-f", str(path), "-I", name, "-n", namespace]
            words += ["-s", handle.name]
            if runner.run(words, timeout_s=TIMEOUT_S, text_in=f"{digest}\n", check=False).rc == 0:
                return Signature(name, people.person(key), text=signature), path
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


def sign(digest: str, key: Path, runner: Runner | None = None, namespace: str = NAMESPACE) -> str:
    """Return a signature over ``digest`` by a private key, or by the agent's key whose public file ``key`` names.

    Raises:
        PatchingError: the key cannot be used without asking somebody.
    """
    # No terminal and no window: a passphrase is not asked for in the middle of a playbook.
    silent = {"SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force"}
    words = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", namespace]
    made = (runner or Runner()).run(words, timeout_s=TIMEOUT_S, text_in=f"{digest}\n", env=silent, check=False)
    if made.rc != 0 or "BEGIN SSH SIGNATURE" not in made.stdout:
        raise PatchingError(
            f"key {key}",
            _said(made.stderr),
            "a private key without passphrase, or the public file of a key that ssh-agent holds",
            f"load it with ssh-add and name its .pub, or sign elsewhere: {command(digest, namespace)}",
        )
    return made.stdout


def command(digest: str, namespace: str = NAMESPACE, file: str = "approval.sig") -> str:
    """Return the command that signs ``digest`` on any machine."""
    return f"echo {digest} | ssh-keygen -Y sign -n {namespace} -f KEY > {file}"


def keep(plan_dir: Path, signature: str) -> Path:
    """Put a verified signature beside its plan; the same again changes nothing."""
    path = file_of(plan_dir, digest_of(signature))
    if not path.exists():
        write_text(path, signature)
    return path


def copy(found: Approvals, store: Evidence, run_id: str) -> dict[str, Any]:
    """Keep what counted with a run, for who audits its folder alone, and return what the ledger has of it.

    That is each signature or record of AWX, and the plan that it is over where it is an earlier one.
    """
    kept = folder(store.run_dir(run_id))
    for one in found.signatures:
        path = file_of(store.run_dir(run_id), one.digest, "sig" if one.source == "ssh" else "json")
        if not path.exists():
            write_text(path, one.text)
        if one.plan_id != run_id and not (kept / f"{one.plan_id}.plan.json").exists():
            write_json(kept / f"{one.plan_id}.plan.json", store.load_plan(one.plan_id).plan)
    signed = [
        {
            "by": one.name,
            "plan": one.plan_digest,
            "signature" if one.source == "ssh" else "record": one.digest,
            "source": one.source,
            **({"second": True} if one.second else {}),
        }
        for one in found.signatures
    ]
    second = {"second_list_digest": found.second_list_digest} if found.second_list_digest else {}
    return {"signed": signed, "list_digest": found.list_digest, **second}


def _said(text: str) -> str:
    return " ".join(text.split())[:300] or "ssh-keygen does not say why"


def _rejected(seen: str) -> PatchingError:
    return PatchingError(
        "an approval",
        seen,
        "a signature over the plan's digest by somebody who may sign",
        "sign the digest that plan.yml printed, with a key that patching_allowed_signers lists",
    )
