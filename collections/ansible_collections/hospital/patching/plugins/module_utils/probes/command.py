# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``command``: what a command of the site says, which only reads."""

import re

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed, Probe, Reading

OUTPUT_LIMIT = 1024 * 1024


class CommandProbe(Probe):
    """Runs a program without a shell and judges its exit code and, where asked, its output, which is not kept."""

    NAME = "command"
    OPTIONS = {
        "command": {"type": "list", "elements": "str", "required": True},
        "exit_codes": {"type": "list", "elements": "int", "default": [0]},
        "text_regexp": {"type": "str"},
    }

    def validate(self) -> None:
        words = self.options["command"]
        if not words or not words[0] or any("\x00" in word for word in words):
            raise self.bad_option("a command without a program", "[PROGRAM, ARGUMENT, ...]; there is no shell")
        if len(words) == 1 and re.search(r"\s", words[0]):
            # A line of text would be looked for as one program of that name, and never be found.
            raise self.bad_option("a command in one text", "[PROGRAM, ARGUMENT, ...]; there is no shell")
        self.regexp = None
        if self.options["text_regexp"] is not None:
            try:
                self.regexp = re.compile(self.options["text_regexp"])
            except re.error as error:
                raise self.bad_option("text_regexp: {}".format(error), "a regular expression")

    def target(self) -> str:
        # The arguments are left out: one may be a token.
        return str(self.options["command"][0])

    def look(self) -> Reading:
        seen = self.context.runner.run_bounded(self.options["command"], OUTPUT_LIMIT, timeout_s=self.timeout_s)
        value = {"exit_code": seen.rc}
        if seen.rc not in self.options["exit_codes"]:
            expected = " or ".join(str(code) for code in self.options["exit_codes"])
            raise Failed("exit code {}, expected {}".format(seen.rc, expected), value)
        if self.regexp is not None and not self.regexp.search(seen.stdout):
            raise Failed("its output does not match {!r}".format(self.options["text_regexp"]), value)
        return Reading("exit code {}".format(seen.rc), value)
