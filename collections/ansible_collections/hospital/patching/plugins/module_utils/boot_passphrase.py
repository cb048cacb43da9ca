# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this host will wait for a disk passphrase when it starts: such a host is never rebooted automatically."""

import os
from typing import List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.reboot_required import in_container

#: crypttab(5), systemd's and Debian's: names each disk, its device, its key file and its options.
CRYPTTAB = "etc/crypttab"
NO_KEY = ("none", "-", "")
#: Options with which a start goes on without anybody: another source of the key, or a disk that need not be there.
UNATTENDED = ("noauto", "nofail", "tpm2-device", "pkcs11-uri", "keyscript")


def disks(text: str) -> List[str]:
    """Return the names of the disks in a crypttab whose passphrase somebody has to type at the start."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 2 or fields[0].startswith("#"):
            continue
        key = fields[2] if len(fields) > 2 else ""
        options = [option.split("=")[0] for option in (fields[3] if len(fields) > 3 else "").split(",")]
        if key in NO_KEY and not any(option in UNATTENDED for option in options):
            found.append(fields[0])
    return found


def reason(root: str = "/") -> Optional[str]:
    """Return why a reboot needs a person, or None; a table that cannot be read counts as one that needs one."""
    if in_container(root):
        return None
    try:
        with open(os.path.join(root, CRYPTTAB), encoding="utf-8", errors="replace") as handle:
            waiting = disks(handle.read())
    except FileNotFoundError:
        return None
    except OSError as error:
        return "/{} cannot be read ({})".format(CRYPTTAB, error.strerror)
    return "it will wait for the passphrase of {}".format(", ".join(waiting)) if waiting else None
