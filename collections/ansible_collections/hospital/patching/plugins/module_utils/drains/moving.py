# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves users away from a host, and lets them back, whichever way that is done.

Whoever takes over is proven to be healthy before; that users are gone, and
that they may come back, is proven afterwards. A drain that fails is taken back
at once, where that promotes nothing. A mark beside the host's journal says that
it was us who began: what somebody else has taken out is left alone, also when
the host is returned.
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
    """The files that say that a run has begun to drain a host, or left it to whoever had; they outlive a reboot."""

    def __init__(self, state_dir: str, host: str, run_id: str) -> None:
        safe = "".join(sign if sign.isalnum() or sign in "._-" else "%{:02x}".format(ord(sign)) for sign in host)
        self.path = os.path.join(state_dir, "drained-{}.json".format(safe))
        # Beside the mark, which may be that of another run.
        self.left_path = os.path.join(state_dir, "drain-left-{}.json".format(safe))
        self.run_id = run_id

    def is_set(self) -> bool:
        """Say whether this run has set it; what cannot be read was not this run's."""
        return self._read(self.path).get("run_id") == self.run_id

    def is_whole(self) -> bool:
        """Say whether the drain that this run has begun was proven; one that was killed or has failed was not."""
        return self.is_set() and self._read(self.path).get("whole") is True

    def is_left(self) -> bool:
        """Say whether this run found the host taken out by somebody else, and left it so."""
        return self._read(self.left_path).get("run_id") == self.run_id

    def set(self, whole: bool = False) -> None:
        """Set it, durably, before anything is done, and again once that is proven.

        Raises:
            PatchingError: it cannot be written.
        """
        self._write(self.path, {"run_id": self.run_id, "whole": whole})

    def leave(self) -> None:
        """Keep that somebody else has taken the host out; raises as :meth:`set`."""
        self._write(self.left_path, {"run_id": self.run_id})

    def clear(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    @staticmethod
    def _read(path: str) -> Dict[str, Any]:
        try:
            with open(path) as handle:
                found = json.load(handle)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @staticmethod
    def _write(path: str, content: Dict[str, Any]) -> None:
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with open(path, "w") as handle:
                json.dump(content, handle)
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            raise PatchingError(path, str(error), "a file that can be written", "make room on this machine")


def drain(provider: DrainProvider, mark: Mark, write: bool = True) -> Moved:
    """Move users away; with ``write`` false only say whether that could be begun.

    Raises:
        PatchingError: nothing was begun, or it was taken back, or the message says that a person has to look.
    """
    ours = mark.is_set()
    out = provider.is_out()
    if out and not ours:
        if write:
            mark.leave()
        raise provider.refused(
            "its users are kept away already, and not by a run",
            "a host that serves",
            "ask who has taken it out; once it may be patched, bring it back and run again",
        )
    if ours and not provider.BACKS_OUT and not mark.is_whole():
        _require_moved(provider)
    if not (out and ours):
        provider.require_ready()
    if not write:
        return Moved(not out, {"left": None})
    if not mark.is_whole():
        mark.set()
    try:
        moved = Moved(provider.leave(), {"left": _wait_for_users(provider)})
        mark.set(whole=True)
    except PatchingError as error:
        raise _taken_back(provider, mark, error)
    return moved


def _require_moved(provider: DrainProvider) -> None:
    """Refuse to begin once more what was begun and never proven, where that could promote something."""
    why = provider.unmoved()
    if why:
        raise provider.refused(
            "it was begun before and its end is not known; {}".format(why),
            "a drain that is begun once",
            "nothing is switched or promoted by itself after a failure; look at both hosts, then return.yml",
        )


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
    if not mark.is_set():
        _require_not_ours(provider, mark)
        return Moved(False, {"left": None})
    if not write:
        return Moved(True, {"left": None})
    # A switchover that has failed is not followed by another one.
    changed = provider.back() if provider.BACKS_OUT or mark.is_whole() else False
    why = _wait(provider, provider.context.clock.monotonic() + provider.context.wait_s, provider.unreturned)
    if why:
        raise provider.refused(
            "after {} s {}".format(provider.context.wait_s, why),
            "proof that users are back, or may come",
            "look at it; return.yml tries again",
        )
    mark.clear()
    return Moved(changed, {"left": None})


def _require_not_ours(provider: DrainProvider, mark: Mark) -> None:
    """Refuse to say that a host is returned which is out, and which this run neither drained nor found like that."""
    if not mark.is_left() and provider.is_out():
        raise provider.refused(
            "its users are kept away, and not by this run",
            "a host that serves, or that this run has drained",
            "ask who has taken it out and bring it back; return.yml then releases it",
        )


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
