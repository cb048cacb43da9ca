# SPDX-License-Identifier: GPL-3.0-or-later
"""Explores the protocol of mutual exclusion: every interleaving of its steps, and of the mutants that lack a rule."""

from __future__ import annotations

import sys
import time

from ansible_collections.hospital.patching.tests.unit.plugins.plugin_utils import test_exclusion_exploration as model


def main() -> int:
    """Print each scenario's states and each mutant's first violation; the numbers in the last line. Exit 1 on any."""
    begun, states, wrong = time.monotonic(), 0, []
    for name, (scenario, most_out) in model.SCENARIOS.items():
        try:
            explored = model.explore(scenario)
        except model.Violation as violation:
            wrong.append(name)
            print(f"{name}: {violation}", flush=True)
            continue
        states += explored.states
        print(f"{explored.states:9} states, at most {explored.most_out} of {most_out} allowed out: {name}", flush=True)
    for name, (scenario, rules, kind) in model.MUTANTS.items():
        try:
            model.explore(scenario, rules)
        except model.Violation as violation:
            print(f"found, as it must be ({kind}): one that {name}: {str(violation).splitlines()[0]}", flush=True)
            continue
        wrong.append(name)
        print(f"NOT FOUND: one that {name}", flush=True)
    found = f"{len(wrong)} wrong: {', '.join(wrong)}" if wrong else "none wrong, every mutant found"
    print(
        f"{states} states in {len(model.SCENARIOS)} scenarios, {len(model.MUTANTS)} mutants, {found};"
        f" {time.monotonic() - begun:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
