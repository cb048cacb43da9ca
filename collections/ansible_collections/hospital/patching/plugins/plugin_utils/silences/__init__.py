# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts of a host are silenced while it is patched: one monitor a file, all asked from the controller."""
