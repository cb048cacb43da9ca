# SPDX-License-Identifier: GPL-3.0-or-later
"""Drain ``postgresql``: a planned switchover from this primary to its replica, by the site's own command.

The command (repmgr, Patroni, or a script) does the switchover; this makes sure
that it is a planned one. It is only begun while this host is a healthy primary
whose replica streams and lags by nothing, it counts only once this host streams
from the new primary, and nothing is promoted, or begun again, after a failure.
"""

from typing import Any, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.drains.base import DrainProvider

QUERY_S = 30
#: Functions and views as of PostgreSQL 10 (documentation, 28.2 and 9.27).
RECOVERY = "SELECT pg_is_in_recovery()"
REPLICAS = (
    "SELECT application_name, coalesce(client_addr::text, ''), state,"
    " coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), -1)::bigint FROM pg_stat_replication"
)
RECEIVER = (
    "SELECT status, coalesce(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), -1)::bigint"
    " FROM pg_stat_wal_receiver"
)


class PostgresqlDrain(DrainProvider):
    """``postgresql`` is the replica, by its application_name or address; ``back`` switches back, if the site wants."""

    NAME = "postgresql"
    BACKS_OUT = False
    ELSEWHERE = False
    OPTIONS = {
        "postgresql": {"type": "str", "required": True},
        "switchover": {"type": "list", "elements": "str", "required": True},
        "back": {"type": "list", "elements": "str", "default": []},
        "port": {"type": "int", "default": 5432},
        "user": {"type": "str", "default": "postgres"},
        "psql": {"type": "str", "default": "psql"},
    }

    def validate(self) -> None:
        self.require_port("port")
        self.require_words("switchover")
        if self.options["back"]:
            self.require_words("back")

    def is_out(self) -> bool:
        # A replica is one by nature: it takes no writes, whoever has made it one.
        return False

    def require_ready(self) -> None:
        if self._in_recovery():
            why = self._not_streaming()
            if why:
                raise self.refused(why, "a replica that streams", "mend the replication first")
            return
        why = self._wait(self._behind)
        if why:
            raise self.refused(
                why,
                "a replica that streams and lags by nothing",
                "mend the replication, or wait until less is written; nothing was switched",
            )

    def leave(self) -> bool:
        if self._in_recovery():
            return False
        self.context.runner.run(self.options["switchover"], timeout_s=self.context.wait_s)
        return True

    def unmoved(self) -> Optional[str]:
        if not self._in_recovery():
            return "this host is still the primary"
        return self._not_streaming()

    def back(self) -> bool:
        if not self.options["back"] or not self._in_recovery():
            return False
        why = self._wait(self._not_streaming)
        if why:
            raise self.refused(why, "a replica that lags by nothing", "mend the replication; nothing was switched back")
        self.context.runner.run(self.options["back"], timeout_s=self.context.wait_s)
        return True

    def unreturned(self) -> Optional[str]:
        if self._in_recovery():
            return "it has not become the primary again" if self.options["back"] else self._not_streaming()
        return self._behind()

    def _wait(self, why: Any) -> Optional[str]:
        """Return why it is not so within the drain's time: a primary that works lags for moments."""
        end = self.context.clock.monotonic() + self.context.wait_s
        while True:
            reason: Optional[str] = why()
            if reason is None or self.context.clock.monotonic() >= end:
                return reason
            self.context.clock.sleep(1)

    def _behind(self) -> Optional[str]:
        peer = self.options["postgresql"]
        rows = [row for row in self._rows(REPLICAS) if peer in row[:2]]
        if len(rows) != 1:
            return "{} replicas of the name {} are connected".format(len(rows) or "no", peer)
        state, lag = rows[0][2], rows[0][3]
        if state != "streaming":
            return "replica {} is in state {}".format(peer, state)
        return None if lag == "0" else "replica {} lags by {} bytes".format(peer, lag)

    def _not_streaming(self) -> Optional[str]:
        rows = self._rows(RECEIVER)
        if not rows or rows[0][0] != "streaming":
            return "this replica does not stream ({})".format(rows[0][0] if rows else "no receiver")
        return None if rows[0][1] == "0" else "this replica lags by {} bytes".format(rows[0][1])

    def _in_recovery(self) -> bool:
        rows = self._rows(RECOVERY)
        if rows not in ([["t"]], [["f"]]):
            raise self.refused("PostgreSQL answered {!r}".format(rows), "t or f", "look at this server")
        return rows == [["t"]]

    def _rows(self, query: str) -> List[List[str]]:
        words = [self.options["psql"], "-X", "-w", "-A", "-t", "-F", "|", "-v", "ON_ERROR_STOP=1"]
        words += ["-p", str(self.options["port"]), "-d", "postgres", "-c", query]
        said = self.context.runner.run(["runuser", "-u", self.options["user"], "--"] + words, timeout_s=QUERY_S).stdout
        return [line.split("|") for line in said.splitlines() if line]
