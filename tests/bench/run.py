# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what the speed of a patch night rests on, and compare it with the figures kept beside this file.

Usage: python -m tests.bench.run [--keep] [NAME...]    --keep writes the measured figures down as the new ones
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench import modules, probing, workloads

FIGURES = Path(__file__).with_name("figures.json")
REPEATS = 5

# Every benchmark by name; a workload runs once and returns nothing.
WORKLOADS: dict[str, Callable[[], object]] = {
    "digest_manifest_500": workloads.digest_manifest_500,
    "playbook_start": workloads.playbook_start,
}


def measure(workload: Callable[[], object]) -> float:
    """Return the median milliseconds of a workload."""
    spent = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        workload()
        spent.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(spent), 1)


def main() -> int:
    """Measure, print and, if asked, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="write the measured figures down")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(WORKLOADS))
    options = parser.parse_args()
    if unknown := set(options.names) - set(WORKLOADS):
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")

    before: dict[str, float] = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    print(f"Python {platform.python_version()}, median of {REPEATS}\n\n{'benchmark':<24} {'ms':>9} {'kept':>9}")
    for name in options.names or WORKLOADS:
        now = measure(WORKLOADS[name])
        print(f"{name:<24} {now:>9} {before.get(name, '-'):>9}", flush=True)
        before[name] = now
    if not options.names:
        modules.report()
        probing.report()
        # In a process of its own, whose memory is the planner's.
        subprocess.run([sys.executable, "-m", "tests.bench.planning"], check=True)
        # It needs the lab, and says so where there is none.
        subprocess.run([sys.executable, "-m", "tests.bench.installing"], check=True)
    if options.keep:
        FIGURES.write_text(json.dumps(before, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
