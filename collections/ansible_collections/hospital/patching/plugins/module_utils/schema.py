# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Schema for hosts: the part of draft 2020-12 that the project's contracts use, standard library only.

A test holds it equal to the library ``jsonschema``, which the controller uses.
A keyword that is not known here is refused rather than ignored: an unchecked
rule would pass everything.
"""

import operator
import re
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

#: Keywords that by themselves constrain nothing.
IGNORED = frozenset(
    ("$schema", "$id", "$comment", "$defs", "title", "description", "default", "examples", "deprecated", "format")
    # Read by `if`, and meaningless without it.
    + ("then", "else")
)


#: Where something is wrong, from the value that was asked about downwards, and what.
Problems = Tuple[Tuple[Tuple[str, ...], str], ...]
Check = Callable[[Any], Problems]
NONE: Problems = ()


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
#: Kinds of values that need no second look.
_USUAL: Dict[str, Tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "number": (int, float),
    "integer": (int,),
}


class Validator:
    """A schema made ready: every rule is looked at once, here, and then only called."""

    def __init__(self, schema: Any, documents: Optional[Dict[str, Any]] = None) -> None:
        """Prepare ``schema``.

        Args:
            documents: other schemas that ``$ref`` may name, by their ``$id``.

        Raises:
            ValueError: it uses a keyword or a ``$ref`` that this validator does not know.
        """
        maker = _Maker(schema, documents or {}, {}, [])
        self._check, self._fitting = maker.check(schema, brief=False), maker.fitting

    def errors(self, instance: Any) -> List[str]:
        """Return every violation as ``$.path: what is wrong``; an empty list means valid."""
        try:
            return ["{}: {}".format("".join(("$",) + place), text) for place, text in self._check(instance)]
        finally:
            for known in self._fitting:
                known.clear()


def errors(instance: Any, schema: Any, documents: Optional[Dict[str, Any]] = None) -> List[str]:
    """Return what `Validator` finds; who asks often keeps one."""
    return Validator(schema, documents).errors(instance)


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


class _Maker:
    """Makes checks of rules; holds the root schema, against which ``$ref`` is resolved, and the other documents.

    A brief check ends with the first problem; it is enough for who asks whether a value fits.
    What fits what a ``$ref`` names is kept in ``fitting`` while one document is checked.
    """

    def __init__(
        self,
        root: Any,
        documents: Dict[str, Any],
        made: Dict[Tuple[int, str, bool], Check],
        fitting: List[Set[int]],
    ) -> None:
        self.root = root
        self.documents = documents
        self.made = made
        self.fitting = fitting

    def check(self, schema: Any, brief: bool) -> Check:
        if schema is True:
            return _fits
        if schema is False:
            return _always("is not allowed")
        checks = []
        for keyword, rule in schema.items():
            if keyword in IGNORED:
                continue
            if keyword not in _KEYWORDS:
                raise ValueError("schema keyword {!r} is not supported on hosts".format(keyword))
            checks.append(_KEYWORDS[keyword](self, rule, schema, brief))
        return _all([one for one in checks if one is not _fits], brief)

    def reference(self, rule: str, schema: Any, brief: bool) -> Check:
        if rule in self.documents:
            document = self.documents[rule]
            return _Maker(document, self.documents, self.made, self.fitting).target(document, rule, brief)
        if rule == "#":
            return self.target(self.root, rule, brief)
        if not rule.startswith("#/$defs/") or rule.count("/") != 2:
            raise ValueError("$ref {!r} is not supported on hosts".format(rule))
        name = rule.rsplit("/", 1)[1]
        if name not in self.root.get("$defs", {}):
            raise ValueError("$ref {!r} leads nowhere".format(rule))
        return self.target(self.root["$defs"][name], rule, brief)

    def target(self, schema: Any, rule: str, brief: bool) -> Check:
        """Return the check of what a ``$ref`` names, made once: it may name what it stands in."""
        key = (id(self.root), rule, brief)
        if key not in self.made:
            self.made[key] = partial(self.again, key)  # until it is made
            self.made[key] = self.once(self.check(schema, brief))
        return self.made[key]

    def once(self, check: Check) -> Check:
        """Return a check that looks only once at an object that stands in several places of a document."""
        fitting: Set[int] = set()
        self.fitting.append(fitting)

        def checked(value: Any) -> Problems:
            if id(value) in fitting:
                return NONE
            problems = check(value)
            if not problems:
                fitting.add(id(value))
            return problems

        return checked

    def again(self, key: Tuple[int, str, bool], value: Any) -> Problems:
        return self.made[key](value)

    def type(self, rule: Any, schema: Any, brief: bool) -> Check:
        names = rule if isinstance(rule, list) else [rule]
        usual = frozenset(kind for name in names for kind in _USUAL[name])
        problem = _problem("is no {}", " or ".join(names))

        def checked(value: Any) -> Problems:
            return NONE if type(value) in usual or any(_TYPES[name](value) for name in names) else problem

        return checked

    def enum(self, rule: Any, schema: Any, brief: bool) -> Check:
        return _one_of_values(rule, _problem("is none of {!r}", rule))

    def const(self, rule: Any, schema: Any, brief: bool) -> Check:
        return _one_of_values([rule], _problem("is not {!r}", rule))

    def required(self, rule: Any, schema: Any, brief: bool) -> Check:
        names, lacking = frozenset(rule), _problem("lacks some of {}", rule)

        def checked(value: Any) -> Problems:
            if not isinstance(value, dict) or names <= value.keys():
                return NONE
            if brief:
                return lacking
            return tuple(((), "lacks {}".format(name)) for name in rule if name not in value)

        return checked

    def properties(self, rule: Any, schema: Any, brief: bool) -> Check:
        inner = [(name, self.check(one, brief)) for name, one in rule.items()]
        inner = [(name, one) for name, one in inner if one is not _fits]

        def checked(value: Any) -> Problems:
            found = NONE
            if isinstance(value, dict):
                for name, one in inner:
                    if name in value:
                        problems = one(value[name])
                        if problems:
                            found += _below(problems, ".", name)
                            if brief:
                                break
            return found

        return checked

    def pattern_properties(self, rule: Any, schema: Any, brief: bool) -> Check:
        inner = [(re.compile(pattern), self.check(one, brief)) for pattern, one in rule.items()]

        def checked(value: Any) -> Problems:
            found = NONE
            if isinstance(value, dict):
                for pattern, one in inner:
                    for name in value:
                        if pattern.search(name):
                            found += _below(one(value[name]), ".", name)
            return found

        return checked

    def additional_properties(self, rule: Any, schema: Any, brief: bool) -> Check:
        one = self.check(rule, brief)
        declared = frozenset(schema.get("properties", {}))
        patterns = [re.compile(pattern) for pattern in schema.get("patternProperties", {})]

        def checked(value: Any) -> Problems:
            found = NONE
            if isinstance(value, dict) and not value.keys() <= declared:
                for name in value:
                    if name not in declared and not any(pattern.search(name) for pattern in patterns):
                        problems = one(value[name])
                        if problems:
                            found += _below(problems, ".", name)
            return found

        return checked

    def property_names(self, rule: Any, schema: Any, brief: bool) -> Check:
        one = self.check(rule, brief)

        def checked(value: Any) -> Problems:
            found = NONE
            if isinstance(value, dict):
                for name in value:
                    found += _below(one(name), ".", name, " (its name)")
            return found

        return checked

    def items(self, rule: Any, schema: Any, brief: bool) -> Check:
        one = self.check(rule, brief)

        def checked(value: Any) -> Problems:
            found = NONE
            if isinstance(value, list):
                for number, item in enumerate(value):
                    problems = one(item)
                    if problems:
                        found += _below(problems, "[", str(number), "]")
            return found

        return checked

    def unique_items(self, rule: Any, schema: Any, brief: bool) -> Check:
        problem = _problem("repeats an item")

        def checked(value: Any) -> Problems:
            return problem if isinstance(value, list) and _repeats(value) else NONE

        return checked if rule else _fits

    def pattern(self, rule: Any, schema: Any, brief: bool) -> Check:
        search, problem = re.compile(rule).search, _problem("does not match {}", rule)

        def checked(value: Any) -> Problems:
            return problem if isinstance(value, str) and search(value) is None else NONE

        return checked

    def all_of(self, rule: Any, schema: Any, brief: bool) -> Check:
        return _all([self.check(inner, brief) for inner in rule], brief)

    def any_of(self, rule: Any, schema: Any, brief: bool) -> Check:
        alternatives, problem = [self.check(one, brief=True) for one in rule], _problem("fits none of its alternatives")

        def checked(value: Any) -> Problems:
            return problem if all(one(value) for one in alternatives) else NONE

        return checked

    def one_of(self, rule: Any, schema: Any, brief: bool) -> Check:
        alternatives = [self.check(one, brief=True) for one in rule]

        def checked(value: Any) -> Problems:
            fits = [one(value) for one in alternatives].count(NONE)
            return NONE if fits == 1 else _problem("fits {} of its alternatives instead of one", fits)

        return checked

    def condition(self, rule: Any, schema: Any, brief: bool) -> Check:
        asked = self.check(rule, brief=True)
        fitting, other = self.check(schema.get("then", True), brief), self.check(schema.get("else", True), brief)

        def checked(value: Any) -> Problems:
            return other(value) if asked(value) else fitting(value)

        return checked

    def negated(self, rule: Any, schema: Any, brief: bool) -> Check:
        forbidden, problem = self.check(rule, brief=True), _problem("is what it must not be")

        def checked(value: Any) -> Problems:
            return NONE if forbidden(value) else problem

        return checked


def _fits(_value: Any) -> Problems:
    return NONE


def _always(text: str) -> Check:
    problem = _problem(text)
    return lambda value: problem


def _problem(text: str, *arguments: Any) -> Problems:
    return (((), text.format(*arguments)),)


def _below(problems: Problems, *step: str) -> Problems:
    """Return problems of a part as problems of the whole, whose place begins with ``step``."""
    return tuple((step + place, text) for place, text in problems)


def _all(checks: List[Check], brief: bool) -> Check:
    """Return one check of several."""
    if len(checks) < 2:
        return checks[0] if checks else _fits
    if len(checks) == 2:  # as most values have them: a kind and a limit
        first, second = checks
        return lambda value: first(value) + second(value)

    def checked(value: Any) -> Problems:
        found = NONE
        for one in checks:
            problems = one(value)
            if problems:
                found += problems
                if brief:
                    break
        return found

    return checked


def _one_of_values(values: Sequence[Any], problem: Problems) -> Check:
    """Return a check that a value is one of ``values``; texts, which most are, are looked up."""
    texts = frozenset(one for one in values if isinstance(one, str))

    def checked(value: Any) -> Problems:
        if isinstance(value, str):
            return NONE if value in texts else problem
        return NONE if any(equal(value, one) for one in values) else problem

    return checked


def _repeats(values: Sequence[Any]) -> bool:
    if all(isinstance(one, str) for one in values):
        return len(set(values)) < len(values)
    return any(equal(one, other) for number, one in enumerate(values) for other in values[:number])


def _limit(fits: Callable[[Any, Any], bool], text: str) -> Any:
    """Return a keyword that compares a number with a limit."""

    def keyword(_maker: _Maker, rule: Any, _schema: Any, _brief: bool) -> Check:
        problem = _problem(text, rule)

        def checked(value: Any) -> Problems:
            # That it does not fit is rare: only then does it matter that true and false are no numbers.
            return problem if isinstance(value, (int, float)) and not fits(value, rule) and _is_number(value) else NONE

        return checked

    return keyword


def _size(kind: Any, fits: Callable[[Any, Any], bool], text: str) -> Any:
    """Return a keyword that compares a size with a limit."""

    def keyword(_maker: _Maker, rule: Any, _schema: Any, _brief: bool) -> Check:
        problem = _problem(text, rule)

        def checked(value: Any) -> Problems:
            return problem if isinstance(value, kind) and not fits(len(value), rule) else NONE

        return checked

    return keyword


_KEYWORDS: Dict[str, Any] = {
    "$ref": _Maker.reference,
    "type": _Maker.type,
    "enum": _Maker.enum,
    "const": _Maker.const,
    "required": _Maker.required,
    "properties": _Maker.properties,
    "patternProperties": _Maker.pattern_properties,
    "additionalProperties": _Maker.additional_properties,
    "propertyNames": _Maker.property_names,
    "items": _Maker.items,
    "uniqueItems": _Maker.unique_items,
    "pattern": _Maker.pattern,
    "allOf": _Maker.all_of,
    "anyOf": _Maker.any_of,
    "oneOf": _Maker.one_of,
    "not": _Maker.negated,
    "if": _Maker.condition,
    "minimum": _limit(operator.ge, "is less than {}"),
    "maximum": _limit(operator.le, "is more than {}"),
    "minItems": _size(list, operator.ge, "has fewer than {} items"),
    "maxItems": _size(list, operator.le, "has more than {} items"),
    "minLength": _size(str, operator.ge, "is shorter than {}"),
    "maxLength": _size(str, operator.le, "is longer than {}"),
    "minProperties": _size(dict, operator.ge, "has fewer than {} entries"),
    "maxProperties": _size(dict, operator.le, "has more than {} entries"),
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
