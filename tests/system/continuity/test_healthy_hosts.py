# SPDX-License-Identifier: GPL-3.0-or-later
"""None of the hospital's healthy hosts is called failed, however often it is read."""

from __future__ import annotations

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.figures import TIERS, Numbers
from ansible_collections.hospital.patching.plugins.plugin_utils.health import compare, fit_to_start
from tests.support.playbook import HOSPITAL_INVENTORY, play

HOSTS = (
    *("portal1", "portal2", "lb1", "lb2", "db1", "db2", "engine1", "engine2", "monitor1"),
    *("pacs1", "pacs2", "ws1", "rpm1", "zypp1", "mirror1"),
)
RUNS = 20
#: What every host has, beside the probes that the inventory gives it. The load of a container is that of the machine,
#: which runs these tests.
PROBES = [
    {"name": "ssh", "type": "tcp", "host": "localhost", "port": 22, "banner_regexp": "^SSH-2"},
    {"name": "disk", "type": "disk", "paths": ["/var"]},
    {"name": "memory", "type": "memory"},
    {"name": "restarts", "type": "systemd", "units": ["ssh.service"], "failed_limit": 99},
    {"name": "sshd", "type": "process", "program": "sshd"},
]


#: The default of patching_settle_s: for so long a run lets a busy machine answer more slowly than before.
SETTLE_S = 60


@pytest.mark.slow
def test_no_healthy_host_is_called_failed_in_twenty_runs(nodes: None) -> None:
    extra = {"health_runs": RUNS, "health_probes": PROBES, "health_segments": [], "health_settle_s": SETTLE_S}
    played = play("tests/system/continuity/healthy.yml", inventory=HOSPITAL_INVENTORY, extra=extra)
    assert played.rc == 0, played.stdout
    for host in HOSTS:
        before = [
            result
            for task in ("Read the host from itself before", "Read it from where users are before")
            for result in played.results(task, host)[0]["results"]
        ]
        own, users = (
            [one["results"] for one in played.results(task, host)[0]["results"]]
            for task in ("Read the host from itself", "Read it from where users are")
        )
        read = [here + there for here, there in zip(own, users, strict=True)]
        assert len(read) == RUNS
        for after in read:
            for tier in TIERS:
                numbers = Numbers.of(tier)
                assert fit_to_start(before, numbers=numbers) is None, host
                assert compare(before, after, numbers).verdict == "ok", (host, compare(before, after, numbers))
