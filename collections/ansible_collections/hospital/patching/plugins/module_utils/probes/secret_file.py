# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords of probes: in a file of the machine that reads, never in a definition, which plans and reports show."""

import os
import stat

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Inconclusive

LONGEST = 4096


def secret(path: str) -> str:
    """Return the first line of a file that only its owner may read.

    Raises:
        Inconclusive: it cannot be read, is empty, or others may read it.
    """
    try:
        with open(path, encoding="utf-8") as handle:
            mode = os.fstat(handle.fileno()).st_mode
            line = handle.readline(LONGEST).rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        raise Inconclusive("password_file {} cannot be read ({})".format(path, type(error).__name__))
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Inconclusive("password_file {} is open to others; chmod 600 it".format(path))
    if not line:
        raise Inconclusive("password_file {} is empty".format(path))
    return line
