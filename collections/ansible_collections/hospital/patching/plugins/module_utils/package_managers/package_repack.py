# SPDX-License-Identifier: GPL-3.0-or-later
"""What packing an installed package again has in common, whatever its format."""

import os
import shutil

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: Begins the name of the folder, beside the file that is to be made, in which a package is packed.
WORK = ".repack-"


def clear(folder: str) -> None:
    """Remove what a call that was killed left half packed in ``folder``."""
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if name.startswith(WORK):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def cannot(subject: str, seen: str) -> PatchingError:
    """Return the error of a package that cannot be packed; a path in ``seen`` may hold bytes that are no text."""
    return PatchingError(
        subject,
        seen.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        "an installed package that is whole",
        "reinstall it, or choose a snapshot as the way back",
    )
