# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that this host is a member of: a restart here moves or stops something elsewhere.

A site adds a line for its own: name, units, files (below /), effect, what people should know.
"""

import re
from typing import List, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.software.constraints.look import (
    INFORMS,
    Entry,
    Look,
    Program,
    entry,
    find,
)

_MEMBER = "member of a cluster: move its resources away before it is restarted"
_QUORUM = "votes in a quorum: never restart two members together"

CLUSTERS: Tuple[Program, ...] = (
    Program("pacemaker", ["pacemaker.service"], ["var/lib/pacemaker/cib/cib.xml"], INFORMS, _MEMBER),
    Program("corosync", ["corosync.service"], ["etc/corosync/corosync.conf"], INFORMS, _QUORUM),
    Program("keepalived", ["keepalived.service"], ["etc/keepalived/keepalived.conf"], INFORMS, _MEMBER),
    Program("drbd", ["drbd.service"], ["proc/drbd"], INFORMS, "replicates disks: the peer must be in step"),
    Program("patroni", ["patroni.service"], ["etc/patroni/config.yml", "etc/patroni.yml"], INFORMS, _MEMBER),
    Program("repmgr", ["repmgrd.service"], ["etc/repmgr.conf"], INFORMS, _MEMBER),
    Program("etcd", ["etcd.service"], ["var/lib/etcd/member"], INFORMS, _QUORUM),
    Program("consul", ["consul.service"], ["etc/consul.d"], INFORMS, _QUORUM),
    Program("zookeeper", ["zookeeper.service"], ["etc/zookeeper/conf/zoo.cfg"], INFORMS, _QUORUM),
    Program(
        "Kubernetes",
        ["kubelet.service", "k3s.service", "k3s-agent.service", "rke2-server.service", "rke2-agent.service"],
        ["etc/kubernetes/kubelet.conf"],
        INFORMS,
        "node of a cluster: drain it before it is restarted",
    ),
    Program("ceph", ["ceph.target"], ["etc/ceph/ceph.conf"], INFORMS, _QUORUM),
    Program("gluster", ["glusterd.service"], ["var/lib/glusterd/glusterd.info"], INFORMS, _QUORUM),
)

#: Folders of MySQL's and MariaDB's settings, any of which may make the server a Galera member.
_MYSQL = ("etc/mysql", "etc/mysql/conf.d", "etc/mysql/mariadb.conf.d", "etc/my.cnf.d")


def collect(look: Look) -> List[Entry]:
    """Return the clusters that this host belongs to."""
    return find(look, "cluster", CLUSTERS) + _galera(look) + _rabbitmq(look)


def _galera(look: Look) -> List[Entry]:
    """A server belongs to Galera only where its settings name the members (wsrep_cluster_address)."""
    names = ["etc/my.cnf"] + [d + "/" + name for d in _MYSQL for name in look.listing(d) if name.endswith(".cnf")]
    for name in names:
        for line in (look.text(name) or "").splitlines():
            key, equals, value = line.partition("=")
            if key.strip().replace("-", "_") == "wsrep_cluster_address" and equals and value.strip(" \"'"):
                return [entry("cluster", "galera", "{} ({} in /{})".format(_QUORUM, value.strip(), name), INFORMS)]
    return []


def _rabbitmq(look: Look) -> List[Entry]:
    """A broker is clustered where its own record names more than one disc node."""
    base = "var/lib/rabbitmq/mnesia"
    for node in look.listing(base):
        text = look.text("{}/{}/cluster_nodes.config".format(base, node)) or ""
        members = sorted(set(re.findall(r"[\w-]+@[\w.-]+", text)))
        if len(members) > 1:
            return [entry("cluster", "rabbitmq", "{} ({})".format(_QUORUM, ", ".join(members)), INFORMS)]
    return []
