# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks dnf 4's own library what ``dnf upgrade`` would do, and writes it to a file as JSON.

This file is copied to a private directory on the host and run alone there, on
the Python that has dnf's bindings, so it imports the standard library and dnf
only. ``sys.argv[1]`` is a JSON file with ``{"cachedir", "persistdir", "answer",
"security", "targets", "without"}``.

Without ``targets`` and ``without`` (null) the metadata is refreshed, and the
answer is ``{"updates", "everything", "held", "installed", "repositories", "vendor", "arch"}``:
``everything`` is what ``dnf upgrade`` would do, ``updates`` the same or, with
``security``, what ``dnf upgrade --security`` would do. A further question is
asked in the same directories and fetches nothing; its answer is ``{"updates"}``:
of ``targets``, ``[[name, arch, evr, repository], ...]``, the transaction that
upgrades just these and what they need; of ``without``, ``[[name, arch], ...]``,
the upgrade while these packages stay as they are. Instead of an answer there may be
``{"error": {"repository", "seen", "step"}}``, where the step is ``bindings``,
``settings``, ``refresh``, ``database`` or ``resolve``.

Nothing of the host is written: caches, history and locks lie in the private
directories. Of dnf's plugins only versionlock is loaded, because others write
(subscription-manager, for one, rewrites redhat.repo).
"""

import binascii
import calendar
import json
import sys
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

Key = Tuple[str, str]

PLUGINS = ["versionlock"]
#: What the packages that carry /etc/os-release provide, on Fedora's and on SUSE's side.
RELEASE_CAPABILITIES = ["system-release", "distribution-release"]


class Failure(Exception):
    """What could not be done, with the repository that is to blame where one is."""

    def __init__(self, step: str, seen: str, repository: Optional[str] = None) -> None:
        super().__init__(seen)
        self.parts = {"step": step, "seen": seen, "repository": repository}


def evr(package: Any) -> str:
    """Return ``[epoch:]version-release``, the epoch only when it is not 0."""
    text = "{}-{}".format(package.version, package.release)
    return "{}:{}".format(package.epoch, text) if package.epoch else text


def key(package: Any) -> Key:
    """Return name and architecture."""
    return package.name, package.arch


def configured(dnf: Any, asked: Dict[str, Any]) -> Any:
    """Return a base that reads the host's settings and writes only the private directories."""
    base = dnf.Base()
    base.conf.read()
    base.conf.cachedir = asked["cachedir"]
    base.conf.system_cachedir = asked["cachedir"]
    base.conf.persistdir = asked["persistdir"]
    base.conf.logdir = asked["persistdir"]
    base.conf.substitutions.update_from_etc(base.conf.installroot)
    if not base.conf.substitutions.get("releasever"):
        base.conf.substitutions["releasever"] = dnf.rpm.detect_releasever(base.conf.installroot)
    return base


def load_repositories(dnf: Any, base: Any, refresh: bool) -> None:
    """Fetch the metadata of each repository by itself, so that the one that fails is named.

    Without ``refresh`` it is taken from the private directory: one state of the repository for all questions.
    """
    base.read_all_repos()
    for repo in base.repos.iter_enabled():
        repo.skip_if_unavailable = False
        repo.metadata_expire = 1 if refresh else -1
        try:
            repo.load()
        except (dnf.exceptions.Error, RuntimeError, OSError) as error:
            raise Failure("refresh", str(error), repo.id)
        repo.metadata_expire = -1


def visible(base: Any) -> Dict[Key, Set[str]]:
    """Return which packages may be chosen, as nevra by name and architecture."""
    found = {}  # type: Dict[Key, Set[str]]
    for package in base.sack.query().available():
        found.setdefault(key(package), set()).add(str(package))
    return found


def load_host(dnf: Any, base: Any) -> Dict[Key, Set[str]]:
    """Read the host's packages, with its exclusions and locks; return :func:`visible` without the locks."""
    try:
        base.fill_sack()
        by_settings = visible(base)
        base.init_plugins(["*"], PLUGINS)
        base.pre_configure_plugins()
        base.configure_plugins()
        base.fill_sack()
    except dnf.exceptions.Error as error:
        raise Failure("database", str(error))
    return by_settings


def resolve(dnf: Any, base: Any, security: bool) -> List[Dict[str, Any]]:
    """Return the transaction of ``dnf upgrade`` (``--security``)."""
    base.reset(goal=True)
    base.reset_security_filters()
    if security:
        base.add_security_filters("gte", types=["security"])
    try:
        base.upgrade_all()
        base.resolve()
    except dnf.exceptions.Error as error:
        raise Failure("resolve", str(error))
    return changes(dnf, base)


def resolve_targets(dnf: Any, base: Any, targets: List[List[str]]) -> List[Dict[str, Any]]:
    """Return the transaction that upgrades exactly ``targets`` and what they need."""
    base.reset(goal=True)
    try:
        for name, arch, version, repository_id in targets:
            offered = base.sack.query().available().filterm(name=name, arch=arch, reponame=repository_id)
            same = [package for package in offered if evr(package) == version]
            if not same:
                raise Failure("resolve", "{} {} is not offered by {}".format(name, version, repository_id))
            base.package_upgrade(same[0])
        base.resolve()
    except dnf.exceptions.Error as error:
        raise Failure("resolve", str(error))
    found = changes(dnf, base)
    reached = {(item["name"], item["arch"], item["to"]) for item in found}
    # Without the setting ``best`` dnf passes over what it cannot upgrade.
    missed = [name for name, arch, version, _id in targets if (name, arch, version) not in reached]
    if missed:
        raise Failure("resolve", "dnf does not upgrade {}".format(", ".join(missed[:5])))
    return found


def resolve_without(dnf: Any, base: Any, keep: Set[Key], security: bool) -> List[Dict[str, Any]]:
    """Return the upgrade while ``keep`` stays: its packages, and those that replace it, are as if not offered."""
    for name, arch in keep:
        stays = base.sack.query().installed().filterm(name=name, arch=arch)
        base.sack.add_excludes(base.sack.query().available().filterm(name=name, arch=arch))
        if len(stays):
            base.sack.add_excludes(base.sack.query().available().filterm(obsoletes=stays))
    found = resolve(dnf, base, security)
    changed = sorted(item["name"] for item in found if key_of(item) in keep)
    if changed:
        raise Failure("resolve", "dnf cannot leave {} as it is".format(", ".join(changed[:5])))
    return found


def key_of(item: Dict[str, Any]) -> Key:
    """Return name and architecture of an item of the answer."""
    return item["name"], item["arch"]


def changes(dnf: Any, base: Any) -> List[Dict[str, Any]]:
    """Return the resolved transaction, one item a package, sorted by name and architecture."""
    incoming, outgoing = list(base.transaction.install_set), list(base.transaction.remove_set)
    reasons = {}
    for item in base.transaction:
        reasons[str(item.pkg)] = item.reason
    several = {str(package) for package in base.sack.query().filterm(provides=list(base.conf.installonlypkgs))}
    found = []
    for package in incoming:
        if str(package) in several:
            found.append(item_of(dnf, base, package, newest_before(base, package), reasons))
            continue
        same = [other for other in outgoing if other.name == package.name]
        old = next((other for other in same if other.arch == package.arch), same[0] if len(same) == 1 else None)
        if old is not None:
            outgoing.remove(old)
        found.append(item_of(dnf, base, package, old, reasons))
        found[-1]["replaces"] = old is None and any(replaces(base, package, other) for other in outgoing)
    found += [item_of(dnf, base, None, package, reasons) for package in outgoing]
    return sorted(found, key=lambda item: (item["name"], item["arch"], item["to"] or ""))


def newest_before(base: Any, package: Any) -> Any:
    """Return the newest installed version before ``package``, which is installed beside it (a kernel), or None."""
    best = None
    for other in base.sack.query().installed():
        older = key(other) == key(package) and base.sack.evr_cmp(other.evr, package.evr) < 0
        if older and (best is None or base.sack.evr_cmp(other.evr, best.evr) > 0):
            best = other
    return best


def replaces(base: Any, new: Any, old: Any) -> bool:
    """Return whether ``new`` obsoletes ``old``, which has another name."""
    return len(base.sack.query().filterm(pkg=[new]).filterm(obsoletes=[old])) > 0


def item_of(dnf: Any, base: Any, new: Any, old: Any, reasons: Dict[str, int]) -> Dict[str, Any]:
    """Return one item of the answer's ``updates``; ``new`` or ``old`` may be None."""
    package = old if new is None else new
    advisories = [] if new is None else advisories_of(base, new, old)
    hawkey = dnf.sack.hawkey
    return {
        "name": package.name,
        "arch": package.arch,
        "from": None if old is None else evr(old),
        "to": None if new is None else evr(new),
        "repository": None if new is None else new.reponame,
        "vendor": None if new is None else new.vendor,
        "source_rpm": None if new is None else new.sourcerpm,
        "source_rpm_from": None if old is None else old.sourcerpm,
        "replaces": False,
        "issued_s": None if new is None else issued(base, advisories, new),
        "built_s": None if new is None else new.buildtime or None,
        "advisories": sorted({advisory.id for advisory in advisories}),
        "security": any(advisory.type == hawkey.ADVISORY_SECURITY for advisory in advisories),
        "cves": sorted(
            {
                reference.id
                for advisory in advisories
                for reference in advisory.references
                if reference.type == hawkey.REFERENCE_CVE and reference.id
            }
        ),
        "download_bytes": 0 if new is None else new.downloadsize,
        "installed_bytes": None if new is None else new.installsize,
        "sha256": None if new is None else sha256_of(dnf, new),
        "automatic": is_automatic(reasons.get(str(package))),
    }


def sha256_of(dnf: Any, package: Any) -> Optional[str]:
    """Return the SHA-256 that the repository's metadata gives of a package, None if it gives another checksum."""
    kind, digest = package.chksum or (None, b"")
    if kind is None or dnf.sack.hawkey.chksum_name(kind) != "sha256":
        return None
    return binascii.hexlify(digest).decode("ascii")


def issued(base: Any, advisories: List[Any], new: Any) -> Optional[int]:
    """Return when the newest advisory of exactly this version was issued, in seconds since 1970.

    libdnf keeps one date of an advisory, the later of ``issued`` and ``updated``, as naive UTC.
    """
    times = [
        calendar.timegm(advisory.updated.timetuple())
        for advisory in advisories
        for package in advisory.packages
        if key(package) == key(new) and base.sack.evr_cmp(package.evr, new.evr) == 0 and advisory.updated
    ]
    return max(times, default=0) or None


def is_automatic(reason: Optional[int]) -> bool:
    """Return whether dnf's record says that a package came as a dependency (weak ones included)."""
    import libdnf.transaction as of  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - dnf's own

    return reason in (of.TransactionItemReason_DEPENDENCY, of.TransactionItemReason_WEAK_DEPENDENCY)


def advisories_of(base: Any, new: Any, old: Any) -> List[Any]:
    """Return the advisories of versions after ``old`` and up to ``new``; without ``old``, of ``new`` itself."""
    import hawkey  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - dnf's own

    if old is None:
        return list(new.get_advisories(hawkey.EQ))
    found = []
    for advisory in new.get_advisories(hawkey.EQ | hawkey.LT):
        for package in advisory.packages:
            if key(package) == key(new) and base.sack.evr_cmp(package.evr, old.evr) > 0:
                found.append(advisory)
                break
    return found


def held_back(base: Any, by_settings: Dict[Key, Set[str]]) -> List[Dict[str, Any]]:
    """Return each installed package for which an exclusion hides a newer version, with the newest.

    ``by_settings`` is what the settings left visible; what versionlock hid of it is locked.
    """
    import hawkey  # noqa: PLC0415 - dnf's own

    shown = visible(base)
    everything = base.sack.query(flags=hawkey.IGNORE_REGULAR_EXCLUDES)  # an exclusion hides installed packages too
    hidden = {}  # type: Dict[Key, List[Any]]
    for package in everything.available():
        if str(package) not in shown.get(key(package), ()):
            hidden.setdefault(key(package), []).append(package)
    found = []
    for package in everything.installed():
        best = None
        for other in hidden.get(key(package), ()):
            if base.sack.evr_cmp(other.evr, (best or package).evr) > 0:
                best = other
        if best is not None:
            locked = str(best) in by_settings.get(key(package), ())
            found.append(
                {
                    "name": package.name,
                    "arch": package.arch,
                    "version": evr(package),
                    "candidate": evr(best),
                    "kind": "hold" if locked else "excluded",
                    "reason": "dnf versionlock" if locked else "dnf excludepkgs or includepkgs",
                }
            )
    return sorted(found, key=lambda item: (item["name"], item["arch"], item["version"]))


def installed_names(base: Any) -> List[str]:
    """Return the names of all installed packages, also of those that an exclusion hides."""
    import hawkey  # noqa: PLC0415 - dnf's own

    return sorted({package.name for package in base.sack.query(flags=hawkey.IGNORE_EXCLUDES).installed()})


def left_behind(base: Any, everything: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return each installed package with a newer version in sight that the transaction does not reach."""
    reached = {(item["name"], item["arch"], item["to"]) for item in everything}
    removed = {(item["name"], item["arch"]) for item in everything if item["to"] is None}
    installed = {}  # type: Dict[Key, Any]
    for package in base.sack.query().installed():
        newest = installed.get(key(package))
        if newest is None or base.sack.evr_cmp(package.evr, newest.evr) > 0:
            installed[key(package)] = package
    found = {}  # type: Dict[Key, Dict[str, Any]]
    for package in base.sack.query().upgrades().latest():
        old = installed.get(key(package))
        if old is None or key(package) in removed or (package.name, package.arch, evr(package)) in reached:
            continue
        if base.sack.evr_cmp(package.evr, old.evr) > 0:
            found[key(package)] = {
                "name": package.name,
                "arch": package.arch,
                "version": evr(old),
                "candidate": evr(package),
                "kind": "kept_back",
                "reason": "dnf does not choose it: its dependencies are not met",
            }
    return [found[each] for each in sorted(found)]


def repository(repo: Any) -> Dict[str, Any]:
    """Return one item of the answer's ``repositories``; it counts as signed if packages or metadata are checked."""
    where = list(repo.baseurl) or [repo.metalink or repo.mirrorlist or ""]
    return {"id": repo.id, "name": repo.name, "uri": where[0], "signed": bool(repo.gpgcheck or repo.repo_gpgcheck)}


def answer(asked: Dict[str, Any]) -> Dict[str, Any]:
    """Return what is pending on this host."""
    try:
        import dnf  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - its absence is an answer
        import dnf.rpm  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError as error:
        raise Failure("bindings", str(error))
    try:
        base = configured(dnf, asked)
    except dnf.exceptions.Error as error:
        raise Failure("settings", str(error))
    targets, without = asked.get("targets"), asked.get("without")
    load_repositories(dnf, base, targets is None and without is None)
    by_settings = load_host(dnf, base)
    if targets is not None:
        return {"updates": resolve_targets(dnf, base, targets)}
    if without is not None:
        return {"updates": resolve_without(dnf, base, set(map(tuple, without)), asked["security"])}
    everything = resolve(dnf, base, False)
    release = base.sack.query().installed().filterm(provides=RELEASE_CAPABILITIES).run()
    return {
        "held": held_back(base, by_settings) + left_behind(base, everything),
        "updates": resolve(dnf, base, True) if asked["security"] else everything,
        "everything": everything,
        "installed": installed_names(base),
        "repositories": [repository(repo) for repo in base.repos.iter_enabled()],
        "vendor": release[0].vendor if release else None,
        "arch": base.conf.substitutions.get("arch"),
    }


def answered(work: Callable[[Dict[str, Any]], Dict[str, Any]]) -> Dict[str, Any]:
    """Do the work that is asked for, write the answer, and return it."""
    with open(sys.argv[1], encoding="utf-8") as handle:
        asked = json.load(handle)
    try:
        found = work(asked)
    except Failure as failure:
        found = {"error": failure.parts}
    with open(asked["answer"], "w", encoding="utf-8") as handle:
        json.dump(found, handle)
    return found


def main() -> int:
    """Ask, write the answer, and return the exit status."""
    answered(answer)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
