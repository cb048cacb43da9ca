# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pending updates a site takes: filters that are the same for every package manager.

Two kinds of filter. ``security_only`` and ``include`` say what is *wanted*; what
that needs comes along. ``classes``, ``exclude``, ``min_age_days``, ``allow`` and
``deny`` are *limits*: what needs something beyond a limit is held back with it.
Nothing that is left out is dropped silently: it is listed as held, with kind and
reason.

Age. ``published`` of an update is the earliest time at which its version is
known to have existed, ``published_by`` how that is known: ``advisory`` (rpm: the
advisory's issue date), ``build`` (rpm: build time), ``archive`` (apt: the date of
the Release file that lists it, which archives renew with every change, so that
the version may be older), ``seen`` (an earlier assessment saw it), or null. With
``archive`` or null nothing says that a later look will find the version any
older. So where nobody keeps track of what was seen, an update of unknown age
waits, but never a security fix: a wait that may have no end is the greater
danger there. Where somebody does (``first_seen``), every version waits out
its days from the day it was seen.
"""

import fnmatch
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from ansible_collections.hospital.patching.plugins.module_utils.clock import STAMP
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.package_managers.base import PendingRequest

#: Why something is held back: a word for programs, and a sentence for people.
Reason = NamedTuple("Reason", [("kind", str), ("text", str)])
Update = Dict[str, Any]

#: A hundred years: what waits longer never comes, and a calendar ends.
MOST_DAYS = 36500
#: How often the package manager is asked (about a second each) which update needs something held back.
MOST_QUESTIONS = 40


def check(wanted: PendingRequest) -> None:
    """Refuse options that have no meaning.

    Raises:
        PatchingError: ``min_age_days`` is negative or beyond all ages, or a value of ``first_seen`` is no text.
    """
    if not 0 <= wanted.min_age_days <= MOST_DAYS:
        expected = "0 to {} days".format(MOST_DAYS)
        raise PatchingError("min_age_days", str(wanted.min_age_days), expected, "correct it in the inventory")
    for label, seen in (wanted.first_seen or {}).items():
        if seen is not None and not isinstance(seen, str):
            raise PatchingError(
                "first_seen",
                "{!r} for {}".format(seen, label),
                "times as {}".format(STAMP),
                "hand in the times as text",
            )


def version_label(update: Update) -> str:
    """Return the key of ``first_seen``: ``name:arch=version``, version being ``to`` or of a held one ``candidate``."""
    return "{}:{}={}".format(update["name"], update["arch"], update.get("to") or update.get("candidate"))


def dated(update: Update, first_seen: Optional[Dict[str, str]], now: datetime) -> Update:
    """Return ``update`` with the day it was seen, where nothing better says how old it is."""
    if first_seen is None or update["to"] is None or update["published_by"] in ("advisory", "build"):
        return update
    known = [_time(update["published"]), _time(first_seen.get(version_label(update))), now]
    earliest = min(moment for moment in known if moment is not None)
    return dict(update, published=earliest.strftime(STAMP), published_by="seen")


def unmatched(wanted: PendingRequest, installed: Iterable[str], *listed: Iterable[Dict[str, Any]]) -> List[str]:
    """Return a problem for each item of ``deny``, ``allow`` and ``include`` that is about nothing, as one misspelled.

    ``installed`` are names, ``listed`` updates or items of ``held``. An item with a
    version is about its package, also when another version is pending. A denial that
    stands for the whole ``fleet`` need not be about anything on one host.
    """
    items = [item for several in listed for item in several]
    names = set(installed).union(item["name"] for item in items)
    known = names.union(*(item.get("advisories") or () for item in items))
    given = [("deny", denial["item"]) for denial in wanted.deny if not denial.get("fleet")] + [
        ("allow", item) for item in wanted.allow
    ]
    wrong = [(option, item) for option, item in given if item.partition("=")[0] not in known]
    wrong += [("include", pattern) for pattern in wanted.include if not fnmatch.filter(names, pattern)]
    return ["{} {} matches no installed or pending package".format(*each) for each in wrong]


def limit(update: Update, wanted: PendingRequest, now: datetime) -> Optional[Reason]:
    """Return the limit that ``update`` is beyond, or None."""
    for denial in wanted.deny:
        if matches(update, denial["item"]):
            return Reason(
                "denied", "denied by {}: {}".format(denial["item"], denial.get("reason") or "no reason given")
            )
    if wanted.allow and not any(matches(update, item) for item in wanted.allow):
        return Reason("not_allowed", "not on the list of allowed updates")
    pattern = next((pattern for pattern in wanted.exclude if fnmatch.fnmatchcase(update["name"], pattern)), None)
    if pattern is not None:
        return Reason("excluded", "excluded by {}".format(pattern))
    if update["to"] is None:
        return None  # a removal is of no class and no age
    if wanted.classes and update["class"] not in wanted.classes:
        return Reason("class", "class {}, wanted is {}".format(update["class"], " or ".join(wanted.classes)))
    return _deferral(update, wanted.min_age_days, now)


def unwanted(update: Update, wanted: PendingRequest) -> Optional[Reason]:
    """Return why an upgrade is not asked for by itself, or None."""
    if wanted.security_only and not update["security"]:
        return Reason("not_security", "fixes no security flaw")
    if wanted.include and not any(fnmatch.fnmatchcase(update["name"], pattern) for pattern in wanted.include):
        return Reason("not_included", "not among {}".format(", ".join(wanted.include)))
    return None


def choose(
    everything: List[Update],
    wanted: PendingRequest,
    now: datetime,
    resolve: Callable[[List[Update]], List[Update]],
    without: Callable[[List[Update]], List[Update]],
) -> Tuple[List[Update], List[Dict[str, Any]]]:
    """Return the transaction within ``wanted``, and what of ``everything`` is held back.

    ``everything`` is the whole resolved upgrade. ``resolve`` has the package manager
    resolve the given upgrades and what they need; ``without`` the whole upgrade while
    the given packages stay as they are. Both may raise PatchingError. New packages and
    removals are consequences: they are never asked for by themselves.

    Raises:
        PatchingError: an option has no meaning, as :func:`check` says.
    """
    check(wanted)
    chosen: List[Update] = []
    limited: List[Tuple[Update, Reason]] = []
    left: List[Tuple[Update, Reason]] = []
    for update in everything:
        reason = limit(update, wanted, now)
        choice = unwanted(update, wanted) if update["kind"] == "upgrade" else None
        if reason is not None:
            limited.append((update, reason))
        elif choice is not None:
            left.append((update, choice))
        elif update["kind"] == "upgrade":
            chosen.append(update)
    if not limited and not left:
        return everything, []
    chosen, refused = _possible(chosen, [update for update, _reason in limited], without)
    resolved, more = _within(chosen, resolve, lambda update: limit(update, wanted, now))
    taken = {(update["name"], update["arch"]) for update in resolved}
    return resolved, [
        held_item(update, reason)
        for update, reason in limited + left + refused + more
        if (update["name"], update["arch"]) not in taken
    ]


def _possible(
    chosen: List[Update], limited: List[Update], without: Callable[[List[Update]], List[Update]]
) -> Tuple[List[Update], List[Tuple[Update, Reason]]]:
    """Return those of ``chosen`` that can be had while ``limited`` stays as it is, and the others."""
    if not chosen or not limited:
        return chosen, []
    try:
        reached = {(update["name"], update["arch"], update["to"]) for update in without(limited)}
    except PatchingError:
        return chosen, []  # then each is asked for by itself
    names = ", ".join(update["name"] for update in limited[:5]) + (", …" if len(limited) > 5 else "")
    reason = Reason("needs_held", "cannot be had while these are held: {}".format(names))
    possible = [update for update in chosen if (update["name"], update["arch"], update["to"]) in reached]
    return possible, [(update, reason) for update in chosen if update not in possible]


def held_package(
    name: str,
    arch: str,
    version: Optional[str],
    candidate: Optional[str],
    reason: Reason,
    published: Optional[str] = None,
    published_by: Optional[str] = None,
    security: Optional[bool] = None,
) -> Dict[str, Any]:
    """Return an item of ``held``; ``version`` is the installed one, ``candidate`` what it would become.

    ``security`` says whether the candidate fixes a security flaw, None where that was not found out.
    """
    return {
        "name": name,
        "arch": arch,
        "version": version,
        "candidate": candidate,
        "kind": reason.kind,
        "reason": reason.text,
        "security": security,
        "published": published,
        "published_by": published_by,
    }


def held_item(update: Update, reason: Reason) -> Dict[str, Any]:
    """Return an update that is left out as an item of ``held``."""
    return held_package(
        update["name"],
        update["arch"],
        update["from"],
        update["to"],
        reason,
        update["published"],
        update["published_by"],
        update["security"],
    )


def _within(
    chosen: List[Update],
    resolve: Callable[[List[Update]], List[Update]],
    beyond: Callable[[Update], Optional[Reason]],
) -> Tuple[List[Update], List[Tuple[Update, Reason]]]:
    """Return the largest transaction found that stays within the limits, and the upgrades that cannot be in it.

    Splits the set until those that need something held back stand alone. Each question
    is about all that was accepted before as well, so the last good answer is the transaction.
    """
    accepted: List[Update] = []
    transaction: List[Update] = []
    refused: List[Tuple[Update, Reason]] = []
    groups = [chosen] if chosen else []
    questions = 0
    while groups:
        group = groups.pop()
        if questions >= MOST_QUESTIONS:
            text = "not tried: {} questions did not tell what else needs a held update".format(questions)
            refused.extend((update, Reason("needs_held", text)) for update in group)
            continue
        questions += 1
        sources = set()
        problem = ""
        try:
            answer = resolve(accepted + group)
            for item in answer:
                reason = beyond(item)
                if reason is not None:
                    sources.add(item["source"])
                    words = item["name"], item["to"] or "to be removed", reason.text
                    problem = problem or "needs {} {}, which is held: {}".format(*words)
        except PatchingError as error:
            problem = "cannot be resolved without what is held: {}".format(error.seen)
        if not problem:
            accepted, transaction = accepted + group, answer
        elif len(group) == 1:
            refused.append((group[0], Reason("needs_held", problem)))
        else:
            groups.extend(_split(group, sources))
    return transaction, refused


def _split(group: List[Update], sources: Set[Optional[str]]) -> List[List[Update]]:
    """Return two parts, the one to try first last: those of other ``sources`` than what is held, else a half."""
    suspects = [update for update in group if update["source"] is not None and update["source"] in sources]
    others = [update for update in group if update not in suspects]
    if suspects and others:
        return [suspects, others]
    middle = len(group) // 2
    return [group[middle:], group[:middle]]


def matches(update: Update, item: str) -> bool:
    """Say whether ``item`` (a name, ``name=version``, or the id of an advisory) is about ``update``."""
    name, equals, version = item.partition("=")
    if equals:
        return bool(update["name"] == name and update["to"] == version)
    return bool(update["name"] == item or item in update["advisories"])


def _deferral(update: Update, min_age_days: int, now: datetime) -> Optional[Reason]:
    if not min_age_days:
        return None
    published = _time(update["published"])
    if published is not None and now - published >= timedelta(days=min_age_days):
        return None
    if update["published_by"] in ("advisory", "build", "seen") and published is not None:
        days = max(0, (now - published).days)
        word = "seen first" if update["published_by"] == "seen" else "published"
        text = "deferred: {} {}, {} of {} days old".format(word, published.date(), days, min_age_days)
        return Reason("deferred", text)
    if update["security"]:
        return None
    known = "on {} at the latest".format(published.date()) if published else "at an unknown time"
    return Reason("deferred", "deferred: published {}, {} days are asked for".format(known, min_age_days))


def _time(text: Optional[str]) -> Optional[datetime]:
    try:
        return datetime.strptime(text or "", STAMP).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
