# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts' JSON Schema validator says what the library ``jsonschema`` says."""

import copy
import json
import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils import schema as host_schema
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

jsonschema = pytest.importorskip("jsonschema", reason="the controller's library is what hosts are compared with")
hypothesis = pytest.importorskip("hypothesis")
referencing = pytest.importorskip("referencing")
st = hypothesis.strategies

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "..", "..", "..", "..", "plugins", "plugin_utils", "schemas")

SAMPLES = {
    "types": {"type": ["object", "null"], "properties": {"a": {"type": "integer"}, "b": {"type": "number"}}},
    "strict": {
        "type": "object",
        "required": ["a"],
        "properties": {"a": True, "b": {"type": "string", "pattern": "^a+$", "minLength": 1, "maxLength": 3}},
        "patternProperties": {"^x": {"type": "boolean"}},
        "additionalProperties": False,
        "maxProperties": 3,
    },
    "lists": {
        "type": "array",
        "items": {
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": 3}, {"const": None}, {"enum": [True, 1, "a"]}]
        },
        "minItems": 1,
        "maxItems": 3,
        "uniqueItems": True,
    },
    "choices": {
        "oneOf": [{"type": "integer"}, {"minimum": 2}, {"$ref": "#/$defs/name"}],
        "$defs": {"name": {"type": "string"}},
    },
    "tree": {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
                "additionalProperties": {"type": "boolean"},
            }
        },
    },
    "composed": {
        "allOf": [
            {"if": {"type": "object"}, "then": {"minProperties": 1}, "else": {"not": {"const": 0}}},
            {"not": {"type": "string"}},
        ],
        "propertyNames": {"pattern": "^[abx]"},
    },
    "equality": {"enum": [[True], {"a": 1}, 0, False, 1.0, "", None]},
    "nothing": {"not": {}},
}


def contracts():
    found = {}
    for name in sorted(os.listdir(FOLDER)) if os.path.isdir(FOLDER) else []:
        if name.endswith(".json"):
            with open(os.path.join(FOLDER, name)) as handle:
                found[name] = json.load(handle)
    return found


CONTRACTS = contracts()
DOCUMENTS = {document["$id"]: document for document in CONTRACTS.values() if "$id" in document}
SCHEMAS = dict(SAMPLES, **CONTRACTS)
REGISTRY = referencing.Registry().with_resources(
    (identity, referencing.Resource.from_contents(document)) for identity, document in DOCUMENTS.items()
)


def both(instance, schema):
    mine = host_schema.errors(instance, schema, DOCUMENTS)
    library = jsonschema.Draft202012Validator(schema, registry=REGISTRY)
    return not mine, library.is_valid(instance)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 4),
    st.sampled_from([0.0, 1.0, 1.5, -0.0, 1e300]),
    st.sampled_from(["", "a", "aa", "aaaa", "x", "b", "sha256:" + "0" * 64, "2026-11-22T01:00:00Z"]),
)
KEYS = st.sampled_from(["a", "b", "x", "xy", "c", "schema", "name"])
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=8,
)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
@hypothesis.given(instance=ANYTHING)
@hypothesis.settings(max_examples=150, deadline=None)
def test_says_the_same_as_the_library_of_anything(name, instance):
    mine, library = both(instance, SCHEMAS[name])
    assert mine == library


def fitting(schema, root, depth=0):
    """Return a strategy of instances that mostly fit, so that a contract's deep rules are reached."""
    if not isinstance(schema, dict):
        return ANYTHING
    if "$ref" in schema:
        reference = schema["$ref"]
        if reference in DOCUMENTS:
            return fitting(DOCUMENTS[reference], DOCUMENTS[reference], depth + 1)
        return fitting(root["$defs"][reference.rsplit("/", 1)[1]], root, depth + 1)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    for keyword in ("oneOf", "anyOf"):
        if keyword in schema:
            return st.one_of([fitting(one, root, depth + 1) for one in schema[keyword]])
    kinds = schema.get("type", "object" if "properties" in schema else None)
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return st.one_of([of_kind(kind, schema, root, depth) for kind in kinds])


def of_kind(kind, schema, root, depth):
    if kind == "object":
        fixed = {}
        for name, inner in schema.get("properties", {}).items():
            if name in schema.get("required", []) or depth < 2:
                fixed[name] = fitting(inner, root, depth + 1)
        made = st.fixed_dictionaries(fixed)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict) and depth < 4:
            more = st.dictionaries(KEYS, fitting(extra, root, depth + 1), max_size=2)
            return st.builds(lambda first, second: dict(second, **first), made, more)
        return made
    if kind == "array":
        return st.lists(fitting(schema.get("items"), root, depth + 1), max_size=2 if depth < 6 else 0)
    if kind == "string":
        if "pattern" in schema:
            return st.one_of(st.from_regex(schema["pattern"]), st.text(max_size=4))
        return st.sampled_from(["a", "host1", ""])
    return {"integer": st.integers(-1, 100), "boolean": st.booleans(), "null": st.none()}.get(kind, ANYTHING)


@pytest.mark.parametrize("name", sorted(CONTRACTS))
@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=60, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_says_the_same_as_the_library_of_nearly_right_documents(name, data):
    document = data.draw(fitting(CONTRACTS[name], CONTRACTS[name]))
    broken = copy.deepcopy(document)
    if isinstance(broken, dict) and broken:
        key = data.draw(st.sampled_from(sorted(broken)))
        broken[key] = data.draw(ANYTHING)
    for instance in (document, broken):
        mine, library = both(instance, CONTRACTS[name])
        assert mine == library


def test_every_contract_can_be_checked_on_hosts():
    assert CONTRACTS
    for contract in CONTRACTS.values():
        host_schema.errors({}, contract, DOCUMENTS)


def test_violations_name_their_place():
    assert host_schema.errors({"a": "1", "b": 2}, SAMPLES["types"]) == ["$.a: is no integer"]
    assert host_schema.errors([0], SAMPLES["lists"]) == ["$[0]: fits none of its alternatives"]
    assert host_schema.errors({}, SAMPLES["strict"]) == ["$: lacks a"]


def test_what_stands_in_several_places_is_told_of_each_and_looked_at_anew_in_every_document():
    validator = host_schema.Validator({"items": {"$ref": "#/$defs/one"}, "$defs": {"one": {"required": ["a"]}}})
    one = {"a": 1}
    assert validator.errors([one, one]) == []
    del one["a"]
    assert validator.errors([one, one]) == ["$[0]: lacks a", "$[1]: lacks a"]


def test_check_raises_with_the_first_violations():
    with pytest.raises(PatchingError, match=r"journal: \$\.a: is no integer; \$\.b: is no number"):
        host_schema.check({"a": "1", "b": "2"}, SAMPLES["types"], "journal")
    host_schema.check({}, SAMPLES["types"], "journal")


@pytest.mark.parametrize(
    "schema",
    [
        {"contains": {"type": "string"}},
        {"anyOf": [True, {"dependentRequired": {}}]},
        {"$ref": "#/$defs/gone"},
        {"$ref": "https://example.org/other.json"},
    ],
)
def test_a_rule_that_cannot_be_checked_is_refused(schema):
    with pytest.raises(ValueError, match=r"not supported|leads nowhere"):
        host_schema.errors("a", schema)
