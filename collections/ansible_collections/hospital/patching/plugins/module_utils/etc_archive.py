# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc before an installation, and the configuration files that packages proposed instead of installing."""

import contextlib
import os
import tarfile
from typing import List

#: Endings that dpkg, ucf and rpm give to the maintainer's version beside a kept file. Where rpm replaces the file
#: itself, it leaves the host's own as .rpmsave or .rpmorig: no less a case for a person.
PROPOSAL_ENDINGS = (".dpkg-dist", ".dpkg-new", ".ucf-dist", ".rpmnew", ".rpmsave", ".rpmorig")


def archive(root: str, path: str) -> str:
    """Write /etc into the tar file ``path`` (mode 0600: it holds secrets) and return ``path``."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    part = path + ".part"
    try:
        _write(root, part)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)  # half an archive would keep a full disk full
        raise
    os.rename(part, path)
    return path


def _write(root: str, path: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        # Not compressed: the window pays for every second, and /etc is small.
        with tarfile.open(fileobj=handle, mode="w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(os.path.join(root, "etc"), arcname="etc")
        handle.flush()
        os.fsync(handle.fileno())


def proposals(root: str) -> List[str]:
    """Return the paths of all proposals that lie in /etc."""
    found: List[str] = []
    for directory, _directories, names in os.walk(os.path.join(root, "etc")):
        found.extend(os.path.join(directory, name) for name in names if name.endswith(PROPOSAL_ENDINGS))
    return sorted(found)
