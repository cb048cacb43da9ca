# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import gc

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.collecting import collecting_paused


@pytest.fixture
def collecting():
    yield
    gc.enable()


@pytest.mark.usefixtures("collecting")
def test_it_is_off_meanwhile_and_on_again_whatever_happens():
    gc.enable()
    seen = []

    @collecting_paused()
    def breaks():
        seen.append(gc.isenabled())
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        breaks()
    assert seen == [False]
    assert gc.isenabled()


@pytest.mark.usefixtures("collecting")
def test_where_it_was_off_it_stays_off():
    gc.disable()
    with collecting_paused():
        assert not gc.isenabled()
    assert not gc.isenabled()
