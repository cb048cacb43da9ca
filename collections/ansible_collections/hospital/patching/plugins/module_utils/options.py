# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of probes and snapshot providers, checked against a small argument spec.

The spec is a subset of Ansible's own: ``type`` (str, int, bool, list, dict,
path, raw), ``required``, ``default``, ``choices`` and ``elements``. It is
checked here, and not by Ansible, because plans are validated on the controller
too, where code without Ansible reads them.
"""

import os
from typing import Any, Callable, Dict

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError

_TRUE = ("yes", "true", "on", "1")
_FALSE = ("no", "false", "off", "0")


def read_options(subject: str, spec: Dict[str, Dict[str, Any]], given: Dict[str, Any]) -> Dict[str, Any]:
    """Return ``given`` converted and completed with the defaults of ``spec``.

    Raises:
        PatchingError: an unknown key, a missing one, or a value of another type.
    """
    unknown = sorted(str(key) for key in given if key not in spec)
    if unknown:
        raise PatchingError(
            subject,
            "unknown option {}".format(", ".join(unknown)),
            "only {}".format(", ".join(sorted(spec))),
            "correct its definition in the inventory",
        )
    values = {}
    for key, rule in spec.items():
        value = given.get(key)
        if value is None:
            if rule.get("required"):
                raise PatchingError(subject, "no option {}".format(key), "a value for it", "add it to the definition")
            values[key] = rule.get("default")
            continue
        value = _convert(subject, key, rule.get("type", "str"), value)
        if isinstance(value, list) and "elements" in rule:
            value = [_convert(subject, key, rule["elements"], item) for item in value]
        if "choices" in rule and value not in rule["choices"]:
            raise PatchingError(
                subject,
                "{} is {!r}".format(key, value),
                "one of {}".format(", ".join(str(choice) for choice in rule["choices"])),
                "correct its definition in the inventory",
            )
        values[key] = value
    return values


def _convert(subject: str, key: str, kind: str, value: Any) -> Any:
    try:
        return _CONVERTERS[kind](value)
    except (TypeError, ValueError):
        raise PatchingError(
            subject,
            "{} is {}".format(key, type(value).__name__),
            "a value of type {}".format(kind),
            "correct its definition in the inventory",
        )


def _text(value: Any) -> str:
    if isinstance(value, (dict, list, bool)):
        raise TypeError(value)
    return str(value)


def _whole_number(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError(value)
    return int(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in _TRUE:
        return True
    if str(value).lower() in _FALSE:
        return False
    raise ValueError(value)


def _list(value: Any) -> Any:
    """A single plain value stands for a list of one, as Ansible's users expect."""
    if isinstance(value, dict):
        raise TypeError(value)
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _dict(value: Any) -> Any:
    if not isinstance(value, dict):
        raise TypeError(value)
    return dict(value)


_CONVERTERS: Dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "int": _whole_number,
    "bool": _boolean,
    "list": _list,
    "dict": _dict,
    "path": lambda value: os.path.expanduser(_text(value)),
    "raw": lambda value: value,
}
