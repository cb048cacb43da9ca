# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this host will wait for a disk passphrase when it starts: such a host is never rebooted automatically."""

import fnmatch
import os
from typing import Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.reboot_required import in_container

#: crypttab(5), systemd's and Debian's: names each disk, its device, its key file and its options.
CRYPTTAB = "etc/crypttab"
NO_KEY = ("none", "-", "")
#: Options with which a start goes on without this disk.
DISPENSABLE = ("noauto", "nofail")
#: Options that name a token whose PIN or touch somebody owes, whatever the key field holds beside them.
TOKENS = ("pkcs11-uri", "fido2-device")
#: Key scripts that ask nobody: a key on another device, in a TPM, or of another disk that is open. Most others of
#: Debian's (askpass, decrypt_gnupg, decrypt_keyctl, decrypt_opensc) ask, and of a host's own scripts nothing is known.
KEYSCRIPTS = ("passdev", "tpm2-*", "decrypt_derived")


def disks(text: str) -> List[str]:
    """Return the names of the disks in a crypttab whose passphrase somebody has to type at the start."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 2 or fields[0].startswith("#"):
            continue
        key = fields[2] if len(fields) > 2 else ""
        pairs = (option.partition("=") for option in (fields[3] if len(fields) > 3 else "").split(","))
        if _is_waiting(key, {name: value for name, _equals, value in pairs}):
            found.append(fields[0])
    return found


def _is_waiting(key: str, options: Dict[str, str]) -> bool:
    if any(name in options for name in DISPENSABLE):
        return False
    if "keyscript" in options:
        script = os.path.basename(options["keyscript"])
        return not any(fnmatch.fnmatchcase(script, known) for known in KEYSCRIPTS)
    if any(name in options for name in TOKENS):
        return True
    return key in NO_KEY and "tpm2-device" not in options


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
