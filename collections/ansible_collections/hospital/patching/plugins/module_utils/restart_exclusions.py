# SPDX-License-Identifier: GPL-3.0-or-later
"""Units that are never restarted automatically: they are reported as "reboot owed" instead.

The first group is what needrestart itself excludes (``override_rc`` of its
needrestart.conf); the second is what would take shared storage, a cluster or
a user's work with it (DESIGN.md, "Never automatic"). Add a line to extend it:
a shell pattern of unit names and the reason that the report gives.
"""

import fnmatch
from typing import Optional

EXCLUDED = (
    # needrestart
    ("dbus*", "every service talks through it"),
    ("systemd-logind.service", "user sessions depend on it"),
    ("network*", "it carries the network"),
    ("NetworkManager*", "it carries the network"),
    ("systemd-networkd*", "it carries the network"),
    ("systemd-resolved*", "it carries name resolution"),
    ("ModemManager*", "it carries the network"),
    ("wpa_supplicant*", "it carries the network"),
    ("openvpn*", "it carries the network"),
    ("wg-quick@*", "it carries the network"),
    ("strongswan*", "it carries the network"),
    ("ipsec*", "it carries the network"),
    ("frr*", "it carries the network"),
    ("bird*", "it carries the network"),
    ("ifup@*", "it carries the network"),
    ("docker*", "restarting a container engine may restart its containers"),
    ("containerd*", "restarting a container engine may restart its containers"),
    ("crio*", "restarting a container engine may restart its containers"),
    ("podman*", "restarting a container engine may restart its containers"),
    ("lxc*", "restarting a container engine may restart its containers"),
    ("libvirt*", "it runs virtual machines"),
    ("virt*d.service", "it runs virtual machines"),
    ("xendomains*", "it runs virtual machines"),
    ("getty@*", "a user may be logged in there"),
    ("serial-getty@*", "a user may be logged in there"),
    ("console-getty*", "a user may be logged in there"),
    ("container-getty@*", "a user may be logged in there"),
    ("user@*", "it is a user's session"),
    ("session-*.scope", "it is a user's session"),
    ("gdm*", "it carries users' desktops"),
    ("sddm*", "it carries users' desktops"),
    ("lightdm*", "it carries users' desktops"),
    ("xdm*", "it carries users' desktops"),
    ("lxdm*", "it carries users' desktops"),
    ("display-manager*", "it carries users' desktops"),
    ("emergency.service", "a person is at work there"),
    ("rescue.service", "a person is at work there"),
    ("apt-daily*", "it runs when its timer says"),
    # clusters and shared storage
    ("pacemaker*", "it belongs to a cluster stack"),
    ("corosync*", "it belongs to a cluster stack"),
    ("sbd*", "it belongs to a cluster stack"),
    ("dlm*", "it belongs to a cluster stack"),
    ("drbd*", "it belongs to a cluster stack"),
    ("glusterd*", "it belongs to a cluster stack"),
    ("ceph*", "it belongs to a cluster stack"),
    ("patroni*", "it belongs to a cluster stack"),
    ("keepalived*", "it moves a shared address"),
    ("multipathd*", "disks depend on it"),
    ("iscsi*", "disks depend on it"),
    ("open-iscsi*", "disks depend on it"),
    ("lvm2-*", "disks depend on it"),
    ("mdmonitor*", "disks depend on it"),
    # this project's own work
    ("hospital-patching-*", "it is this run's own work"),
)


def reason_not_to_restart(unit: str) -> Optional[str]:
    """Return why ``unit`` is never restarted automatically, or None when it may be."""
    if not unit.endswith(".service"):
        return "it is {} and not a service".format(unit.rsplit(".", 1)[-1]) if not _listed(unit) else _listed(unit)
    return _listed(unit)


def _listed(unit: str) -> Optional[str]:
    return next((reason for pattern, reason in EXCLUDED if fnmatch.fnmatchcase(unit, pattern)), None)
