# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.hospital.patching.plugins.plugin_utils import verification

OK = {"name": "url_1", "type": "http", "target": "http://x/health", "verdict": "ok", "detail": "200"}
BROKEN = {**OK, "verdict": "failed", "detail": "503"}
UNKNOWN = {**OK, "verdict": "inconclusive", "detail": "no answer"}
SAME = {"verdict": "ok", "problems": [], "marks_equal": True, "holds_equal": True}


def test_a_healthy_host_is_fit_to_start():
    assert verification.judge("portal1", [OK], None, {}).verdict == "ok"


def test_a_host_that_is_broken_before_is_refused_by_name():
    judged = verification.judge("portal1", [BROKEN], None, {})
    assert judged.verdict == "failed"
    assert "portal1" in judged.message
    assert "url_1" in judged.message


def test_healthy_before_and_after_with_exact_versions_is_ok():
    judged = verification.judge("portal1", [OK], [OK], SAME)
    assert (judged.verdict, judged.message, judged.marks_equal) == ("ok", "", True)


def test_broken_after_is_failed_and_inconclusive_after_never_passes():
    assert verification.judge("portal1", [OK], [BROKEN], SAME).verdict == "failed"
    assert verification.judge("portal1", [OK], [UNKNOWN], SAME).verdict == "inconclusive"


def test_a_wrong_version_fails_a_host_whose_probes_are_all_ok():
    problem = {"subject": "openssl", "seen": "1.0 installed", "expected": "1.1"}
    judged = verification.judge("portal1", [OK], [OK], {**SAME, "problems": [problem]})
    assert judged.verdict == "failed"
    assert "openssl: 1.0 installed" in judged.message
