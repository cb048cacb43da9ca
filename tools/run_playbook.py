# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a playbook so that Ctrl-C stops the night in good order, instead of cutting it off.

Usage: run_playbook.py PLAYBOOK [OPTION...]    the options are those of ansible-playbook

Ansible works in a session of its own, which no key of this terminal reaches and which outlives it. The first Ctrl-C, or
SIGTERM, writes the stop file of the run in progress; the second explains what a third would do; the third ends Ansible
at once. The exit code is the playbook's, or 254 when it was ended.
"""

import argparse
import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import ansible_runner

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError  # noqa: E402
from ansible_collections.hospital.patching.plugins.plugin_utils import opening, stopping  # noqa: E402
from ansible_collections.hospital.patching.plugins.plugin_utils.runs import Run  # noqa: E402

#: Whoever hits the keys in fright has pressed once.
ONE_PRESS_S = 1.0
#: So many presses end Ansible.
LAST_PRESS = 3


class Night:
    """The runs that the playbook has opened, and what a person at the terminal wants of them."""

    def __init__(self, check: bool = False) -> None:
        self.check = check
        self.runs: dict[str, str] = {}
        self.stopped: set[str] = set()
        self.presses = 0
        self._answered = 0
        self._pressed_at = float("-inf")

    def press(self, _number: int, _frame: FrameType | None) -> None:
        """Count one more wish to stop; only counts, because it interrupts whatever runs."""
        now = time.monotonic()
        if now - self._pressed_at >= ONE_PRESS_S:
            self.presses += 1
            self._pressed_at = now

    def see(self, event: dict[str, Any]) -> bool:
        """Show an event of Ansible and learn which run it opens; no file is kept of it."""
        if event.get("stdout"):
            say(event["stdout"])
        result = event.get("event_data", {}).get("res")
        facts = result.get("ansible_facts") if isinstance(result, dict) else None
        run = facts.get("patching_run") if isinstance(facts, dict) else None
        if isinstance(run, dict) and isinstance(run.get("run_id"), str):
            self.runs[run["run_id"]] = str(run["evidence_dir"])
        return False

    def ended(self) -> bool:
        """Say whether Ansible is to be ended now."""
        return self.presses >= LAST_PRESS

    def heed(self) -> None:
        """Do what was asked for since the last time, and say so."""
        if self.presses and not self.check:
            for run_id in sorted(set(self.runs) - self.stopped):
                self._stop(run_id)
        if self._answered == min(self.presses, LAST_PRESS):
            return
        self._answered = min(self.presses, LAST_PRESS)
        if self._answered == LAST_PRESS:
            say(f"Ansible is ended now; what it was doing on hosts goes on there. {self._recover()}")
        elif self._answered > 1:
            say(
                "The hosts in flight are still being finished, which takes as long as it takes; pressing once more "
                f"ends Ansible at once and may leave them out of service. {self._recover()}"
            )
        elif self.check or not self.runs:
            then = "" if self.check else " If this playbook opens one, it is asked to stop at once."
            say(f"No run is open, so there is nothing to stop in good order.{then} The third time ends Ansible.")

    def _stop(self, run_id: str) -> None:
        self.stopped.add(run_id)
        try:
            run = Run(self.runs[run_id], run_id)
            asked = stopping.request(run, opening.asker(), "stopped at the terminal", datetime.now(UTC))
            say(f"Stopping in good order: {stopping.explain(run, 'requested', asked)}.")
        except PatchingError as error:
            say(f"The run could not be asked to stop. {error}")

    def _recover(self) -> str:
        if self.check or not self.runs:
            return "No run was opened, so nothing is left behind."
        commands = [f"playbooks/recover.yml -e patching_run_id={run_id}" for run_id in sorted(self.runs)]
        return f"After that: ansible-playbook -i INVENTORY {' and '.join(commands)}"


def say(text: str) -> None:
    """Print a text; a terminal that is gone must not end the run."""
    try:
        print(text, flush=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())


def parse(arguments: Sequence[str]) -> tuple[str, list[str], bool]:
    """Return the playbook, the options for Ansible, and whether they ask for check mode."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], usage="%(prog)s PLAYBOOK [OPTION...]", allow_abbrev=False
    )
    parser.add_argument("playbook", help="as for ansible-playbook, whose options follow it")
    playbook = parser.parse_args(arguments[:1]).playbook
    options = argparse.ArgumentParser(prog=parser.prog, usage=parser.usage, allow_abbrev=False, add_help=False)
    options.add_argument("-C", "--check", action="store_true")
    options.add_argument("-k", "--ask-pass", dest="asks", action="store_true")
    options.add_argument("-K", "--ask-become-pass", dest="asks", action="store_true")
    options.add_argument("-J", "--ask-vault-pass", "--ask-vault-password", dest="asks", action="store_true")
    for flag in "bDv":  # so that -CD is understood
        options.add_argument(f"-{flag}", action="count")
    known, _others = options.parse_known_args(arguments[1:])
    if known.asks:
        parser.error(
            "Ansible cannot ask for a password here, because no key reaches it. "
            "Next: give a file (--vault-password-file, --become-password-file, --connection-password-file)."
        )
    if not Path(playbook).is_file():
        parser.error(f"{playbook}: no such playbook; expected a path seen from {Path.cwd()}. Next: correct it.")
    return playbook, list(arguments[1:]), known.check


def main(arguments: Sequence[str]) -> int:
    """Run the playbook and return its exit code."""
    playbook, options, check = parse(arguments)
    night = Night(check)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, night.press)
    for number in (signal.SIGHUP, signal.SIGTSTP):
        # The run goes on without its terminal; and Ctrl-Z would leave hosts drained for as long as it lasts.
        signal.signal(number, lambda _number, _frame: None)
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_CONFIG": os.environ.get("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg")),
    }
    if not sys.stdout.isatty():
        environment["ANSIBLE_NOCOLOR"] = "1"
    with tempfile.TemporaryDirectory(prefix="hospital-patching-", ignore_cleanup_errors=True) as private:
        thread, runner = ansible_runner.run_async(
            private_data_dir=private,
            project_dir=str(Path.cwd()),
            playbook=str(Path(playbook).resolve()),
            cmdline=shlex.join(options) or None,
            envvars=environment,
            settings={"pexpect_timeout": 1, "suppress_output_file": True},
            event_handler=night.see,
            cancel_callback=night.ended,
            quiet=True,
        )
        while thread.is_alive():
            thread.join(0.2)
            night.heed()
    return 254 if runner.rc is None else int(runner.rc)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
