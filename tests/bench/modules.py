# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module costs on the host itself: the very payload that Ansible would send, started here again and again."""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
#: The distribution's own, because only that one has the bindings that package_facts needs.
PYTHON = "/usr/bin/python3"
REPEATS = 5


class Call(NamedTuple):
    """One way to call a module, as a line of the table."""

    title: str
    module: str
    arguments: Mapping[str, Any] = {}


#: The first costs what every module costs; the second is what the others are held against.
CALLS = (
    Call("ansible.builtin.ping", "ansible.builtin.ping"),
    Call("ansible.builtin.package_facts", "ansible.builtin.package_facts"),
    Call("software_facts", "hospital.patching.software_facts"),
    Call("software_facts, with images", "hospital.patching.software_facts", {"images": True}),
    Call("software_facts, with archives", "hospital.patching.software_facts", {"jars": True}),
)


def payload(call: Call, folder: Path) -> Path:
    """Return the file that Ansible sends to a host for this call."""
    settings = {
        "ANSIBLE_KEEP_REMOTE_FILES": "1",
        "ANSIBLE_REMOTE_TEMP": str(folder),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
    }
    words = ["ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", call.module]
    words += ["-e", f"ansible_python_interpreter={PYTHON}"]
    words += ["-a", json.dumps(call.arguments)] if call.arguments else []
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, **settings}, cwd=ROOT)
    return next(folder.glob("*/AnsiballZ_*.py"))


def side_by_side(calls: Sequence[Call] = CALLS, repeats: int = REPEATS) -> dict[str, float]:
    """Return the median milliseconds of each call by title, measured in turn: what slows one slows all."""
    spent: dict[str, list[float]] = {call.title: [] for call in calls}
    with TemporaryDirectory() as temporary:
        payloads = {}
        for number, call in enumerate(calls):
            folder = Path(temporary, str(number))
            folder.mkdir()
            payloads[call.title] = payload(call, folder)
        for _ in range(repeats):
            for title, path in payloads.items():
                begun = time.perf_counter()
                subprocess.run([PYTHON, path], check=True, capture_output=True)
                spent[title].append((time.perf_counter() - begun) * 1000)
    return {title: round(statistics.median(several), 1) for title, several in spent.items()}


def packages() -> int:
    """Return how many packages this machine has."""
    status = subprocess.run(["dpkg-query", "-W", "-f=.\n"], check=True, capture_output=True, text=True)
    return len(status.stdout.split())


def report() -> None:
    """Print the comparison; one sentence where it cannot be made."""
    bindings = subprocess.run([PYTHON, "-c", "import apt"], capture_output=True, check=False)
    if bindings.returncode:
        print(f"modules are not compared: {PYTHON} cannot import apt (python3-apt), as package_facts does")
        return
    figures = side_by_side()
    floor, base = list(figures.values())[:2]
    print(f"\nmodule time on a host with {packages()} packages, median of {REPEATS}, in turn")
    print("own: what a module costs beyond ping\n")
    print(f"{'module':<34} {'ms':>8} {'ratio':>6} {'own ms':>8} {'ratio':>6}")
    for title, spent in figures.items():
        own = spent - floor
        print(f"{title:<34} {spent:>8} {spent / base:>6.2f} {own:>8.1f} {own / (base - floor):>6.2f}")
