# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the journey by themselves, case by case, without a night around them: seconds a case.

All cases of a call are walked through in one play, those of one host one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.support.playbook import play

#: Everything that a way back must leave as it was, and nothing that it may change.
LOOK = (
    "dpkg-query -W -f '${Package}:${Architecture} ${Version} ${db:Status-Abbrev}\\n';"  # holds are in its first letter
    " awk '/^Package/ {name = $2} /^Auto-Installed: 1/ {print name}' /var/lib/apt/extended_states | sort;"
    " update-alternatives --get-selections; dpkg --verify ehr-portal; dpkg --audit;"
    " systemctl --failed --plain --no-legend; cat /etc/ehr-portal/portal.ini; ls -A /usr/sbin/policy-rc.d 2>/dev/null;"
    " find /etc -name '*.dpkg-new' -o -name '*.dpkg-tmp'; true"
)
#: What a page of the portal answers; nothing where it does not.
SERVE = (
    "timeout 10 sh -c 'until python3 -c"
    ' "import urllib.request as r; print(r.urlopen(\\"http://127.0.0.1/\\", timeout=5).read().decode())" 2>/dev/null;'
    " do sleep 0.1; done'"
)
#: Starts the portal from what is on the disk, and complains unless it is well.
PROVE = (
    "systemctl restart ehr-portal; timeout 10 sh -c 'until python3 -c"
    ' "import urllib.request as r; r.urlopen(\\"http://127.0.0.1/health\\", timeout=5)" 2>/dev/null;'
    " do sleep 0.1; done' || echo the portal is ill"
)


@dataclass(frozen=True)
class Case:
    """One walk: what is asked for, and what happens to the host on the way."""

    name: str
    updates: Sequence[Mapping[str, Any]] = ()
    steps: Sequence[str] = ("stage", "install", "rollback")
    manifest: Mapping[str, Any] | None = None
    transaction: Mapping[str, Any] | None = None  # where an earlier case has staged it
    names: Sequence[str] = ()  # what alone goes back
    meanwhile: str = ""  # a shell command between stage and installation
    tidy: str = ""  # one at the end
    timeout_s: int = 120


@dataclass(frozen=True)
class Walked:
    """What became of a case: each step's result, the host before the first case of the call, and after this one."""

    before: str
    after: str
    results: Mapping[str, Mapping[str, Any]] = field(repr=False)

    def did(self, step: str) -> bool:
        """Whether a step did what it was asked for."""
        return "transaction" in self.results[step]

    def said(self, step: str) -> str:
        """The message of a step that refused or failed; empty where it was not taken."""
        return str(self.results[step].get("msg", ""))

    def problems(self, step: str) -> list[str]:
        """What a verification found: of ``to`` after the installation, of ``from`` after the way back."""
        return [f"{one['subject']}: {one['seen']}" for one in self.results[step]["problems"]]


def ask(to: str | None, name: str = "ehr-portal", arch: str = "all") -> dict[str, Any]:
    """One update, as a plan names it."""
    return {"name": name, "arch": arch, "to": to, "kind": "upgrade", "automatic": False, "sha256": None}


def walk(journeys: Mapping[str, Sequence[Case]]) -> dict[str, Walked]:
    """Walk hosts through their cases, side by side; what became of each by its name."""
    fixed = {"look": LOOK, "serve": SERVE, "prove": PROVE}
    given = {host: [{**_plain(case), **fixed} for case in cases] for host, cases in journeys.items()}
    played = play("tests/system/exact/journeys.yml", extra={"journeys": given})
    assert played.rc == 0, played.stdout
    told = [result["msg"] for result in played.results("Say what became of the case")]
    return {one.pop("name"): Walked(one.pop("before"), one.pop("after"), one) for one in told}


def _plain(case: Case) -> dict[str, Any]:
    given = asdict(case)
    if case.transaction is None:
        del given["transaction"]
    return given
