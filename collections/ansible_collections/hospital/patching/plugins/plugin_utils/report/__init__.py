# SPDX-License-Identifier: GPL-3.0-or-later
"""The morning's report of a run: built once as JSON, shown as a page and as text."""

from __future__ import annotations

from ansible_collections.hospital.patching.plugins.plugin_utils.report.html import render_html
from ansible_collections.hospital.patching.plugins.plugin_utils.report.model import MADE_BY, build_report, schema_path
from ansible_collections.hospital.patching.plugins.plugin_utils.report.text import render_text

__all__ = ["MADE_BY", "build_report", "render_html", "render_text", "schema_path"]
