# SPDX-License-Identifier: GPL-3.0-or-later
"""Java libraries whose mere presence inside an application is a finding: attacked widely, and seldom updated with it.

A row is one CVE of one library: ranges of versions, each from the first
affected to the first fixed (None: never fixed), and where that is stated. Add
a row to extend the table, or give further rows to the scan as mappings
``{group, artifact, cve, affected: [[from, fixed]], source}``. A vendor may have
mended a library without changing its version: a finding is a question to ask.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.software.maven_version import compare

Ranges = Tuple[Tuple[str, Optional[str]], ...]
Rule = NamedTuple("Rule", [("group", str), ("artifact", str), ("cve", str), ("affected", Ranges), ("source", str)])

_LOG4J = "https://logging.apache.org/security.html"
_LOG4J1 = "https://logging.apache.org/log4j/1.x/"
_STRUTS = "https://cwiki.apache.org/confluence/display/WW/"
_ACTIVEMQ = "https://activemq.apache.org/security-advisories.data/CVE-2023-46604-announcement.txt"
_OPENWIRE: Ranges = (("0", "5.15.16"), ("5.16.0", "5.16.7"), ("5.17.0", "5.17.6"), ("5.18.0", "5.18.3"))
_COLLECTIONS = "https://commons.apache.org/proper/commons-collections/security-reports.html"

RULES: Tuple[Rule, ...] = (
    Rule(
        "org.apache.logging.log4j", "log4j-core", "CVE-2021-44228",
        (("2.0-beta9", "2.3.1"), ("2.4", "2.12.2"), ("2.13.0", "2.15.0")), _LOG4J,
    ),
    Rule(
        "org.apache.logging.log4j", "log4j-core", "CVE-2021-45046",
        (("2.0-beta9", "2.3.1"), ("2.4", "2.12.2"), ("2.13.0", "2.16.0")), _LOG4J,
    ),
    Rule(
        "org.apache.logging.log4j", "log4j-core", "CVE-2021-45105",
        (("2.0-alpha1", "2.3.1"), ("2.4", "2.12.3"), ("2.13.0", "2.17.0")), _LOG4J,
    ),
    Rule(
        "org.apache.logging.log4j", "log4j-core", "CVE-2021-44832",
        (("2.0-beta7", "2.3.2"), ("2.4", "2.12.4"), ("2.13.0", "2.17.1")), _LOG4J,
    ),
    Rule("log4j", "log4j", "CVE-2019-17571", (("1.2", None),), _LOG4J1),
    Rule("log4j", "log4j", "CVE-2021-4104", (("1.2", None),), _LOG4J1),
    Rule(
        "org.springframework", "spring-beans", "CVE-2022-22965",
        (("0", "5.2.20"), ("5.3.0", "5.3.18")), "https://spring.io/security/cve-2022-22965",
    ),
    Rule(
        "org.springframework.cloud", "spring-cloud-function-context", "CVE-2022-22963",
        (("0", "3.1.7"), ("3.2.0", "3.2.3")), "https://spring.io/security/cve-2022-22963",
    ),
    Rule(
        "org.apache.commons", "commons-text", "CVE-2022-42889",
        (("1.5", "1.10.0"),), "https://commons.apache.org/proper/commons-text/security.html",
    ),
    Rule("commons-collections", "commons-collections", "CVE-2015-7501", (("3.0", "3.2.2"),), _COLLECTIONS),
    Rule("org.apache.commons", "commons-collections4", "CVE-2015-7501", (("4.0", "4.1"),), _COLLECTIONS),
    Rule(
        "org.apache.struts", "struts2-core", "CVE-2017-5638",
        (("2.3.5", "2.3.32"), ("2.5", "2.5.10.1")), _STRUTS + "S2-045",
    ),
    Rule(
        "org.apache.struts", "struts2-core", "CVE-2023-50164",
        (("2.0.0", "2.5.33"), ("6.0.0", "6.3.0.2")), _STRUTS + "S2-066",
    ),
    Rule("org.apache.struts", "struts2-core", "CVE-2024-53677", (("2.0.0", "6.4.0"),), _STRUTS + "S2-067"),
    Rule("org.apache.activemq", "activemq-client", "CVE-2023-46604", _OPENWIRE, _ACTIVEMQ),
    Rule("org.apache.activemq", "activemq-openwire-legacy", "CVE-2023-46604", _OPENWIRE, _ACTIVEMQ),
    Rule(
        "com.thoughtworks.xstream", "xstream", "CVE-2021-39144",
        (("0", "1.4.18"),), "https://x-stream.github.io/CVE-2021-39144.html",
    ),
)  # fmt: skip

#: A class by which a copy is known that lost its name and its Maven properties: its version cannot be told. It may
#: lie below another directory (``WEB-INF/classes``).
MARKERS = {"org/apache/logging/log4j/core/lookup/JndiLookup.class": "log4j-core"}


class Library:
    """The rules of one artifact."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules

    @property
    def group(self) -> Optional[str]:
        """Maven's group id, None where no rule states one."""
        return next((rule.group for rule in self.rules if rule.group), None)

    def from_group(self, group: str) -> bool:
        """Return whether Maven's ``group`` is this library's; rows without a group take any."""
        return any(rule.group in ("", group) for rule in self.rules)

    def cves(self, version: Optional[str]) -> List[str]:
        """Return the CVEs that a version is affected by; all of them when it is not known."""
        return sorted(rule.cve for rule in self.rules if version is None or _within(version, rule.affected))


def _within(version: str, affected: Ranges) -> bool:
    return any(
        compare(version, first) >= 0 and (fixed is None or compare(version, fixed) < 0) for first, fixed in affected
    )


def marked(name: str) -> Optional[str]:
    """Return the artifact that an archive's entry of this name gives away."""
    for marker, artifact in MARKERS.items():
        if name.endswith(marker) and name[: -len(marker)][-1:] in ("", "/"):
            return artifact
    return None


def libraries(more: Sequence[Dict[str, Any]] = ()) -> Dict[str, Library]:
    """Return the libraries of the table and of ``more`` rows, by artifact.

    Raises:
        PatchingError: a row has not the table's shape.
    """
    by_artifact: Dict[str, List[Rule]] = {}
    for rule in list(RULES) + [_rule(row) for row in more]:
        by_artifact.setdefault(rule.artifact, []).append(rule)
    return {artifact: Library(rules) for artifact, rules in by_artifact.items()}


def _rule(row: Dict[str, Any]) -> Rule:
    unknown = sorted(set(map(str, row)) - set(Rule._fields)) if isinstance(row, dict) else []
    wrong = ""
    if not isinstance(row, dict) or not all(_is_text(row.get(key)) for key in ("artifact", "cve")):
        wrong = "no artifact or no cve"
    elif unknown:
        wrong = "unknown keys {}".format(", ".join(unknown))
    elif not isinstance(row.get("affected"), (list, tuple)) or not row["affected"]:
        wrong = "affected is no list of ranges"
    else:
        wrong = next(("the range {!r}".format(pair) for pair in row["affected"] if not _is_range(pair)), "")
    if wrong:
        raise PatchingError(
            "vulnerable library {!r}".format(row),
            wrong,
            "artifact, cve and affected: [['2.0', '2.17.1'], …] with the versions quoted, null when never fixed",
            "correct the entry",
        )
    affected = tuple((first, fixed) for first, fixed in row["affected"])
    return Rule(str(row.get("group") or ""), row["artifact"], row["cve"], affected, str(row.get("source") or ""))


def _is_range(pair: Any) -> bool:
    """Versions are text: YAML reads an unquoted 2.10 as the number 2.1."""
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        return False
    return _is_text(pair[0]) and (pair[1] is None or _is_text(pair[1]))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
