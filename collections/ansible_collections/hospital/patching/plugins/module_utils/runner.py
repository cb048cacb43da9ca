# SPDX-License-Identifier: GPL-3.0-or-later
"""Running commands with a C locale, a time limit and no terminal."""

import contextlib
import os
import re
import signal
import subprocess
import threading
from typing import IO, Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

Result = NamedTuple("Result", [("args", List[str]), ("rc", int), ("stdout", str), ("stderr", str)])


#: For how long a command may clean up after its time limit: rpm, if it is killed, leaves locks in its database.
GRACE_S = 10

#: A login ends at the last ``@`` before the path. A password may hold ``@`` and, against RFC 3986, ``/``: after a
#: colon it ends at the last ``@`` of the word. Without one, what follows the slash is a path (``/results/@group/``).
_LOGIN = re.compile(r"//(?:[^/\s:]*:(?:(?!://)\S)*|[^/\s]*)@")
_QUERY = re.compile(r"""([a-z][a-z0-9+.-]*:/[^\s?]*\?)([^\s"'<>)]+)""", re.IGNORECASE)


def without_logins(text: str, shown: str = "***@") -> str:
    """Return ``text`` with the secrets of every URL in it replaced, so that none reaches a log or report.

    ``shown`` stands for a login, ``***`` for each value in a query, and for a query that names no value.
    """
    return _QUERY.sub(_without_values, _LOGIN.sub("//" + shown, text))


def _without_values(match: "re.Match[str]") -> str:
    parts = [name + equals + "***" if equals else "***" for name, equals, _value in _parts(match.group(2))]
    return match.group(1) + "&".join(parts)


def _parts(query: str) -> List[Tuple[str, str, str]]:
    return [part.partition("=") for part in query.split("&")]


def _start(args: List[str], env: Optional[Dict[str, str]] = None, **options: Any) -> "subprocess.Popen[bytes]":
    """Start a command in a process group of its own."""
    environment = dict(os.environ, LC_ALL="C.UTF-8", LANGUAGE="C", **(env or {}))
    try:
        # run_command has no time limit and no process group, and needs an AnsibleModule.
        return subprocess.Popen(  # pylint: disable=ansible-bad-function
            args, stdout=subprocess.PIPE, env=environment, start_new_session=True, **options
        )
    except OSError as error:
        raise PatchingError(args[0], str(error), "an executable command", "install it or correct PATH")


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process group to end, and kill what of it is left."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.communicate(timeout=GRACE_S)
        _kill(process)  # what has neither ended nor kept the output open
    except subprocess.TimeoutExpired:
        _kill(process)
        process.communicate()


class Runner:
    """Runs commands; tests replace it by a double that answers from recordings."""

    def run(
        self,
        args: List[str],
        timeout_s: int = 300,
        env: Optional[Dict[str, str]] = None,
        text_in: Optional[str] = None,
        cwd: Optional[str] = None,
        check: bool = True,
    ) -> Result:
        """Run ``args`` without a shell and return its result.

        Output is decoded as UTF-8 with replacement, so a broken encoding never
        raises. When ``timeout_s`` has passed, the whole process group is asked to end,
        and killed :data:`GRACE_S` later.

        Raises:
            PatchingError: the command is missing, timed out, or (with ``check``)
                exited with another status than 0.
        """
        stdin = subprocess.PIPE if text_in is not None else subprocess.DEVNULL
        process = _start(args, env, stdin=stdin, stderr=subprocess.PIPE, cwd=cwd)
        try:
            out, err = process.communicate(None if text_in is None else text_in.encode("utf-8"), timeout_s)
        except subprocess.TimeoutExpired:
            _end(process)
            raise PatchingError(
                " ".join(args[:3]),
                "no end after {} s".format(timeout_s),
                "an end within that time",
                "look at what it waits for on the host, then run again",
            )
        result = Result(args, process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))
        if check and result.rc != 0:
            said = without_logins((result.stderr or result.stdout).strip()[-10000:])  # masked whole, then cut
            raise PatchingError(
                " ".join(args[:3]),
                "exit {}: {}".format(result.rc, said[-600:]),
                "exit 0",
                "correct what the command names, then run again",
            )
        return result

    def run_bounded(self, args: List[str], limit_bytes: int, timeout_s: int = 300) -> Result:
        """Run ``args`` and return its result, whatever its exit code; errors that it prints are not kept.

        It is killed when ``timeout_s`` has passed, or when it prints more than
        ``limit_bytes``, so that no answer fills the memory.

        Raises:
            PatchingError: the command is missing, timed out, or printed too much.
        """
        process = _start(args, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        late = threading.Event()

        def stop() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(timeout_s, stop)
        timer.start()
        try:
            out = process.stdout.read(limit_bytes + 1) if process.stdout else b""
            if len(out) <= limit_bytes:
                process.wait()  # ended by the timer at the latest
        finally:
            timer.cancel()
            if process.returncode is None:
                _kill(process)
            if process.stdout:
                process.stdout.close()
            process.wait()
        seen, expected = "no end after {} s".format(timeout_s), "an end within that time"
        if len(out) > limit_bytes and not late.is_set():
            seen, expected = "it prints more than {} bytes".format(limit_bytes), "a short answer"
        elif not late.is_set():
            return Result(args, process.returncode, out.decode("utf-8", "replace"), "")
        raise PatchingError(args[0], seen, expected, "run it by hand on the host and look at what it does")

    @contextlib.contextmanager
    def stream(self, args: List[str], timeout_s: int = 300) -> Iterator[IO[bytes]]:
        """Give what ``args`` writes while it runs, for more than memory holds; errors that it prints are not kept.

        It is killed when the context ends before it, or after ``timeout_s``.

        Raises:
            PatchingError: the command is missing, or exited with another status than 0.
        """
        process = _start(args, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        output = process.stdout
        timer = threading.Timer(timeout_s, _kill, [process])
        timer.start()
        try:
            if output is None:
                raise ValueError("no standard output")
            yield output
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)  # it has ended, unless its reader wants no more
            if process.returncode:
                raise PatchingError(
                    " ".join(args[:3]),
                    "exit {}".format(process.returncode),
                    "exit 0 within {} s".format(timeout_s),
                    "run it by hand on the host and correct what it names",
                )
        finally:
            timer.cancel()
            if process.returncode is None:
                _kill(process)
            process.communicate()
