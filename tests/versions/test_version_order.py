# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's orders of versions against dpkg's and rpm's own, ten thousand pairs each; a thousand in a quick run.

dpkg itself is asked (``dpkg --compare-versions``, one process a pair, all started by one shell); rpm answers in its own
Lua (``rpm.vercmp``, which compares two parsed versions as rpm's transactions do), many pairs a process.
"""

import random
import shlex
import shutil
import subprocess
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.hospital.patching.plugins.module_utils import dpkg_version, rpm_version

PAIRS = [1_000, pytest.param(10_000, marks=pytest.mark.slow)]
#: Linux takes at most 128 KiB in one argument.
BATCH = 500
OPERATORS = {-1: "lt", 0: "eq", 1: "gt"}
Pair = tuple[str, str]

#: What versions differ in: digits with and without zeros, letters, and each separator that a rule names.
DIGITS = ["0", "00", "1", "01", "2", "9", "10", "010", "99", "100", "20261125", "18446744073709551616"]
LETTERS = ["a", "b", "z", "A", "Z", "aa", "ab", "rc", "beta", "git", "el", "fc", "deb", "u"]


def mutated(text: str, separators: str, choice: random.Random) -> str:
    """Return ``text`` with one or two small changes: what is near is where orders differ."""
    for _change in range(choice.randint(1, 2)):
        place = choice.randint(1, len(text))
        piece = choice.choice([*DIGITS[:6], *LETTERS[:6], *separators])
        kind = choice.randrange(4)
        if kind == 0:
            text = text[:place] + piece + text[place:]
        elif kind == 1:
            text = text[:place] + text[place + 1 :]
        elif kind == 2:
            text = text[:place] + piece + text[place + len(piece) :]
        else:
            text = text[:place] + text[place:][::-1]
    return text


def pairs_of(versions: str, releases: str) -> st.SearchStrategy[Pair]:
    """Return pairs of ``[epoch:]version[-release]``, four of five of them mutations of one version."""

    def part_of(separators: str) -> st.SearchStrategy[str]:
        return st.sampled_from(DIGITS + LETTERS + list(separators) + [mark * 2 for mark in separators])

    def pair(start: str, parts: list[str], choice: random.Random) -> Pair:
        version = start + "".join(parts)
        release = choice.choice(DIGITS) + "".join(choice.choices([*DIGITS, *LETTERS, *releases], k=choice.randrange(5)))
        near = choice.random() < 0.8
        other = mutated(version, versions, choice) if choice.random() < 0.7 else version
        other_release = mutated(release, releases, choice) if choice.random() < 0.5 else release
        if not near:
            other = choice.choice(DIGITS) + "".join(choice.sample(parts, len(parts)))
        texts = []
        for text, end in ((version, release), (other, other_release)):
            whole = choice.choice(["", "", "", "0:", "1:"]) + text + choice.choice(["", "-" + end, "-" + end])
            texts.append(whole.rstrip("-:"))  # neither tool takes an empty release
        return texts[0], texts[1]

    seeds = st.integers(0, 2**32).map(random.Random)
    return st.builds(pair, st.sampled_from(DIGITS), st.lists(part_of(versions), max_size=6), seeds)


def dpkg_differs(pairs: Sequence[Pair], answers: Sequence[int]) -> list[Pair]:
    """Return the pairs for which ``dpkg --compare-versions`` does not confirm the answer -1, 0 or 1."""
    script = "".join(
        f"dpkg --compare-versions {shlex.quote(left)} {OPERATORS[answer]} {shlex.quote(right)}; echo $?\n"
        for (left, right), answer in zip(pairs, answers, strict=True)
    )
    result = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True)
    assert result.stderr == ""  # dpkg warns of versions that it does not take
    found = result.stdout.split()
    return [pair for pair, status in zip(pairs, found, strict=True) if status != "0"]


def rpm_differs(pairs: Sequence[Pair], answers: Sequence[int]) -> list[Pair]:
    """Return the pairs that rpm's own comparison orders otherwise than -1, 0 or 1."""
    found = []
    for start in range(0, len(pairs), BATCH):
        table = ",".join(f'{{"{left}","{right}"}}' for left, right in pairs[start : start + BATCH])
        script = f"for _, p in ipairs({{{table}}}) do print(rpm.vercmp(p[1], p[2]) .. ' ') end"
        result = subprocess.run(["rpm", "--eval", f"%{{lua:{script}}}"], capture_output=True, text=True, check=True)
        found += [int(line) for line in result.stdout.split()]
    return [pair for pair, answer, own in zip(pairs, found, answers, strict=True) if answer != own]


TOOLS = {
    # ~ and + and . are all that both parts of a Debian version may hold; an upstream version may hold - and : too.
    "dpkg": (pairs_of("~+.-", "~+."), dpkg_version.compare, dpkg_differs),
    "rpm": (pairs_of("~^._+", "~^._+"), rpm_version.compare, rpm_differs),
}


@pytest.mark.parametrize("count", PAIRS)
@pytest.mark.parametrize("tool", TOOLS)
def test_pairs_are_ordered_as_the_tool_orders_them(tool: str, count: int) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not here, so its order cannot be asked for")
    strategy, compare, differs = TOOLS[tool]
    pairs = generated(strategy, count)
    answers = [compare(left, right) for left, right in pairs]
    assert len(pairs) >= count
    assert sorted(differs(pairs, answers), key=lambda pair: len(pair[0]) + len(pair[1]))[:10] == []
    assert [compare(right, left) for left, right in pairs] == [-answer for answer in answers]
    # What is near is the point: enough pairs must be equal, and the others fall on both sides.
    least = count // (20 if count >= 10_000 else 50)
    assert all(answers.count(answer) > least for answer in (-1, 0, 1))


def generated(strategy: st.SearchStrategy[Pair], count: int) -> list[Pair]:
    """Return the pairs of so many examples; they are asked about together, so there is nothing to shrink."""
    pairs: list[Pair] = []

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(pair: Pair) -> None:
        pairs.append(pair)

    collect()
    return pairs
