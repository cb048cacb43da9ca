# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import gc

import pytest

from ansible_collections.hospital.patching.plugins.plugin_utils.collecting import paused


@pytest.fixture
def collecting():
    yield
    gc.enable()


@pytest.mark.usefixtures("collecting")
def test_it_is_off_meanwhile_and_on_again_whatever_happens():
    gc.enable()
    seen = []

    @paused()
    def broken():
        seen.append(gc.isenabled())
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken()
    assert (seen, gc.isenabled()) == ([False], True)


@pytest.mark.usefixtures("collecting")
def test_where_it_was_off_it_stays_off():
    gc.disable()
    with paused():
        assert not gc.isenabled()
    assert not gc.isenabled()
