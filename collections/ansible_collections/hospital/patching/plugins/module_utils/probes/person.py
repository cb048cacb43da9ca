# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``person``: what only somebody who works with the application can tell.

It is not read on a host's journey, in the middle of the night: the gate asks for
the answer before it begins the broad ring of the service, and ``answer.yml`` gives it.
"""

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import (
    COMMON_OPTIONS,
    Inconclusive,
    Probe,
    Reading,
)

LONGEST_ASK = 300
#: A minute to a week.
WITHIN_S = (60, 604800)


class PersonProbe(Probe):
    """Reads nothing: whoever is asked answers elsewhere."""

    NAME = "person"
    VANTAGE = "controller"
    OPTIONS = {
        "ask": {"type": "str", "required": True},
        "who": {"type": "list", "elements": "str", "required": True},
        "within_s": {"type": "int", "default": 3600},
        "signed": {"type": "bool", "default": False},
    }

    def validate(self) -> None:
        ask = self.options["ask"]
        if not ask.strip() or len(ask) > LONGEST_ASK or len(ask.splitlines()) != 1:
            raise self.bad_option("ask {!r}".format(ask[:40]), "one line of 1 to {} characters".format(LONGEST_ASK))
        who = [" ".join(name.split()).lower() for name in self.options["who"]]
        if not who or not all(who) or len(set(who)) < len(who):
            raise self.bad_option("who {!r}".format(self.options["who"]), "different names of people, at least one")
        if not WITHIN_S[0] <= self.options["within_s"] <= WITHIN_S[1]:
            raise self.bad_option(
                "within_s is {}".format(self.options["within_s"]), "{} to {} seconds".format(*WITHIN_S)
            )
        if self.timeout_s != COMMON_OPTIONS["timeout_s"]["default"]:
            raise self.bad_option("timeout_s is {}".format(self.timeout_s), "within_s, the time that people have")

    def target(self) -> str:
        return ", ".join(self.options["who"])

    def look(self) -> Reading:
        raise Inconclusive(
            "only a person can tell ({}): the gate asks before the broad ring".format(self.options["ask"])
        )
