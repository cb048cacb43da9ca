# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the project's test suites and print the seconds each one took.

Usage: run_suites.py [--full] [SUITE...]    without a name: all of them

Static suites run three at a time, and beside them the lab is started; then molecule and the whole-system tests, in two
labs side by side. Every suite runs, whatever happened before. One suite alone shows its output as it comes.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from second_machine import SecondMachine

ROOT = Path(__file__).resolve().parent.parent
COLLECTION = "collections/ansible_collections/hospital/patching"
LOGS = ROOT / ".cache/suites"
FULL_RUN = ROOT / "docs/test-full.md"
AT_ONCE = 3  # on two cores: some of them wait for servers most of the time
CORES = 2  # what shares are of
PROGRESS_EVERY_S = 60

# "12 passed, 1 skipped in 3.45s": pytest's closing line.
PYTEST_LINE = re.compile(r"^=* ?((?:\d+ [a-z]+(?:, )?)+) in ([\d.]+)s")
# Of a failed suite, what tells a reader of the output's end what failed: pytest's reasons, and tests by name.
TELLING = re.compile(r"^(?:E  |FAILED|ERROR|fatal: )")
TOLD_LINES, TOLD_WIDTH = 12, 300
PYTEST_ORDER = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "warnings", "error", "errors")


class Suite(NamedTuple):
    """Commands of one name, with their share of the run: seconds on two cores, caches filled.

    Suites on hosts run in two labs side by side, where each has half of the machine and takes up to twice as long:
    an hour in one of two labs is half an hour of the machine.
    """

    name: str
    budget_s: int
    commands: Sequence[str]
    needs_lab: bool = False
    full_commands: Sequence[str] = ()
    full_s: int = 0  # what the slow tests take as well, where that is much longer
    full_only: bool = False  # emulated, so it needs both cores: no part of `make test`, and no other suite beside it


class Outcome(NamedTuple):
    """What became of a suite."""

    suite: Suite
    failed: Sequence[str]
    seconds: float
    counts: dict[str, int]
    beside: float = 1  # how many had the machine meanwhile

    @property
    def share_s(self) -> float:
        """The machine's seconds that it took."""
        return self.seconds / self.beside


SUITES = (
    Suite("lab", 240, ["make --no-print-directory lab"]),
    # Most of it is the start of Ansible: one syntax check a playbook and role.
    Suite("ansible-lint", 160, ["ansible-lint --offline --nocolor"]),
    Suite(
        "lint",
        20,
        [
            "ruff check .",
            "ruff format --check .",
            "yamllint --strict .",
            "tools/shellcheck.sh",
        ],
    ),
    Suite("types", 60, ["mypy"]),
    Suite(
        "unit",
        360,
        [f"pytest {COLLECTION}/tests/unit tests/tools tests/versions -m 'not slow'"],
        full_commands=[f"pytest {COLLECTION}/tests/unit tests/tools tests/versions"],
    ),
    Suite("unit36", 200, ["tools/python36.sh"]),
    Suite("sanity", 300, ["python tools/sanity.py"], full_commands=["python tools/sanity.py --full"]),
    Suite("docs", 60, ["tools/docs.sh"]),
    Suite("report", 60, ["pytest tests/report"]),
    # Against the real servers of tools/server_packages.sh; those that are absent are skipped by name.
    Suite("probes", 120, ["pytest tests/probes"]),
    # Restore points of every provider, each on a bed of its own; the slow ones by a real libvirt and, for lvm, in a
    # virtual machine, which takes most of it.
    Suite(
        "snapshots",
        320,
        ["pytest tests/snapshots -m 'not slow'"],
        full_commands=["pytest tests/snapshots --durations=15"],
    ),
    Suite("molecule", 300, ["tools/molecule.sh"], needs_lab=True),
    *(
        Suite(
            name,
            budget_s,
            [f"pytest tests/system/{name} --durations=15 -m 'not slow'"],
            needs_lab=True,
            full_commands=[f"pytest tests/system/{name} --durations=15"],
            full_s=full_s,
        )
        for name, budget_s, full_s in (
            ("inventory", 300, 0),
            ("night", 480, 900),
            ("plan", 360, 0),
            ("health", 240, 0),
            ("exact", 480, 1200),
            ("way_back", 480, 2400),
            ("killed", 480, 4200),
        )
    ),
    # The lab grows by further hosts for it, whose images are built once (docs/continuity.md).
    Suite(
        "continuity",
        540,
        ["pytest tests/system/continuity --durations=15 -m 'not slow'"],
        needs_lab=True,
        full_commands=["pytest tests/system/continuity --durations=15"],
        full_s=1900,
    ),
    # A virtual machine with a kernel, a boot loader and LVM of its own.
    Suite("vm", 1800, ["pytest tests/vm --durations=15"], full_only=True),
)


def run_suite(suite: Suite, full: bool, stream: bool, machine: SecondMachine | None = None) -> Outcome:
    """Run all commands of a suite into its log file, to the terminal as well when ``stream`` is set.

    With ``machine`` they run there, on its lab.
    """
    started = time.monotonic()
    failed = []
    environment = dict(os.environ, PATH=f"{ROOT / '.venv/bin'}:{os.environ['PATH']}", PYTHONUNBUFFERED="1")
    environment |= machine.environment() if machine else {}
    with log_path(suite).open("wb") as log:
        for command in (full and suite.full_commands) or suite.commands:
            log.write(f"$ {command}\n".encode())
            log.flush()
            words = ["/bin/sh", "-c", command]
            with subprocess.Popen(
                machine.command(words) if machine else words,
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as process:
                assert process.stdout is not None
                while chunk := os.read(process.stdout.fileno(), 65536):
                    log.write(chunk)
                    log.flush()
                    if stream:
                        sys.stdout.buffer.write(chunk)
                        sys.stdout.buffer.flush()
            if process.returncode != 0:
                failed.append(command)
    return Outcome(suite, failed, time.monotonic() - started, pytest_counts(log_path(suite)))


def log_path(suite: Suite) -> Path:
    """Return where the suite's output is kept."""
    return LOGS / f"{suite.name}.log"


def pytest_counts(log: Path) -> dict[str, int]:
    """Return the numbers of pytest's closing lines in a log, summed; empty where there is none."""
    counts: dict[str, int] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        match = PYTEST_LINE.match(re.sub(r"\x1b\[[\d;]*m", "", line))
        if match:
            for part in match.group(1).split(", "):
                number, word = part.split()
                counts[word] = counts.get(word, 0) + int(number)
    return counts


def in_words(counts: dict[str, int]) -> str:
    """Return counts in pytest's own words and order."""
    return ", ".join(f"{counts[word]} {word}" for word in PYTEST_ORDER if word in counts)


def report(outcome: Outcome, streamed: bool) -> Outcome:
    """Print how a suite ended, with its output when it failed unseen."""
    suite = outcome.suite
    if outcome.failed and not streamed:
        sys.stdout.write(log_path(suite).read_text(encoding="utf-8", errors="replace"))
    words = "FAILED: " + "; ".join(outcome.failed) if outcome.failed else "ok"
    counts = f": {in_words(outcome.counts)}" if outcome.counts else ""
    say(f"{suite.name}: {words} ({outcome.seconds:.0f} s){counts}")
    return outcome


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def run_at_once(suites: Sequence[Suite], full: bool) -> list[Outcome]:
    """Run suites side by side, AT_ONCE at a time."""
    outcomes = []
    # The lab first, which others wait for, then the longest: at the end neither core waits for the other.
    order = sorted(suites, key=lambda suite: (suite.name != "lab", -suite.budget_s))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = {pool.submit(run_suite, suite, full, False): suite for suite in order}
        while waiting:
            done, _ = wait(waiting, PROGRESS_EVERY_S, FIRST_COMPLETED)
            if not done:
                say("still to come: " + ", ".join(suite.name for suite in waiting.values()))
            for future in done:
                del waiting[future]
                outcome = future.result()
                outcomes.append(report(outcome._replace(beside=AT_ONCE / CORES), streamed=False))
    return outcomes


def run_in_labs(suites: Sequence[Suite], full: bool) -> list[Outcome]:
    """Run suites in two labs side by side, the longest first; in one lab where a second cannot be made."""
    labs = 2
    waiting = sorted(suites, key=lambda suite: -max(suite.budget_s, suite.full_s if full else 0))
    outcomes: list[Outcome] = []
    second = SecondMachine(ROOT)

    def work(machine: SecondMachine | None) -> None:
        where = "in the second lab" if machine else "in the lab"
        while waiting:
            suite = waiting.pop(0)
            say(f"{suite.name} begins {where}")
            outcome = run_suite(suite, full, stream=False, machine=machine)
            outcomes.append(report(outcome._replace(beside=labs), streamed=False))

    def work_there() -> None:
        nonlocal labs
        try:
            second.start()
        except (OSError, subprocess.SubprocessError) as error:
            labs = 1
            say(f"no second lab on this machine, so the suites run one after the other: {error}")
            return
        work(second)

    try:
        with ThreadPoolExecutor(2) as pool:
            running = [pool.submit(work, None), pool.submit(work_there)]
            while wait(running, PROGRESS_EVERY_S).not_done:
                say("still to come: " + ", ".join(suite.name for suite in suites if suite not in ended(outcomes)))
            for future in running:
                future.result()
    finally:
        second.end()
    return outcomes


def ended(outcomes: Sequence[Outcome]) -> list[Suite]:
    """Return the suites that have ended."""
    return [outcome.suite for outcome in outcomes]


def keep_table(outcomes: Sequence[Outcome]) -> None:
    """Write the table of a full run into the documentation."""
    head = ["# The last full test run", "", f"`make test-full` on {time.strftime('%Y-%m-%d')}, two cores.", ""]
    head += ["| suite | result | seconds | tests |", "| --- | --- | --- | --- |"]
    rows = [
        f"| {suite.name} | {'FAILED' if failed else 'ok'} | {seconds:.0f} | {in_words(counts)} |"
        for suite, failed, seconds, counts, _ in outcomes
    ]
    FULL_RUN.parent.mkdir(exist_ok=True)
    FULL_RUN.write_text("\n".join([*head, *rows, ""]), encoding="utf-8")


def telling_lines(log: Path) -> list[str]:
    """Return the last lines of a failed suite's log that name what failed, or its last lines where none does."""
    lines = re.sub(r"\x1b\[[\d;]*m", "", log.read_text(encoding="utf-8", errors="replace")).splitlines()
    told = [line for line in lines if TELLING.match(line)] or lines
    return [line[:TOLD_WIDTH] for line in told[-TOLD_LINES:]]


def print_table(outcomes: Sequence[Outcome]) -> None:
    """Print what failed, seconds, budgets and counts, name the suites over budget, and end with pytest's total."""
    for outcome in outcomes:
        if outcome.failed and outcome.seconds:  # a suite that never ran has an earlier run's log
            print(f"\n{outcome.suite.name} failed: {'; '.join(outcome.failed)}")
            for line in telling_lines(log_path(outcome.suite)):
                print(f"  {line}")
    print(f"\n{'suite':<12} {'result':<7} {'seconds':>8} {'share':>7} {'of':>5}  tests")
    for outcome in outcomes:
        suite, result = outcome.suite, "FAILED" if outcome.failed else "ok"
        print(
            f"{suite.name:<12} {result:<7} {outcome.seconds:>8.1f} {outcome.share_s:>7.0f} {suite.budget_s:>5}  "
            f"{in_words(outcome.counts)}"
        )
    for outcome in outcomes:
        suite = outcome.suite
        if outcome.share_s > suite.budget_s:
            print(f"{suite.name} outgrew its share: {outcome.share_s:.0f} s of {suite.budget_s} s")
    total: dict[str, int] = {}
    for outcome in outcomes:
        for word, number in outcome.counts.items():
            total[word] = total.get(word, 0) + number
    if total:
        seconds = sum(outcome.seconds for outcome in outcomes if outcome.counts)
        print(f"\n===== {in_words(total)} in {seconds:.2f}s =====")


def main() -> int:
    """Run the suites that were asked for; exit 0 only when all of them passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the slow tests as well")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(suite.name for suite in SUITES))
    options = parser.parse_args()
    unknown = set(options.suites) - {suite.name for suite in SUITES}
    if unknown:
        parser.error(f"unknown suite {', '.join(sorted(unknown))}; there are {', '.join(s.name for s in SUITES)}")

    LOGS.mkdir(parents=True, exist_ok=True)
    everyone = [suite.name for suite in SUITES if options.full or not suite.full_only]
    chosen = [suite for suite in SUITES if suite.name in (options.suites or everyone)]
    if len(chosen) == 1:
        return 1 if report(run_suite(chosen[0], options.full, stream=True), streamed=True).failed else 0

    outcomes = run_at_once([suite for suite in chosen if not suite.needs_lab and not suite.full_only], options.full)
    for suite in chosen:
        if suite.full_only:
            say(f"{suite.name} begins, alone")
            outcomes.append(report(run_suite(suite, options.full, stream=False), streamed=False))
    lab_is_up = not any(outcome.suite.name == "lab" and outcome.failed for outcome in outcomes)
    on_hosts = [suite for suite in chosen if suite.needs_lab]
    if lab_is_up:
        outcomes += run_in_labs(on_hosts, options.full) if on_hosts else []
    else:
        for suite in on_hosts:
            say(f"{suite.name}: FAILED: the lab did not start")
            outcomes.append(Outcome(suite, ["the lab did not start"], 0, {}))
    order = [suite.name for suite in SUITES]
    outcomes.sort(key=lambda outcome: order.index(outcome.suite.name))
    if options.full and not options.suites:
        keep_table(outcomes)
    print_table(outcomes)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
