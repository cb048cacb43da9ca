# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents by which others may change packages: fleet managers, configuration managers, vendors' patch agents.

A site adds a line for its own: name, units, files (below /), effect, what people should know.
"""

from typing import List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    CHANGES,
    INFORMS,
    Entry,
    Look,
    Program,
    find,
)

_CONFIGURES = "may install what its catalogue says"
_CENTRAL = "a central server may install updates at its own deadline"

AGENTS: Tuple[Program, ...] = (
    Program("Landscape", ["landscape-client.service"], ["etc/landscape/client.conf"], CHANGES, _CENTRAL),
    Program("SUSE Manager / Uyuni", ["venv-salt-minion.service"], ["etc/venv-salt-minion/minion"], CHANGES, _CENTRAL),
    Program("Spacewalk", ["rhnsd.service", "osad.service"], ["etc/sysconfig/rhn/systemid"], CHANGES, _CENTRAL),
    Program("Katello", ["goferd.service"], ["etc/gofer/plugins/katello.conf"], CHANGES, _CENTRAL),
    Program("Salt", ["salt-minion.service"], ["etc/salt/minion"], CHANGES, _CONFIGURES),
    Program(
        "Puppet", ["puppet.service"], ["opt/puppetlabs/bin/puppet", "etc/puppet/puppet.conf"], CHANGES, _CONFIGURES
    ),
    Program("Chef", ["chef-client.service", "chef-client.timer"], ["etc/chef/client.rb"], CHANGES, _CONFIGURES),
    Program("CFEngine", ["cfengine3.service"], ["var/cfengine/bin/cf-agent"], CHANGES, _CONFIGURES),
    Program("rhc (remote host configuration)", ["rhcd.service", "yggdrasil.service"], [], CHANGES, _CENTRAL),
    Program(
        "Red Hat Insights",
        ["insights-client.timer"],
        ["etc/insights-client/insights-client.conf"],
        INFORMS,
        "reports only",
    ),
    Program("BigFix", ["besclient.service"], ["opt/BESClient/bin/BESClient"], CHANGES, _CENTRAL),
    Program("Ivanti", ["cba8.service"], ["opt/landesk/bin/ldiscan", "opt/ivanti"], CHANGES, _CENTRAL),
    Program(
        "Qualys",
        ["qualys-cloud-agent.service"],
        ["usr/local/qualys/cloud-agent"],
        CHANGES,
        "scans; patches if licensed",
    ),
    Program("ManageEngine", ["dcservice.service"], ["usr/local/manageengine/uems_agent"], CHANGES, _CENTRAL),
    Program("Tanium", ["taniumclient.service"], ["opt/Tanium/TaniumClient"], CHANGES, _CENTRAL),
    Program("Automox", ["amagent.service"], ["opt/amagent"], CHANGES, _CENTRAL),
    Program("NinjaOne", ["ninjarmm-agent.service"], ["opt/NinjaRMMAgent"], CHANGES, _CENTRAL),
    Program(
        "Azure VM agent",
        ["walinuxagent.service", "waagent.service"],
        [],
        INFORMS,
        "runs extensions, also such as update",
    ),
    Program(
        "AWS Systems Manager",
        ["amazon-ssm-agent.service", "snap.amazon-ssm-agent.amazon-ssm-agent.service"],
        ["etc/amazon/ssm"],
        CHANGES,
        _CENTRAL,
    ),
    Program("Google OS Config", ["google-osconfig-agent.service"], [], CHANGES, _CENTRAL),
    Program("snapd", ["snapd.service"], ["var/lib/snapd/state.json"], CHANGES, "refreshes snaps by itself"),
    Program("Flatpak updates", ["flatpak-system-update.timer"], [], CHANGES, "updates flatpaks by itself"),
    Program("fwupd", ["fwupd-refresh.timer"], [], INFORMS, "refreshes the list of firmware; installs none by itself"),
)


def collect(look: Look) -> List[Entry]:
    """Return the agents of the table that are on this host."""
    return find(look, "agent", AGENTS)
