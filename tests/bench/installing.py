# SPDX-License-Identifier: GPL-3.0-or-later
"""The window's time of an installation, beside a bare ``apt-get dist-upgrade`` of the same updates.

Both portal hosts of the lab are started from one image, with all their pending security updates staged and in apt's
own cache. Then one of them is patched by ``update_install`` and after it, not at the same time, the other one by
``apt-get dist-upgrade --yes``; then both are started anew and change places, and the order is turned round, so that
neither host nor a warm disk cache favours one side.

Each side does what it does in a window. apt-get reads its lists, resolves, unpacks, configures, and stops and starts
services on the way. ``update_install`` checks the hash of every file, archives /etc, compares apt's actions with the
transaction, keeps services as they are, restores marks and alternatives and compares versions; the one restart of
what needs it is the next step of the run, here as in a real night, and is not in the figure. ``task`` is what Ansible
needs for all of it, with the transfer of the module.
"""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.support import lab
from tests.support.night import PORTALS
from tests.support.playbook import play

ROUNDS = 2
LIMIT = 1.15
#: Two hosts at once take longer, so each gets its turn.
BARE = (
    "export DEBIAN_FRONTEND=noninteractive; begun=$(date +%s%N);"
    " apt-get dist-upgrade --yes --quiet >/var/log/bench.log 2>&1 || exit; ended=$(date +%s%N);"
    " echo $(((ended - begun) / 1000000))"
)


class Installed(NamedTuple):
    """One installation by update_install: the whole task, the module's own time, and its parts, in milliseconds."""

    task_ms: int
    module_ms: int
    parts: Mapping[str, int]


def report() -> None:
    """Print the comparison; one sentence where it cannot be made."""
    if not lab_is_up():
        print("installing is not compared: the lab hospital is not up (`make lab`)")
        return
    lab.publish()
    lab.reset(PORTALS)
    staged = play("tests/bench/stage.yml", extra={"bench_hosts": ",".join(PORTALS)})
    assert staged.rc == 0, staged.stdout
    transactions = {host: staged.results("Stage them", host)[0]["transaction"] for host in PORTALS}
    ours, bare = [], []
    with lab.kept(PORTALS) as images:
        for number in range(ROUNDS):
            lab.reset(PORTALS, images)
            host, other = PORTALS if number % 2 == 0 else PORTALS[::-1]
            for turn in (host, other) if number % 2 == 0 else (other, host):
                if turn == host:
                    ours.append(install(host, transactions[host]))
                else:
                    bare.append(int(lab.exec(other, BARE)))
            if packages(host) != packages(other):
                raise SystemExit("installing: the two sides did not install the same packages; nothing to compare")
    _print(len(transactions[PORTALS[0]]["entries"]), ours, bare)


def lab_is_up() -> bool:
    """Whether the hosts that are needed run."""
    try:
        return all(lab.exec(host, "systemctl is-active ssh").strip() == "active" for host in PORTALS)
    except (lab.LabError, OSError, subprocess.SubprocessError):
        return False


def install(host: str, transaction: Mapping[str, Any]) -> Installed:
    """Install a host's stage and return what it took."""
    played = play("tests/bench/install.yml", extra={"bench_host": host, "bench_transaction": transaction})
    assert played.rc == 0, played.stdout
    (ended,) = [data for data in played.ended() if data["task"] == "Install"]
    parts = ended["res"]["seconds_ms"]
    return Installed(int(ended["duration"] * 1000), sum(parts.values()), parts)


def packages(host: str) -> str:
    """Every package of a host with its version and state."""
    return lab.exec(host, "dpkg-query -W -f '${Package} ${Architecture} ${Version} ${db:Status-Abbrev}\\n'")


def _print(updates: int, ours: list[Installed], bare: list[int]) -> None:
    base = statistics.mean(bare)
    task, module = statistics.mean(one.task_ms for one in ours), statistics.mean(one.module_ms for one in ours)
    names = list(ours[0].parts)
    parts = ", ".join(f"{name} {statistics.mean(one.parts[name] for one in ours) / 1000:.2f} s" for name in names)
    print(f"\ninstalling {updates} updates from what is on the disk, mean of {len(ours)}, in turn on identical hosts\n")
    print(f"{'':<34} {'s':>7} {'ratio':>6}   each")
    for title, mean, each in (
        ("apt-get dist-upgrade", base, bare),
        ("update_install, the module", module, [one.module_ms for one in ours]),
        ("update_install, the whole task", task, [one.task_ms for one in ours]),
    ):
        print(f"{title:<34} {mean / 1000:>7.2f} {mean / base:>6.2f}   {' '.join(f'{ms / 1000:.2f}' for ms in each)}")
    print(f"of the module: {parts}")
    print(f"the task's share may be {LIMIT}: it is {'kept' if task / base <= LIMIT else 'NOT KEPT'}")


if __name__ == "__main__":
    report()
