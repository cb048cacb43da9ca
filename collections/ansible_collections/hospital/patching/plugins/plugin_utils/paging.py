# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages a person: by a command of the site's choice, by a notification service, or by both.

What goes wrong is said without the service's address, which holds its password.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

TITLE = "hospital.patching"


@dataclass(frozen=True)
class Sent:
    """Whether anybody was paged, and what went wrong, one text a way of paging."""

    reached: bool
    problems: list[str]


@dataclass(frozen=True)
class Ready:
    """The kinds of paging that could be used now, and what is wrong with the others."""

    ways: tuple[str, ...]
    problems: list[str]


@dataclass(frozen=True)
class Pager:
    """The ways of paging; without any, nobody is paged and nothing goes wrong."""

    #: The words of a command that takes the message on its standard input.
    command: Sequence[str] = ()
    #: A notification service as apprise writes it.
    url: str = ""
    limit_s: float = 30
    #: The setting that holds ``url``, for messages.
    setting: str = "watch_page_url"

    def __bool__(self) -> bool:
        return bool(self.command or self.url)

    def page(self, message: str) -> Sent:
        """Send ``message`` every way there is: one that fails must not hinder the other."""
        problems = []
        if self.command:
            problems.append(_run(self.command, message, self.limit_s))
        if self.url:
            problems.append(_notify(self.url, message, self.limit_s, self.setting))
        return Sent(None in problems, [problem for problem in problems if problem])

    def ready(self) -> Ready:
        """Look, without sending anything, whether the command is there and the service's address is one.

        Whether a page then arrives, only a page can tell.
        """
        found: dict[str, str | None] = {}
        if self.command:
            there = shutil.which(self.command[0]) is not None
            found["command"] = None if there else f"the page command {self.command[0]} is no program that can be run"
        if self.url:
            service = _service(self.url, self.setting)
            found["notification"] = service if isinstance(service, str) else None
        ways = tuple(way for way, problem in found.items() if problem is None)
        return Ready(ways, [problem for problem in found.values() if problem])


def _run(command: Sequence[str], message: str, limit_s: float) -> str | None:
    """Return what went wrong, or None."""
    failed = f"the page command {command[0]} failed"
    try:
        with subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                _nothing, said = process.communicate(message + "\n", timeout=limit_s)
            except subprocess.TimeoutExpired:
                # All of its session: a child that holds our pipe would be waited for without end.
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                return f"{failed}: no end within {limit_s:g} s"
    except (OSError, ValueError) as error:
        return f"{failed}: {error}"
    if process.returncode == 0:
        return None
    return f"{failed} with exit code {process.returncode}: {' '.join(said.split())[-200:] or 'it said nothing'}"


def _service(url: str, setting: str) -> Any:
    """Return apprise's service, or as text why there is none."""
    try:
        import apprise  # noqa: PLC0415 (only a site that pages this way needs it)
    except ImportError:
        return f"{setting} needs the Python library apprise on the controller: pip install apprise"
    service = apprise.Apprise()
    return service if service.add(url) else f"{setting} is no notification service that apprise knows"


def _notify(url: str, message: str, limit_s: float, setting: str) -> str | None:
    """Return what went wrong, or None."""
    service = _service(url, setting)
    if isinstance(service, str):
        return service
    # The value of apprise.NotifyType.FAILURE.
    if service.notify(body=message, title=TITLE, notify_type="failure", timeout=limit_s):
        return None
    return f"the notification service ({url.partition(':')[0]}) did not take the page"


def page_all(urls: Sequence[str], message: str, setting: str) -> Sent:
    """Send ``message`` to every service; one that fails must not hinder the others."""
    answers = [Pager(url=url, setting=setting).page(message) for url in urls]
    return Sent(any(sent.reached for sent in answers), [problem for sent in answers for problem in sent.problems])
