# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Schema for hosts: the part of draft 2020-12 that the project's contracts use, standard library only.

A test holds it equal to the library ``jsonschema``, which the controller uses.
A keyword that is not known here is refused rather than ignored: an unchecked
rule would pass everything.
"""

import re
from typing import Any, Callable, Dict, List, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: Keywords that by themselves constrain nothing.
IGNORED = frozenset(
    ("$schema", "$id", "$comment", "$defs", "title", "description", "default", "examples", "deprecated", "format")
    # Read by `if`, and meaningless without it.
    + ("then", "else")
)


#: A place in the document: the text of the place above it, and what follows.
Path = Tuple[Any, ...]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TYPES: Dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _is_number,
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
}


def errors(instance: Any, schema: Any, documents: Optional[Dict[str, Any]] = None) -> List[str]:
    """Return every violation as ``$.path: what is wrong``; an empty list means valid.

    Args:
        documents: other schemas that ``$ref`` may name, by their ``$id``.

    Raises:
        ValueError: the schema uses a keyword that this validator does not know.
    """
    return _Validator(schema, documents or {}).check(instance, schema, ("$",))


def check(instance: Any, schema: Any, subject: str, documents: Optional[Dict[str, Any]] = None) -> None:
    """Raise PatchingError naming the first violations of ``instance``."""
    found = errors(instance, schema, documents)
    if found:
        raise PatchingError(
            subject,
            "; ".join(found[:3]) + (" and {} more".format(len(found) - 3) if len(found) > 3 else ""),
            "what its schema says",
            "do not edit it by hand; make it again, or use the release that wrote it",
        )


class _Validator:
    """Holds the root schema, against which ``$ref`` is resolved, and the other documents."""

    def __init__(self, root: Any, documents: Dict[str, Any]) -> None:
        self.root = root
        self.documents = documents

    def check(self, value: Any, schema: Any, path: Path) -> List[str]:
        if schema is True:
            return []
        if schema is False:
            return ["{}: is not allowed".format(_text(path))]
        found: List[str] = []
        for keyword, rule in schema.items():
            if keyword in IGNORED:
                continue
            if keyword not in _KEYWORDS:
                raise ValueError("schema keyword {!r} is not supported on hosts".format(keyword))
            found += _KEYWORDS[keyword](self, value, rule, schema, path)
        return found

    def reference(self, value: Any, rule: str, schema: Any, path: Path) -> List[str]:
        if rule == "#":
            return self.check(value, self.root, path)
        if rule in self.documents:
            document = self.documents[rule]
            return _Validator(document, self.documents).check(value, document, path)
        if not rule.startswith("#/$defs/") or rule.count("/") != 2:
            raise ValueError("$ref {!r} is not supported on hosts".format(rule))
        name = rule.rsplit("/", 1)[1]
        if name not in self.root.get("$defs", {}):
            raise ValueError("$ref {!r} leads nowhere".format(rule))
        return self.check(value, self.root["$defs"][name], path)

    def type(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        if not isinstance(rule, list):
            return _unless(_TYPES[rule](value), path, "is no {}", rule)
        return _unless(any(_TYPES[name](value) for name in rule), path, "is no {}", " or ".join(rule))

    def enum(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        return _unless(any(equal(value, one) for one in rule), path, "is none of {!r}", rule)

    def const(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        return _unless(equal(value, rule), path, "is not {!r}", rule)

    def required(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        if not isinstance(value, dict):
            return []
        return ["{}: lacks {}".format(_text(path), name) for name in rule if name not in value]

    def properties(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        found: List[str] = []
        if isinstance(value, dict):
            for name, inner in rule.items():
                if name in value:
                    found += self.check(value[name], inner, (path, ".", name))
        return found

    def pattern_properties(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        found: List[str] = []
        if isinstance(value, dict):
            for pattern, inner in rule.items():
                for name in value:
                    if re.search(pattern, name):
                        found += self.check(value[name], inner, (path, ".", name))
        return found

    def additional_properties(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        found: List[str] = []
        if isinstance(value, dict):
            patterns = list(schema.get("patternProperties", {}))
            for name in value:
                if name in schema.get("properties", {}) or any(re.search(pattern, name) for pattern in patterns):
                    continue
                found += self.check(value[name], rule, (path, ".", name))
        return found

    def property_names(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        found: List[str] = []
        if isinstance(value, dict):
            for name in value:
                found += self.check(name, rule, (path, ".", name, " (its name)"))
        return found

    def items(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        found: List[str] = []
        if isinstance(value, list):
            for number, item in enumerate(value):
                found += self.check(item, rule, (path, "[", number, "]"))
        return found

    def unique_items(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        if not rule or not isinstance(value, list):
            return []
        repeated = any(equal(one, other) for number, one in enumerate(value) for other in value[:number])
        return _unless(not repeated, path, "repeats an item")

    def pattern(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        fits = not isinstance(value, str) or re.search(rule, value) is not None
        return _unless(fits, path, "does not match {}", rule)

    def all_of(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        return [problem for inner in rule for problem in self.check(value, inner, path)]

    def any_of(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        # No early end: an unknown keyword is refused wherever it stands.
        fits = [not self.check(value, inner, path) for inner in rule]
        return _unless(any(fits), path, "fits none of its alternatives")

    def one_of(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        fits = [not self.check(value, inner, path) for inner in rule].count(True)
        return _unless(fits == 1, path, "fits {} of its alternatives instead of one", fits)

    def condition(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        branch = "else" if self.check(value, rule, path) else "then"
        return self.check(value, schema.get(branch, True), path)

    def negated(self, value: Any, rule: Any, schema: Any, path: Path) -> List[str]:
        return _unless(bool(self.check(value, rule, path)), path, "is what it must not be")


def _bound(
    kind: Callable[[Any], bool], measure: Callable[[Any], Any], ok: Callable[[Any, Any], bool], text: str
) -> Any:
    """Return a keyword that compares a measure of the value with a limit."""

    def keyword(_validator: _Validator, value: Any, rule: Any, _schema: Any, path: Path) -> List[str]:
        return _unless(not kind(value) or ok(measure(value), rule), path, text, rule)

    return keyword


def _at_least(value: Any, limit: Any) -> bool:
    return bool(value >= limit)


def _at_most(value: Any, limit: Any) -> bool:
    return bool(value <= limit)


def _itself(value: Any) -> Any:
    return value


_KEYWORDS: Dict[str, Any] = {
    "$ref": _Validator.reference,
    "type": _Validator.type,
    "enum": _Validator.enum,
    "const": _Validator.const,
    "required": _Validator.required,
    "properties": _Validator.properties,
    "patternProperties": _Validator.pattern_properties,
    "additionalProperties": _Validator.additional_properties,
    "propertyNames": _Validator.property_names,
    "items": _Validator.items,
    "uniqueItems": _Validator.unique_items,
    "pattern": _Validator.pattern,
    "allOf": _Validator.all_of,
    "anyOf": _Validator.any_of,
    "oneOf": _Validator.one_of,
    "not": _Validator.negated,
    "if": _Validator.condition,
    "minimum": _bound(_is_number, _itself, _at_least, "is less than {}"),
    "maximum": _bound(_is_number, _itself, _at_most, "is more than {}"),
    "minItems": _bound(_TYPES["array"], len, _at_least, "has fewer than {} items"),
    "maxItems": _bound(_TYPES["array"], len, _at_most, "has more than {} items"),
    "minLength": _bound(_TYPES["string"], len, _at_least, "is shorter than {}"),
    "maxLength": _bound(_TYPES["string"], len, _at_most, "is longer than {}"),
    "minProperties": _bound(_TYPES["object"], len, _at_least, "has fewer than {} entries"),
    "maxProperties": _bound(_TYPES["object"], len, _at_most, "has more than {} entries"),
}


def equal(one: Any, other: Any) -> bool:
    """Equality of JSON values: true is not 1, and 1.0 is 1 (section 4.2.2 of the core specification)."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(equal(left, right) for left, right in zip(one, other))
    return bool(one == other)


def _text(path: Path) -> str:
    """Put a place into words; most are never asked for."""
    return "".join(_text(part) if isinstance(part, tuple) else str(part) for part in path)


def _unless(fits: bool, path: Path, problem: str, *arguments: Any) -> List[str]:
    return [] if fits else ["{}: {}".format(_text(path), problem.format(*arguments))]
