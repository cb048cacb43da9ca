# SPDX-License-Identifier: GPL-3.0-or-later
"""One virtual machine for all of these tests: it boots from its own disk, with its root on LVM and a kernel pending."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import vm as machines
from tests.support.told import LINES

#: Data on a thick volume, which /etc/fstab mounts, and on a thin one, which whoever starts the machine mounts.
DATA = """
lvcreate --quiet --yes --name data --size 256m --addtag site hospital
lvcreate --quiet --yes --type thin-pool --name pool --size 512m hospital
lvcreate --quiet --yes --type thin --virtualsize 400m --thinpool pool --name thin --addtag theirs hospital
for name in data thin; do
    mkfs.ext4 -q /dev/hospital/$name
    mkdir /srv/$name
done
echo '/dev/hospital/data /srv/data ext4 nosuid,nofail 0 2' >>/etc/fstab
systemctl daemon-reload
mount /srv/data
mount -o nodev /dev/hospital/thin /srv/thin
for name in data thin; do
    mkdir -p /srv/$name/patients
    head -c 4000000 /dev/urandom >/srv/$name/images
    echo "before in $name" >/srv/$name/patients/list
    ln -s patients/list /srv/$name/link
done
"""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was seen: boots, kernels, digests, seconds."""
    for line in LINES:
        terminalreporter.write_line(line)


@contextmanager
def with_data(folder: Path) -> Iterator[machines.Machine]:
    lacking = machines.lacking()
    if lacking:
        pytest.skip(f"this machine lacks {', '.join(lacking)}: tools/system_packages.sh qemu-system-x86 mmdebstrap")
    with machines.machine(folder) as one:
        one.sh(DATA)
        yield one


@pytest.fixture(scope="session")
def vm(tmp_path_factory) -> Iterator[machines.Machine]:
    """Start the machine, with data on a thick and on a thin volume."""
    with with_data(tmp_path_factory.mktemp("vm")) as one:
        yield one
