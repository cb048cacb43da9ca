# SPDX-License-Identifier: GPL-3.0-or-later
"""What every probe is: options, targets, and one reading of health that only reads."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.options import read_options
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner

#: Options that every probe has.
COMMON_OPTIONS: Dict[str, Dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "type": {"type": "str", "required": True},
    "vantage": {"type": "str", "choices": ["controller", "host"], "default": "host"},
    "timeout_s": {"type": "int", "default": 10},
}

#: By how much longer than twice the time before an answer has to take to be waited for.
SLOWER_MS = 250

#: What a probe works with; tests replace each part.
ProbeContext = NamedTuple("ProbeContext", [("runner", Runner), ("clock", Clock), ("connector", Any), ("proc", str)])

#: What a probe saw: a sentence for people and a value for comparison.
Reading = NamedTuple("Reading", [("detail", str), ("value", Any)])


class Failed(Exception):
    """The probe ran, and what it looked at is not healthy."""

    def __init__(self, detail: str, value: Any = None) -> None:
        self.detail = detail
        self.value = value
        super().__init__(detail)


class Inconclusive(Exception):
    """The probe could not tell: it never passes as healthy."""

    def __init__(self, detail: str, value: Any = None) -> None:
        self.detail = detail
        self.value = value
        super().__init__(detail)


class Probe:
    """One reading of health. A subclass states NAME and OPTIONS and implements look().

    Adding a probe is one file with such a class, and in kinds.py a function that imports it and its line.
    """

    NAME = ""
    OPTIONS: Dict[str, Dict[str, Any]] = {}
    #: Where it is read from unless its definition says so: what users reach, from the controller.
    VANTAGE = "host"
    #: Numbers beside the latency that a start makes worse for a while, and by how much at least to be waited for.
    SETTLING: Dict[str, int] = {}

    def __init__(self, definition: Dict[str, Any], context: ProbeContext) -> None:
        self.name = str(definition.get("name", ""))
        spec = dict(COMMON_OPTIONS, **self.OPTIONS)
        self.options = read_options("probe {!r}".format(self.name), spec, definition)
        self.context = context
        #: What the same probe saw before the host was touched; None while that is being read.
        self.earlier: Any = None
        self.timeout_s = self.options["timeout_s"]
        if not 1 <= self.timeout_s <= 600:
            raise self.bad_option("timeout_s is {}".format(self.timeout_s), "1 to 600 seconds")
        self.validate()

    def validate(self) -> None:
        """Check what the argument spec cannot.

        Raises:
            PatchingError: by ``self.bad_option``.
        """

    def libraries(self) -> List[str]:
        """Return the Python libraries that look() needs; they are loaded before any time limit begins."""
        return []

    def targets(self) -> List[Tuple[str, int]]:
        """Return each (host, port) that read() would connect to."""
        return []

    def target(self) -> str:
        """Return what is looked at, for people; never with a secret in it."""
        return ", ".join("{}:{}".format(host, port) for host, port in self.targets()) or "this host"

    def look(self) -> Reading:
        """Look once, and return what is healthy.

        Raises:
            Failed: it is not healthy.
            Inconclusive: it could not be told.
        """
        raise NotImplementedError

    def is_settling(self, value: Any) -> bool:
        """Return whether a number is so much worse than before that it is read again: a start leaves caches cold."""
        now, before = _number(value, "latency_ms"), _number(self.earlier, "latency_ms")
        if now is not None and before is not None and now > 2 * before + SLOWER_MS:
            return True
        for key, least in self.SETTLING.items():
            now, before = _number(value, key), _number(self.earlier, key)
            if now is not None and before is not None and now > before + max(least, before // 2):
                return True
        return False

    def settled(self, values: List[Any]) -> Any:
        """Return the value that stands for several good readings of a soak, the first first.

        Of latencies that is the median: one slow answer says little.

        Raises:
            Failed: together they show what each of them hides.
        """
        return with_median(values, "latency_ms")

    def read(self) -> Dict[str, Any]:
        """Return one probe result; whatever goes wrong inside is a verdict, not an exception."""
        started = self.context.clock.monotonic()
        try:
            reading = self.look()
            verdict, detail, value = "ok", reading.detail, reading.value
        except Failed as failure:
            verdict, detail, value = "failed", failure.detail, failure.value
        except Inconclusive as doubt:
            verdict, detail, value = "inconclusive", doubt.detail, doubt.value
        except PatchingError as error:
            verdict, detail, value = "inconclusive", "the probe could not run: {}".format(error), None
        except Exception as error:  # noqa: BLE001 - a defect of a probe must neither pass as healthy nor end the others
            # Only the type: messages of libraries may quote what was answered.
            verdict, detail, value = "inconclusive", "the probe broke off: {}".format(type(error).__name__), None
        elapsed_ms = int((self.context.clock.monotonic() - started) * 1000)
        return self.result(verdict, detail, value, elapsed_ms)

    def result(self, verdict: str, detail: str, value: Any, elapsed_ms: int) -> Dict[str, Any]:
        """Return the probe result of the contract, of a reading that ends now."""
        at = self.context.clock.stamp()
        return {
            "name": self.name,
            "type": self.NAME,
            "target": self.target(),
            "verdict": verdict,
            "detail": detail,
            "seconds_ms": elapsed_ms,
            "at": at,
            "not_ok": None if verdict == "ok" else {"from": at, "to": at},
            "value": value,
        }

    def numbered(self, option: str, lowest: int, highest: int) -> None:
        """Check an option that is a number, where it is given."""
        value = self.options[option]
        if value is not None and not lowest <= value <= highest:
            raise self.bad_option("{} is {}".format(option, value), "{} to {}".format(lowest, highest))

    def bad_option(self, seen: str, expected: str) -> PatchingError:
        return PatchingError("probe {!r}".format(self.name), seen, expected, "correct its definition in the inventory")


def _number(value: Any, key: str) -> Optional[int]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, int) else None


def with_median(values: List[Any], key: str) -> Any:
    """Return the last of several values, its number ``key`` replaced by the median (of an even count, the lower)."""
    last = values[-1]
    numbers = sorted(value[key] for value in values if isinstance(value, dict) and isinstance(value.get(key), int))
    if not numbers or not isinstance(last, dict):
        return last
    return dict(last, **{key: numbers[(len(numbers) - 1) // 2]})
