# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks dnf 5's own library what ``dnf5 upgrade`` would do, and writes it to a file as JSON.

Like dnf_resolve_hook.py, which lies beside it and whose questions and answers it has, this file is run alone on the
host, on the Python that has dnf 5's bindings (python3-libdnf5).

Nothing of the host is written: caches lie in the private directory, and no lock is taken. No plugin is loaded: dnf 5's
versionlock is part of its library.
"""

import os
import re
import sys
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

try:
    from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
        dnf_resolve_hook as resolving,
    )
except ImportError:  # alone on the host
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import dnf_resolve_hook as resolving  # type: ignore[import-not-found,no-redef,unused-ignore]

Failure, answered = resolving.Failure, resolving.answered
#: What libdnf5 calls back; its bindings do not keep it alive.
KEPT = []  # type: List[Any]
Key = Tuple[str, str]
#: An advisory that names a version: the version, and of the advisory its id, kind, date (seconds since 1970) and CVEs.
Advised = NamedTuple(
    "Advised", [("evr", str), ("id", str), ("security", bool), ("issued_s", Optional[int]), ("cves", List[str])]
)


def evr(package: Any) -> str:
    """Return ``[epoch:]version-release``, the epoch only when it is not 0."""
    return str(package.get_evr())


def key(package: Any) -> Key:
    """Return name and architecture."""
    return str(package.get_name()), str(package.get_arch())


def nevra(package: Any) -> Tuple[str, str, str]:
    """Return name, architecture and version."""
    return key(package) + (evr(package),)


def parts(version: str) -> List[str]:
    """Return epoch, version and release of ``[epoch:]version-release``."""
    epoch, _colon, rest = version.rpartition(":")
    upstream, _dash, release = rest.partition("-")
    return [epoch or "0", upstream, release]


def compare(dnf: Any, one: str, other: str) -> int:
    """Return -1, 0 or 1 as rpm orders two versions."""
    for left, right in zip(parts(one), parts(other)):
        order = dnf.rpm.rpmvercmp(left, right)
        if order:
            return int(order)
    return 0


def configured(dnf: Any, asked: Dict[str, Any], whole: bool = False) -> Any:
    """Return a base that reads the host's settings and writes only the private directory.

    With ``whole`` nothing is excluded by settings: the bindings have no flags of a query that would say so.
    """
    base = dnf.base.Base()
    settings = base.get_config()
    base.load_config()
    settings.cachedir = asked["cachedir"]
    settings.system_cachedir = asked["cachedir"]
    settings.logdir = asked["persistdir"]
    settings.persistdir = asked["persistdir"]
    settings.plugins = False
    if whole:
        settings.disable_excludes = ["*"]
    base.setup()
    return base


def repositories(dnf: Any, base: Any) -> List[Any]:
    """Return the enabled repositories, sorted by id."""
    found = dnf.repo.RepoQuery(base)
    found.filter_enabled(True)
    return sorted(
        (one for one in found if one.get_type() == dnf.repo.Repo.Type_AVAILABLE), key=lambda one: one.get_id()
    )


def load_repositories(dnf: Any, base: Any, refresh: bool, errors: Any) -> None:
    """Fetch the metadata of the enabled repositories, and read the host's packages.

    Without ``refresh`` the metadata is taken from the private directory: one state for all questions.
    """
    sack = base.get_repo_sack()
    try:
        sack.create_repos_from_system_configuration()
    except errors as error:
        raise Failure("settings", str(error))
    for repo in repositories(dnf, base):
        KEPT.append(no_new_keys(dnf))
        repo.set_callbacks(dnf.repo.RepoCallbacksUniquePtr(KEPT[-1]))
        settings = repo.get_config()
        settings.skip_if_unavailable = False
        settings.metadata_expire = 1 if refresh else -1
        if refresh:
            repo.expire()
    try:
        sack.load_repos()  # the host's own packages too: libdnf5 lets it be called once only
    except errors as error:
        repository_id = blamed(str(error), [one.get_id() for one in repositories(dnf, base)])
        own = repository_id is None and "system repo" in str(error)
        raise Failure("database" if own else "refresh", str(error), repository_id)


def no_new_keys(dnf: Any) -> Any:
    """Return what has libdnf5 trust no key of metadata beyond those that this host has accepted.

    Where nobody is asked, libdnf5 takes whatever key the repository's ``gpgkey`` names.
    """
    asked = dnf.repo.RepoCallbacks  # type: Any

    class NoNewKeys(asked):  # type: ignore[misc,unused-ignore]
        """Declines every key."""

        def repokey_import(self, _key: Any) -> bool:
            return False

    return NoNewKeys()


def blamed(seen: str, known: List[str]) -> Optional[str]:
    """Return which repository an error of libdnf5 names, None if it names none that is known."""
    named = [name for name in re.findall('"([^"]*)"', seen) if name in known]
    return named[0] if named else None


def available(dnf: Any, base: Any) -> Any:
    """Return a query of what the repositories have and may be chosen."""
    found = dnf.rpm.PackageQuery(base)
    found.filter_available()
    return found


def installed(dnf: Any, base: Any) -> Any:
    """Return a query of what the host has; what an exclusion names is not seen."""
    found = dnf.rpm.PackageQuery(base)
    found.filter_installed()
    return found


def show_locked(base: Any) -> None:
    """Let what versionlocks hide be seen by every further query."""
    base.get_rpm_package_sack().clear_versionlock_excludes()


def resolved(dnf: Any, goal: Any) -> Any:
    """Return the transaction of a goal."""
    transaction = goal.resolve()
    if transaction.get_problems() != dnf.base.GoalProblem_NO_PROBLEM:
        raise Failure("resolve", "; ".join(transaction.get_resolve_logs_as_strings()) or "no reason given")
    return transaction


def resolve(dnf: Any, base: Any, security: bool, limited: bool = False) -> List[Dict[str, Any]]:
    """Return the transaction of ``dnf5 upgrade`` (``--security``).

    With ``limited`` what cannot be upgraded to its newest version is passed over, whatever the setting ``best`` says.
    """
    settings = dnf.base.GoalJobSettings()
    if limited:
        settings.set_best(dnf.base.GoalSetting_SET_FALSE)
    if security:
        advisories = dnf.advisory.AdvisoryQuery(base)
        advisories.filter_type("security")
        settings.set_advisory_filter(advisories)
    goal = dnf.base.Goal(base)
    goal.add_rpm_upgrade(settings)
    return changes(dnf, base, resolved(dnf, goal))


def resolve_targets(dnf: Any, base: Any, targets: List[List[str]]) -> List[Dict[str, Any]]:
    """Return the transaction that upgrades exactly ``targets`` and what they need."""
    goal = dnf.base.Goal(base)
    for name, arch, version, repository_id in targets:
        offered = available(dnf, base)
        offered.filter_name([name])
        offered.filter_arch([arch])
        offered.filter_repo_id([repository_id])
        same = [package for package in offered if evr(package) == version]
        if not same:
            raise Failure("resolve", "{} {} is not offered by {}".format(name, version, repository_id))
        goal.add_rpm_upgrade(same[0])
    found = changes(dnf, base, resolved(dnf, goal))
    reached = {(item["name"], item["arch"], item["to"]) for item in found}
    missed = [name for name, arch, version, _id in targets if (name, arch, version) not in reached]
    if missed:
        raise Failure("resolve", "dnf5 does not upgrade {}".format(", ".join(missed[:5])))
    return found


def resolve_without(dnf: Any, base: Any, keep: Set[Key], security: bool) -> List[Dict[str, Any]]:
    """Return the upgrade while ``keep`` stays: its packages, and those that replace it, are as if not offered."""
    sack = base.get_rpm_package_sack()
    for name, arch in sorted(keep):
        stays = installed(dnf, base)
        stays.filter_name([name])
        stays.filter_arch([arch])
        hidden = available(dnf, base)
        hidden.filter_name([name])
        hidden.filter_arch([arch])
        sack.add_user_excludes(hidden)
        if stays.size():
            replacing = available(dnf, base)
            replacing.filter_obsoletes(stays)
            sack.add_user_excludes(replacing)
    found = resolve(dnf, base, security, limited=True)
    changed = sorted(item["name"] for item in found if (item["name"], item["arch"]) in keep)
    if changed:
        raise Failure("resolve", "dnf5 cannot leave {} as it is".format(", ".join(changed[:5])))
    return found


def changes(dnf: Any, base: Any, transaction: Any) -> List[Dict[str, Any]]:
    """Return the resolved transaction, one item a package, sorted by name and architecture."""
    of = dnf.transaction
    incoming, outgoing, reasons = [], [], {}
    for item in transaction.get_transaction_packages():
        package, action = item.get_package(), item.get_action()
        if of.transaction_item_action_is_inbound(action):
            incoming.append(package)
        elif of.transaction_item_action_is_outbound(action):
            outgoing.append(package)
        else:
            continue  # only its reason changes
        reasons[nevra(package)] = item.get_reason()
    several = dnf.rpm.PackageQuery(base)
    several.filter_installonly()
    beside = {nevra(package) for package in several}
    known = advised(dnf, base, incoming)
    found = []
    for package in incoming:
        if nevra(package) in beside:
            found.append(item_of(dnf, package, newest_before(dnf, base, package), reasons, known))
            continue
        same = [other for other in outgoing if other.get_name() == package.get_name()]
        exact = [other for other in same if key(other) == key(package)]
        old = (exact or (same if len(same) == 1 else []) or [None])[0]
        if old is not None:
            outgoing = [other for other in outgoing if nevra(other) != nevra(old)]
        found.append(item_of(dnf, package, old, reasons, known))
        found[-1]["replaces"] = old is None and any(replaces(dnf, base, package, other) for other in outgoing)
    found += [item_of(dnf, None, package, reasons, known) for package in outgoing]
    return sorted(found, key=lambda item: (item["name"], item["arch"], item["to"] or ""))


def newest_before(dnf: Any, base: Any, package: Any) -> Any:
    """Return the newest installed version before ``package``, which is installed beside it (a kernel), or None."""
    best = None
    for other in installed(dnf, base):
        older = key(other) == key(package) and compare(dnf, evr(other), evr(package)) < 0
        if older and (best is None or compare(dnf, evr(other), evr(best)) > 0):
            best = other
    return best


def replaces(dnf: Any, base: Any, new: Any, old: Any) -> bool:
    """Return whether ``new`` obsoletes ``old``, which has another name."""
    gone = installed(dnf, base)
    gone.filter_name([old.get_name()])
    found = available(dnf, base)
    found.filter_name([new.get_name()])
    found.filter_obsoletes(gone)
    return any(nevra(package) == nevra(new) for package in found)


def advised(dnf: Any, base: Any, packages: Iterable[Any]) -> Dict[Key, List[Advised]]:
    """Return what the applicable advisories say of these packages, by name and architecture, in any version."""
    wanted = {key(package) for package in packages}
    found = {}  # type: Dict[Key, List[Advised]]
    for advisory in dnf.advisory.AdvisoryQuery(base) if wanted else ():
        versions = {
            key(package) + (evr(package),)
            for collection in advisory.get_collections()
            if collection.is_applicable()
            for package in collection.get_packages()
            if key(package) in wanted
        }
        if not versions:
            continue
        cves = {one.get_id() for one in advisory.get_references() if one.get_type() == "cve" and one.get_id()}
        security, issued = advisory.get_type() == "security", int(advisory.get_buildtime()) or None
        for name, arch, version in versions:
            one = Advised(version, str(advisory.get_name()), security, issued, sorted(cves))
            found.setdefault((name, arch), []).append(one)
    return found


def fixed(dnf: Any, known: Dict[Key, List[Advised]], new: Any, old: Any) -> List[Advised]:
    """Return the advisories of versions after ``old`` and up to ``new``; without ``old``, of ``new`` itself."""
    if old is None:
        return [one for one in known.get(key(new), ()) if compare(dnf, one.evr, evr(new)) == 0]
    return [
        one
        for one in known.get(key(new), ())
        if compare(dnf, one.evr, evr(new)) <= 0 and compare(dnf, one.evr, evr(old)) > 0
    ]


def item_of(
    dnf: Any, new: Any, old: Any, reasons: Dict[Tuple[str, str, str], int], known: Dict[Key, List[Advised]]
) -> Dict[str, Any]:
    """Return one item of the answer's ``updates``; ``new`` or ``old`` may be None."""
    package = old if new is None else new
    of = dnf.transaction
    advisories = [] if new is None else fixed(dnf, known, new, old)
    issued = [one.issued_s for one in advisories if one.issued_s and compare(dnf, one.evr, evr(new)) == 0]
    return {
        "name": package.get_name(),
        "arch": package.get_arch(),
        "from": None if old is None else evr(old),
        "to": None if new is None else evr(new),
        "repository": None if new is None else new.get_repo_id(),
        "vendor": None if new is None else new.get_vendor(),
        "source_rpm": None if new is None else new.get_sourcerpm(),
        "source_rpm_from": None if old is None else old.get_sourcerpm(),
        "replaces": False,
        "issued_s": max(issued) if issued else None,
        "built_s": None if new is None else new.get_build_time() or None,
        "advisories": sorted({one.id for one in advisories}),
        "security": any(one.security for one in advisories),
        "cves": sorted({cve for one in advisories for cve in one.cves}),
        "download_bytes": 0 if new is None else new.get_download_size(),
        "installed_bytes": None if new is None else new.get_install_size(),
        "sha256": None if new is None else sha256_of(new),
        "automatic": reasons.get(nevra(package))
        in (of.TransactionItemReason_DEPENDENCY, of.TransactionItemReason_WEAK_DEPENDENCY),
    }


def sha256_of(package: Any) -> Optional[str]:
    """Return the SHA-256 that the repository's metadata gives of a package, None if it gives another checksum."""
    checksum = package.get_checksum()
    return str(checksum.get_checksum()) if checksum.get_type_str() == "sha256" else None


def held_back(dnf: Any, base: Any, whole: Any) -> List[Dict[str, Any]]:
    """Return each installed package for which an exclusion or a versionlock hides a newer version, with the newest.

    ``whole`` is a base in which nothing is hidden. Afterwards versionlocks hide nothing in ``base`` either, so nothing
    may be resolved in it any more.
    """
    shown = {nevra(package) for package in available(dnf, base)}
    show_locked(base)
    by_settings = {nevra(package) for package in available(dnf, base)}
    hidden = {}  # type: Dict[Key, List[Any]]
    for package in available(dnf, whole):
        if nevra(package) not in shown:
            hidden.setdefault(key(package), []).append(package)
    found = []
    for package in installed(dnf, whole):  # an exclusion hides installed packages too
        best = None
        for other in hidden.get(key(package), ()):
            if compare(dnf, evr(other), evr(best or package)) > 0:
                best = other
        if best is None:
            continue
        if nevra(best) in by_settings:
            found.append(stays(package, best, "hold", "dnf versionlock"))
        else:
            found.append(stays(package, best, "excluded", "dnf excludepkgs or includepkgs"))
    return sorted(found, key=lambda item: (item["name"], item["arch"], item["version"]))


def stays(package: Any, best: Any, kind: str, reason: str) -> Dict[str, Any]:
    """Return one item of the answer's ``held``."""
    return {
        "name": package.get_name(),
        "arch": package.get_arch(),
        "version": evr(package),
        "candidate": evr(best),
        "kind": kind,
        "reason": reason,
    }


def left_behind(dnf: Any, base: Any, everything: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return each installed package with a newer version in sight that the transaction does not reach."""
    reached = {(item["name"], item["arch"], item["to"]) for item in everything}
    removed = {(item["name"], item["arch"]) for item in everything if item["to"] is None}
    newest = {}  # type: Dict[Key, Any]
    for package in installed(dnf, base):
        other = newest.get(key(package))
        if other is None or compare(dnf, evr(package), evr(other)) > 0:
            newest[key(package)] = package
    upgrades = available(dnf, base)
    upgrades.filter_upgrades()
    upgrades.filter_latest_evr()
    found = {}  # type: Dict[Key, Dict[str, Any]]
    for package in upgrades:
        old = newest.get(key(package))
        if old is None or key(package) in removed or nevra(package) in reached:
            continue
        if compare(dnf, evr(package), evr(old)) > 0:
            reason = "dnf5 does not choose it: its dependencies are not met"
            found[key(package)] = stays(old, package, "kept_back", reason)
    return [found[each] for each in sorted(found)]


def repository(repo: Any) -> Dict[str, Any]:
    """Return one item of the answer's ``repositories``; it counts as signed if packages or metadata are checked."""
    settings = repo.get_config()
    where = list(settings.baseurl) or [
        one for one in (first(settings, "metalink"), first(settings, "mirrorlist")) if one
    ]
    checked = settings.pkg_gpgcheck if hasattr(settings, "get_pkg_gpgcheck_option") else settings.gpgcheck
    return {
        "id": repo.get_id(),
        "name": repo.get_name(),
        "uri": where[0] if where else "",
        "signed": bool(checked or settings.repo_gpgcheck),
    }


def first(settings: Any, name: str) -> str:
    """Return a repository's setting, empty where it has none: libdnf5 raises for what was never set."""
    option = getattr(settings, "get_{}_option".format(name))()
    return "" if option.empty() else str(option.get_value())


def library() -> Tuple[Any, Any]:
    """Return dnf 5's library, and what it throws."""
    try:
        import libdnf5 as dnf  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - its absence is an answer
        import libdnf5.exception  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError as error:
        raise Failure("bindings", str(error))
    # Of what libdnf5 throws, its bindings raise these two, and older ones RuntimeError.
    return dnf, (dnf.exception.Error, dnf.exception.NonLibdnf5Exception, RuntimeError)


def answer(asked: Dict[str, Any]) -> Dict[str, Any]:
    """Return what is pending on this host."""
    dnf, errors = library()
    refresh = asked.get("targets") is None and asked.get("without") is None
    try:
        base, whole = configured(dnf, asked), configured(dnf, asked, whole=True)
    except errors as error:
        raise Failure("settings", str(error))
    load_repositories(dnf, base, refresh, errors)
    try:
        if not refresh:
            return again(dnf, base, asked)
        load_repositories(dnf, whole, False, errors)
        show_locked(whole)
        return pending(dnf, base, whole, asked["security"])
    except errors as error:
        raise Failure("resolve", str(error))


def again(dnf: Any, base: Any, asked: Dict[str, Any]) -> Dict[str, Any]:
    """Return the answer to a further question."""
    if asked.get("targets") is not None:
        return {"updates": resolve_targets(dnf, base, asked["targets"])}
    return {"updates": resolve_without(dnf, base, set(map(tuple, asked["without"])), asked["security"])}


def pending(dnf: Any, base: Any, whole: Any, security: bool) -> Dict[str, Any]:
    """Return the answer to the first question, the repositories being loaded."""
    everything = resolve(dnf, base, False)
    updates = resolve(dnf, base, True) if security else everything
    behind = left_behind(dnf, base, everything)
    release = installed(dnf, whole)
    release.filter_provides(resolving.RELEASE_CAPABILITIES)
    vendors = [package.get_vendor() for package in release]
    return {
        "held": held_back(dnf, base, whole) + behind,
        "updates": updates,
        "everything": everything,
        "installed": sorted({package.get_name() for package in installed(dnf, whole)}),
        "repositories": [repository(repo) for repo in repositories(dnf, base)],
        "vendor": vendors[0] if vendors else None,
        "arch": base.get_vars().get_value("arch"),
    }


def main() -> int:
    """Ask, write the answer, and return the exit status."""
    answered(answer)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
