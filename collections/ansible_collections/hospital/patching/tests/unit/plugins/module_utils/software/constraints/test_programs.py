# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents, clusters, engines and timers: known by units or files, and their effect while they may act."""

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints import (
    agents,
    clusters,
    container_engines,
    timers,
)

RUNS, ENABLED, OFF = ("active", "enabled"), ("inactive", "enabled"), ("inactive", "disabled")


@pytest.mark.parametrize(
    ("state", "effect"), [(RUNS, "changes_packages"), (ENABLED, "changes_packages"), (OFF, "informs")]
)
def test_an_agent_that_may_act_changes_packages(world, effects, state, effect):
    world.boot_systemd(**{"landscape-client.service": state})
    assert effects(agents.collect(world.look())) == [("Landscape", effect)]


def test_without_systemd_a_file_is_enough(world):
    world.write("opt/BESClient/bin/BESClient")
    (found,) = agents.collect(world.look())
    assert (found["name"], found["effect"]) == ("BigFix", "changes_packages")
    assert found["detail"].endswith("(found: /opt/BESClient/bin/BESClient)")


def test_insights_only_reports(world, effects):
    world.boot_systemd(**{"insights-client.timer": RUNS})
    assert effects(agents.collect(world.look())) == [("Red Hat Insights", "informs")]


def test_all_units_are_asked_for_once(world):
    names = {name for program in agents.AGENTS + clusters.CLUSTERS for name in program.units}
    world.boot_systemd(**dict.fromkeys(names, RUNS))
    look = world.look()
    assert len(agents.collect(look)) == len([program for program in agents.AGENTS if program.units])
    assert len(clusters.collect(look)) == len(clusters.CLUSTERS)
    assert world.calls == ["systemctl"]


def test_members_of_galera(world):
    world.write("etc/mysql/mariadb.conf.d/60-galera.cnf", "[galera]\n#wsrep_cluster_address = gcomm://a\n")
    assert clusters.collect(world.look()) == []
    world.write("etc/my.cnf.d/galera.cnf", '[mysqld]\nwsrep-cluster-address="gcomm://10.0.0.1,10.0.0.2"\n')
    (found,) = clusters.collect(world.look())
    assert found["name"] == "galera"
    assert "gcomm://10.0.0.1,10.0.0.2" in found["detail"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{['rabbit@mq1','rabbit@mq2'],['rabbit@mq1','rabbit@mq2']}.\n", ["rabbitmq"]),
        ("{[rabbit@mq1],[rabbit@mq1]}.\n", []),
    ],
)
def test_members_of_rabbitmq(world, text, expected):
    world.write("var/lib/rabbitmq/mnesia/rabbit@mq1/cluster_nodes.config", text)
    assert [item["name"] for item in clusters.collect(world.look())] == expected


@pytest.mark.parametrize(
    ("settings", "effect"),
    [(None, "restarts"), ("{}", "restarts"), ('{"live-restore": true}', "informs"), ("[]", "restarts")],
)
def test_docker_restarts_containers_without_live_restore(world, effects, settings, effect):
    world.boot_systemd(**{"docker.service": RUNS})
    if settings is not None:
        world.write("etc/docker/daemon.json", settings)
    assert effects(container_engines.collect(world.look())) == [("docker", effect)]


def test_podman_has_no_daemon_but_may_update_itself(world, effects):
    world.boot_systemd(**{"podman-auto-update.timer": RUNS})
    world.write("usr/bin/podman")
    assert effects(container_engines.collect(world.look())) == [
        ("podman", "informs"),
        ("podman auto-update", "restarts"),
    ]


def test_timers_that_a_run_holds_off(world, effects):
    world.boot_systemd(
        **{"apt-daily.timer": RUNS, "apt-daily-upgrade.timer": RUNS, "dnf-automatic.timer": OFF, "other.timer": RUNS}
    )
    assert effects(timers.collect(world.look())) == [
        ("apt-daily.timer", "informs"),
        ("apt-daily-upgrade.timer", "changes_packages"),
        ("dnf-automatic.timer", "informs"),
    ]
