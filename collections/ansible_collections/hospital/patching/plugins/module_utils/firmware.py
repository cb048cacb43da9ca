# SPDX-License-Identifier: GPL-3.0-or-later
"""What the firmware of a host says of itself: by its UUID a hypervisor knows which of its machines the host is."""

import os
import re
from typing import List, Optional

PRODUCT_UUID = "sys/class/dmi/id/product_uuid"


def dmi_uuid(root: str = "/") -> Optional[str]:
    """Return the UUID in the host's DMI table; None without one (a container, or hardware that has none)."""
    try:
        with open(os.path.join(root, PRODUCT_UUID), encoding="ascii") as handle:
            text = handle.read(100).strip().lower()
        uuid_forms(text)
    except (OSError, ValueError):
        return None
    return text


def uuid_forms(given: str) -> List[str]:
    """Return both texts of a machine's UUID, of which either may be what its firmware or a tool shows.

    VMware writes all 16 bytes in order; since SMBIOS 2.6 the first three fields are little-endian. So the product_uuid
    of one and the same machine has them turned round, or not, by the version of its virtual hardware.

    Raises:
        ValueError: no UUID, or the one that stands for none.
    """
    digits = re.sub(r"[-\s{}]", "", given.strip().lower())
    if digits.startswith("vmware"):  # the serial number: "VMware-56 4d …"
        digits = digits[len("vmware") :]
    if not re.match(r"[0-9a-f]{32}\Z", digits) or digits in ("0" * 32, "f" * 32):
        raise ValueError(given)
    pairs = [digits[number : number + 2] for number in range(0, 32, 2)]
    turned = pairs[3::-1] + pairs[5:3:-1] + pairs[7:5:-1] + pairs[8:]
    forms = ["".join(pairs), "".join(turned)]
    return ["-".join((one[:8], one[8:12], one[12:16], one[16:20], one[20:])) for one in forms]


def same_uuid(one: str, other: str) -> bool:
    """Return whether two texts are the UUID of one machine.

    Raises:
        ValueError: one of them is no UUID.
    """
    return uuid_forms(one)[0] in uuid_forms(other)
