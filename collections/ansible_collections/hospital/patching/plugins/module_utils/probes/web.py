# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe ``http``: does the page a user opens answer as it should?"""

import re
from typing import Any, Dict, List, Optional

from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Failed
from ansible_collections.hospital.patching.plugins.module_utils.probes.libraries import optional, required
from ansible_collections.hospital.patching.plugins.module_utils.probes.web_page import (
    MEGABYTE,
    PAGE_OPTIONS,
    PageProbe,
)

BODY_LIMIT = MEGABYTE


class HttpProbe(PageProbe):
    """Reads one URL and compares status, headers, JSON values or text."""

    NAME = "http"
    OPTIONS = dict(
        PAGE_OPTIONS,
        method={"type": "str", "choices": ["GET", "HEAD"], "default": "GET"},
        status={"type": "list", "elements": "int", "default": [200]},
        headers_equal={"type": "dict", "default": {}},
        json_equal={"type": "dict", "default": {}},
        jmespath={"type": "list", "elements": "str", "default": []},
        text_regexp={"type": "str"},
        body_limit_bytes={"type": "int", "default": BODY_LIMIT},
    )

    def validate(self) -> None:
        super().validate()
        self.regexp = None
        if self.options["text_regexp"] is not None:
            try:
                self.regexp = re.compile(self.options["text_regexp"])
            except re.error as error:
                raise self.bad_option("text_regexp: {}".format(error), "a regular expression")
        if self.options["method"] == "HEAD" and self.judges_body():
            raise self.bad_option("method HEAD with a check of the body", "GET")
        # Only where the library is: on the controller it is, so a bad expression does not reach a night.
        jmespath = optional("jmespath") if self.options["jmespath"] else None
        for expression in self.options["jmespath"]:
            try:
                if jmespath is not None:
                    jmespath.compile(expression)
            except ValueError:
                raise self.bad_option("jmespath {!r}".format(expression), "a JMESPath expression like status == 'UP'")

    def libraries(self) -> List[str]:
        return ["jmespath"] if self.options["jmespath"] else []

    def method(self) -> str:
        return str(self.options["method"])

    def body_limit(self) -> int:
        return int(self.options["body_limit_bytes"])

    def judge_head(self, response: Any, value: Dict[str, Any]) -> None:
        if response.status not in self.options["status"]:
            expected = " or ".join(str(status) for status in self.options["status"])
            raise Failed("status {}, expected {}".format(response.status, expected), value)
        for header, expected in sorted(self.options["headers_equal"].items()):
            if response.getheader(header) != str(expected):
                raise Failed("header {} is not {!r}".format(header, str(expected)), value)

    def judges_body(self) -> bool:
        return bool(self.regexp or self.options["json_equal"] or self.options["jmespath"])

    def judge_body(self, body: bytes, value: Dict[str, Any]) -> None:
        if self.regexp and not self.regexp.search(body.decode("utf-8", "replace")):
            raise Failed("the text does not match {!r}".format(self.options["text_regexp"]), value)
        if not self.options["json_equal"] and not self.options["jmespath"]:
            return
        document = self.document(body, value)
        for path, expected in sorted(self.options["json_equal"].items()):
            # What was seen instead is not said: an answer may hold patient data.
            if not _equal(_at(document, str(path)), expected):
                raise Failed("JSON {} is not {!r}".format(path, expected), value)
        for expression in self.options["jmespath"]:
            self._judge_expression(expression, document, value)

    def _judge_expression(self, expression: str, document: Any, value: Dict[str, Any]) -> None:
        jmespath = required("jmespath")
        try:
            answer = jmespath.search(expression, document)
        except ValueError:  # all of the library's errors are
            raise Failed("{} cannot be worked out on the answer".format(expression), value)
        # A text such as "DOWN" would be true enough for a programming language.
        if answer is not True:
            raise Failed("{} is not true".format(expression), value)


def _at(document: Any, path: str) -> Optional[Any]:
    """Return the value at a dotted path such as ``rest.0.mode``, or None."""
    for part in path.split("."):
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            return None
    return document


def _equal(seen: Any, expected: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    return isinstance(seen, bool) == isinstance(expected, bool) and seen == expected
