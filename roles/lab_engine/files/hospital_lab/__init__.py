# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration hospital's machinery: real systemd hosts in containers, built from Debian's own packages.

Standard library only. Everything the lab keeps lies in one folder, see ``places``.
"""
