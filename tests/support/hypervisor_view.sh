#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# libvirtd with QEMU, in a view of its own: called by `unshare --mount --pid --net --fork`. What it needs is laid over
# this machine's /usr and /etc, what it writes to /etc, /run and /var is in memory, and ends with it.
#   hypervisor_view.sh ROOT WORK    the unpacked packages, and an empty folder
set -eu
root="$1" work="$2"

mount --make-rprivate /
mount -t tmpfs hypervisor "$work"
mkdir "$work/etc" "$work/etc.work" "$work/var" "$work/var.work"
mount -t overlay overlay -o "lowerdir=$root/usr:/usr" /usr
mount -t overlay overlay -o "lowerdir=$root/etc:/etc,upperdir=$work/etc,workdir=$work/etc.work" /etc
mount -t overlay overlay -o "lowerdir=/var,upperdir=$work/var,workdir=$work/var.work" /var
mount -t tmpfs hypervisor /run
mount -t sysfs hypervisor /sys
mkdir -p "$work/images" /etc/libvirt /run/libvirt /var/lib/libvirt

# Names that libvirt looks up even where its settings name others.
grep -q '^libvirt-qemu:' /etc/passwd || echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >>/etc/passwd
for name in libvirt-qemu kvm libvirt; do
    grep -q "^$name:" /etc/group || echo "$name:x:64055:" >>/etc/group
done
cat >/etc/libvirt/qemu.conf <<'END'
user = "root"
group = "root"
cgroup_controllers = [ ]
security_driver = "none"
namespaces = [ ]
stdio_handler = "file"
remember_owner = 0
END
cat >/etc/libvirt/libvirtd.conf <<'END'
auth_unix_rw = "none"
log_filters = "4:virNetDev 4:node_device"
END

libvirtd &
# The first process of its own has to stay: with it everything ends.
while sleep 1000; do :; done
