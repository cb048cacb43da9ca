# SPDX-License-Identifier: GPL-3.0-or-later
"""What many probes of one host cost beyond the slowest of them, by the engine's own clock and with imports done.

Usage: python -m tests.bench.probing
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.probes import engine, registry
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import ProbeContext
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

PROBES, SLOW_S, REPEATS = 60, 1.0, 5
#: How much longer than the slowest probe all of them may take.
LIMIT_S = 0.5


class Page(BaseHTTPRequestHandler):
    """Answers at once, but for ``/slow``."""

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(SLOW_S)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Takes as many connections at once as there are probes."""

    request_queue_size = 2 * PROBES


@contextmanager
def server() -> Iterator[int]:
    """Give the port of a server on loopback."""
    with Server(("127.0.0.1", 0), Page) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.05,))
        thread.start()
        yield found.server_port
        found.shutdown()
        thread.join()


def measure(port: int) -> tuple[float, float]:
    """Return the seconds that all probes took, and those of the slowest."""
    clock = Clock()
    context = ProbeContext(Runner(), clock, Connector([], clock), "/proc")
    kinds = (
        {"type": "http", "url": f"http://127.0.0.1:{port}/"},
        {"type": "tcp", "host": "127.0.0.1", "port": port},
        {"type": "load"},
        {"type": "memory"},
    )
    wanted: list[dict[str, Any]] = [{"name": "slow", "type": "http", "url": f"http://127.0.0.1:{port}/slow"}]
    wanted += [{"name": f"probe {number}", **kinds[number % len(kinds)]} for number in range(1, PROBES)]
    probes = registry.build_all(wanted, False, context, [])
    begun = clock.monotonic()
    results = engine.run_probes(probes, clock)
    took_s = clock.monotonic() - begun
    wrong = [one for one in results if one["verdict"] != "ok"]
    if wrong:
        raise SystemExit(f"a probe of a healthy server is not ok: {wrong[0]}")
    return took_s, max(one["seconds_ms"] for one in results) / 1000


def report() -> None:
    """Measure, and print the worst of all times."""
    with server() as port:
        measure(port)  # the first one imports
        took_s, slowest_s = max((measure(port) for _ in range(REPEATS)), key=lambda one: one[0] - one[1])
    print(
        f"\n{PROBES} probes of one host, worst of {REPEATS}: {took_s:.2f} s, the slowest of them {slowest_s:.2f} s:"
        f" {took_s - slowest_s:.2f} s more, {LIMIT_S} s allowed"
    )


if __name__ == "__main__":
    report()
