# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's one error."""


class LabError(Exception):
    """Something the person at the machine can put right; the message says how."""
