# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves users away from a host, and lets them back, whichever way that is done.

Whoever takes over is proven to be healthy before; that users are gone, and
that they may come back, is proven afterwards. A drain that fails is taken back
at once, where that promotes nothing. A mark beside the host's journal says that
it was us who began: what somebody else has taken out is left alone.
"""

import contextlib
import json
import os
from typing import Any, Callable, Dict, NamedTuple, Optional

from ansible_collections.hospital.patching.plugins.module_utils.drains.base import DrainProvider
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

Moved = NamedTuple("Moved", [("changed", bool), ("detail", Dict[str, Any])])
EVERY_S = 1


class Mark:
    """The file that says that a run has begun to drain a host; it outlives a reboot."""

    def __init__(self, state_dir: str, host: str, run_id: str) -> None:
        safe = "".join(sign if sign.isalnum() or sign in "._-" else "%{:02x}".format(ord(sign)) for sign in host)
        self.path = os.path.join(state_dir, "drained-{}.json".format(safe))
        self.run_id = run_id

    def is_set(self) -> bool:
        """Say whether this run has set it; what cannot be read was not this run's."""
        try:
            with open(self.path) as handle:
                return bool(json.load(handle)["run_id"] == self.run_id)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def set(self) -> None:
        """Set it, durably, before anything is done.

        Raises:
            PatchingError: it cannot be written.
        """
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            with open(self.path, "w") as handle:
                json.dump({"run_id": self.run_id}, handle)
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            raise PatchingError(self.path, str(error), "a file that can be written", "make room on this machine")

    def clear(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def drain(provider: DrainProvider, mark: Mark, write: bool = True) -> Moved:
    """Move users away; with ``write`` false only say whether that could be begun.

    Raises:
        PatchingError: nothing was begun, or it was taken back, or the message says that a person has to look.
    """
    ours = mark.is_set()
    out = provider.is_out()
    if out and not ours:
        raise provider.refused(
            "its users are kept away already, and not by a run",
            "a host that serves",
            "ask who has taken it out; once it may be patched, bring it back and run again",
        )
    if not (out and ours):
        provider.require_ready()
    if not write:
        return Moved(not out, {"left": None})
    mark.set()
    try:
        return Moved(provider.leave(), {"left": _wait_for_users(provider)})
    except PatchingError as error:
        raise _taken_back(provider, mark, error)


def _wait_for_users(provider: DrainProvider) -> int:
    end = provider.context.clock.monotonic() + provider.context.wait_s
    why = _wait(provider, end, provider.unmoved)
    if why:
        raise provider.refused(
            "after {} s {}".format(provider.context.wait_s, why),
            "users that are moved away within that time",
            "look at it, and at patching_drain_wait_s",
        )
    left = provider.left()
    while left and provider.context.clock.monotonic() < end:
        provider.context.clock.sleep(EVERY_S)
        left = provider.left()
    if left and provider.options.get("when_limit", "refuse") == "refuse":
        raise provider.refused(
            "after {} s {} are not finished".format(provider.context.wait_s, left),
            "none within that time",
            "raise patching_drain_wait_s, or state when_limit: go_on",
        )
    return left


def _taken_back(provider: DrainProvider, mark: Mark, error: PatchingError) -> PatchingError:
    """Return what is told of a drain that failed, after it was taken back as far as that is safe."""
    if not provider.BACKS_OUT:
        next_step = "nothing is switched or promoted by itself after a failure; look at both hosts, then return.yml"
        return PatchingError(error.subject, error.seen, error.expected, next_step)
    try:
        give_back(provider, mark)
    except PatchingError as second:
        seen = "{}; taking it back failed too: {}".format(error.seen, second.seen)
        return PatchingError(error.subject, seen, error.expected, second.next_step)
    return PatchingError(error.subject, "{}; that was taken back".format(error.seen), error.expected, error.next_step)


def give_back(provider: DrainProvider, mark: Mark, write: bool = True) -> Moved:
    """Let users come back, and prove that they may; where none were moved away, nothing is to be proven.

    Raises:
        PatchingError: it is not proven within the drain's time.
    """
    if not mark.is_set() and not provider.is_out():
        return Moved(False, {"left": None})
    if not write:
        return Moved(True, {"left": None})
    changed = provider.back()
    why = _wait(provider, provider.context.clock.monotonic() + provider.context.wait_s, provider.unreturned)
    if why:
        raise provider.refused(
            "after {} s {}".format(provider.context.wait_s, why),
            "proof that users are back, or may come",
            "look at it; return.yml tries again",
        )
    mark.clear()
    return Moved(changed, {"left": None})


def _wait(provider: DrainProvider, end: float, why: Callable[[], Optional[str]]) -> Optional[str]:
    """Return why it is not so by then; what cannot be told may be a service that still starts."""
    clock = provider.context.clock
    while True:
        try:
            reason = why()
        except PatchingError as error:
            reason = error.seen
        if reason is None or clock.monotonic() >= end:
            return reason
        clock.sleep(EVERY_S)
