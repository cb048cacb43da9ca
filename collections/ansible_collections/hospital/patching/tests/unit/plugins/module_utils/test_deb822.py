# SPDX-License-Identifier: GPL-3.0-or-later
"""Paragraphs of control files."""

from ansible_collections.hospital.patching.plugins.module_utils import deb822


def test_fields_and_continuations():
    text = "Package: a\nDescription: short\n long\n .\n# comment\nVersion: 1\n\n\nPackage: b\n"
    assert list(deb822.paragraphs(text)) == [
        {"Package": "a", "Description": "short\n long\n .", "Version": "1"},
        {"Package": "b"},
    ]


def test_damage_costs_only_its_own_line():
    text = "Package: a\nrubbish without meaning\nVersion: 1\n\n\x00\x00\n\n continuation of nothing\nPackage: b\n"
    assert list(deb822.paragraphs(text)) == [{"Package": "a", "Version": "1"}, {"Package": "b"}]


def test_rendered_text_reads_back():
    fields = {"Package": "a", "Description": "short\n long"}
    assert list(deb822.paragraphs(deb822.render(fields) + deb822.render(fields))) == [fields, fields]
