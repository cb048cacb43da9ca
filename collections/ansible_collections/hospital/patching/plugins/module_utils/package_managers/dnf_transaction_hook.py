# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolves, fetches, rehearses and performs one transaction with dnf 4's own library; the answer is a file in JSON.

Like dnf_resolve_hook.py, which lies beside it and whose rules it follows, this file
is run alone on the host. ``sys.argv[1]`` is a JSON file with ``{"work", "cachedir",
"persistdir", "answer", …}``; ``work`` is one of

* ``resolve`` with ``updates``, ``[{"name", "arch", "to", "origin"}, …]``: refreshes the metadata; the answer is
  ``{"updates", "missing"}``: the transaction that reaches them, as dnf_resolve_hook.py gives it, or of the first
  update that no repository offers any more ``{"name", "arch", "versions"}``.
* ``fetch`` with ``packages``, ``[[name, arch, evr, origin or null], …]``, and ``target``: downloads them; the answer
  is ``{"files": [{"name", "arch", "evr", "path", "sha256", "bytes", "problem"}, …]}`` of those that a repository
  has. ``problem`` says what is wrong with its signature, or is null; ``sha256`` is the repository's.
* ``perform`` with ``install``, ``[[name, arch, evr, path, origin, automatic or null], …]``, ``remove``,
  ``[[name, arch, evr], …]``, and ``test``: performs exactly this from these files, with no repository at all, or with
  ``test`` lets rpm test it only. The answer is ``{"differences", "errors", "failed"}``: in what dnf's transaction
  differs (then nothing was done), what went wrong, and, where only scripts failed, ``[[name, arch], …]`` of them.
  Before rpm touches a package it is written to the file ``begun``, a JSON line ``[name, arch]`` each.
* ``mark`` with ``automatic`` and ``manual``, ``[[name, arch], …]``: sets these packages' reasons.

Only ``perform`` without ``test`` and ``mark`` change the host, and only they are given its own ``persistdir``, which
holds dnf's history. dnf's plugins are not loaded for them: the transaction is settled.
"""

import importlib
import json
import os
import sys
from typing import Any, Dict, List, Optional, Set, Tuple

try:
    from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
        dnf_resolve_hook as resolving,
    )
except ImportError:  # alone on the host
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import dnf_resolve_hook as resolving  # type: ignore[import-not-found,no-redef,unused-ignore]

Failure = resolving.Failure
evr = resolving.evr
#: Name, architecture and version.
Nevra = Tuple[str, str, str]


def resolve(dnf: Any, base: Any, asked: Dict[str, Any]) -> Dict[str, Any]:
    """Return the transaction that brings ``updates`` to their targets."""
    base.reset(goal=True)
    removals = []
    for update in asked["updates"]:
        if update["to"] is None:
            removals.append(update)
            continue
        offered = base.sack.query().available().filterm(name=update["name"], arch=update["arch"])
        same = [package for package in offered if evr(package) == update["to"]]
        if not same:
            if any(evr(package) == update["to"] for package in everything(base, update["name"], update["arch"])):
                what = "{} {}".format(update["name"], update["to"])
                raise Failure("resolve", "{} is excluded or locked on this host".format(what))
            versions = [evr(package) for package in sorted(offered)]
            return {"updates": [], "missing": {"name": update["name"], "arch": update["arch"], "versions": versions}}
        # Two repositories may have it: the one that was planned, else the first.
        same.sort(key=lambda package: package.reponame != update.get("origin"))
        base.package_install(same[0])
    for update in removals:
        for package in base.sack.query().installed().filterm(name=update["name"], arch=update["arch"]):
            base.package_remove(package)
    try:
        base.resolve(allow_erasing=bool(removals))
    except dnf.exceptions.Error as error:
        raise Failure("resolve", str(error))
    return {"updates": resolving.changes(dnf, base), "missing": None}


def everything(base: Any, name: str, arch: str) -> Any:
    """Return all that the repositories have of a package, also what the host's exclusions and locks hide."""
    import hawkey  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - dnf's own

    return base.sack.query(flags=hawkey.IGNORE_EXCLUDES).available().filterm(name=name, arch=arch)


def fetch(dnf: Any, base: Any, asked: Dict[str, Any]) -> Dict[str, Any]:
    """Download packages to the folder ``target``."""
    found = []
    for name, arch, version, origin in asked["packages"]:
        # What is installed now may be excluded from being chosen again; it is fetched for the way back all the same.
        offered = everything(base, name, arch)
        same = [package for package in offered if evr(package) == version and origin in (None, package.reponame)]
        found += same[:1]
    for repo in base.repos.iter_enabled():
        repo.pkgdir = asked["target"]
    try:
        base.download_packages(found)
    except dnf.exceptions.DownloadError as error:
        raise Failure("fetch", str(error))
    files = []
    for package in found:
        path = package.localPkg()
        result, message = base.package_signature_check(package) if os.path.exists(path) else (2, "it did not arrive")
        files.append(
            {
                "name": package.name,
                "arch": package.arch,
                "evr": evr(package),
                "path": path,
                "sha256": resolving.sha256_of(dnf, package),
                "bytes": package.downloadsize,
                "problem": message or "its signature is not good" if result else None,
            }
        )
    return {"files": files}


def differences(base: Any, asked: Dict[str, Any], there: Any) -> List[str]:
    """Return in what the resolved transaction differs from what is asked for; empty if in nothing.

    ``there`` finds an installed package by name, architecture and version.
    """
    comes = {(package.name, package.arch, evr(package)) for package in base.transaction.install_set}
    goes = {(package.name, package.arch, evr(package)) for package in base.transaction.remove_set}
    return compared(asked, comes, goes, there)


def compared(asked: Dict[str, Any], comes: Set[Nevra], goes: Set[Nevra], there: Any, tool: str = "dnf") -> List[str]:
    """Return in what a transaction differs from what is asked for; ``there`` as :func:`differences` has it.

    What leaves must be a version, for the same architecture or noarch, of a package that comes or goes.
    """
    wanted = {(name, arch, version) for name, arch, version, _path, _origin, _automatic in asked["install"]}
    gone = {(name, arch, version) for name, arch, version in asked["remove"] if there(name, arch, version)}
    ours = {(name, arch) for name, arch, _version in wanted | gone}
    names = {name for name, _arch in ours}

    def leaves_for_ours(name: str, arch: str) -> bool:
        # Of a package alone an architecture may change, to and from noarch; else it is another package.
        return (name, arch) in ours or (name, "noarch") in ours or (arch == "noarch" and name in names)

    more, less = "{} would also {{}} {{}}-{{}}.{{}}".format(tool), "{} would not {{}} {{}}-{{}}.{{}}".format(tool)
    return (
        [more.format("install", name, version, arch) for name, arch, version in sorted(comes - wanted)]
        + [less.format("install", name, version, arch) for name, arch, version in sorted(wanted - comes)]
        + [
            more.format("remove", name, version, arch)
            for name, arch, version in sorted(goes)
            if not leaves_for_ours(name, arch)
        ]
        + [less.format("remove", name, version, arch) for name, arch, version in sorted(gone - goes)]
    )


def display(dnf: Any, begun: Optional[str], errors: List[str], failed: List[List[str]]) -> Any:
    """Return what dnf reports to while it works."""
    shown = importlib.import_module("dnf.yum.rpmtrans").TransactionDisplay  # type: Any

    class Display(shown):  # type: ignore[misc,unused-ignore]
        """Keeps errors, prints what scripts say, and notes each package before rpm touches it."""

        def __init__(self) -> None:
            super().__init__()
            self.begun = []  # type: List[List[str]]

        def error(self, message: str) -> None:
            errors.append(str(message))
            # A %posttrans comes after all packages, so its message tells whose it is.
            named = [one for one in self.begun if str(message).endswith(" " + one[0])] or self.begun[-1:]
            failed.extend(one for one in named if one not in failed)
            say("error: {}".format(message))

        def scriptout(self, msgs: Any) -> None:
            if msgs:
                say(msgs.decode("utf-8", "replace") if isinstance(msgs, bytes) else str(msgs))

        def filelog(self, package: Any, action: Any) -> None:
            self.begin(package, action)
            say("{} {}".format(dnf.transaction.FILE_ACTIONS.get(action, action), package))

        def progress(self, package: Any, action: Any, *_amounts: Any) -> None:
            self.begin(package, action)  # dnf of EL 8 calls filelog only afterwards

        def begin(self, package: Any, action: Any) -> None:
            if action not in dnf.transaction.FORWARD_ACTIONS or not hasattr(package, "arch"):
                return
            one = [package.name, package.arch]
            if one in self.begun:
                return
            self.begun.append(one)
            if begun:
                note(begun, one)

    return Display()


def say(text: str) -> None:
    """Print to the step's log."""
    sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


def note(path: str, package: List[str]) -> None:
    """Add a package to the file of those that were begun; it is on disk before rpm touches the package."""
    with open(path, "a", encoding="utf-8") as handle:
        handle.write(json.dumps(package) + "\n")
        handle.flush()
        os.fsync(handle.fileno())


def perform(dnf: Any, base: Any, asked: Dict[str, Any]) -> Dict[str, Any]:
    """Perform exactly what is asked for from local files, or test it."""
    base.conf.clean_requirements_on_remove = False  # what becomes unneeded is not ours to remove
    base.conf.install_weak_deps = False
    base.conf.installonly_limit = 0  # nor are old kernels
    base.conf.disable_excludes = ["all"]
    base.conf.localpkg_gpgcheck = False  # each signature was checked at stage, and each SHA-256 just now
    base.conf.tsflags = list(base.conf.tsflags) + ["test"] * bool(asked["test"])
    try:
        base.fill_sack(load_system_repo=True, load_available_repos=False)
    except dnf.exceptions.Error as error:
        raise Failure("database", str(error))

    def there(name: str, arch: str, version: str) -> List[Any]:
        query = base.sack.query().installed().filterm(name=name, arch=arch)
        return [package for package in query if evr(package) == version]

    try:
        incoming = base.add_remote_rpms([item[3] for item in asked["install"]])
        for package in incoming:
            if there(package.name, package.arch, evr(package)):
                base.package_reinstall(package)
                several = base.sack.query().installed().filterm(name=package.name, arch=package.arch)
                for other in several if not parallel(base, package) else []:
                    if evr(other) != evr(package):  # left by a transaction that was cut off
                        base.package_remove(other)
            else:
                base.package_install(package)
        for name, arch, version in asked["remove"]:
            for package in there(name, arch, version):
                base.package_remove(package)
        # What leaves because something obsoletes it counts as erased too; the comparison is what protects the host.
        base.resolve(allow_erasing=True)
    except (dnf.exceptions.Error, OSError) as error:
        raise Failure("resolve", str(error))
    found = differences(base, asked, there)
    if found:
        return {"differences": found, "errors": [], "failed": []}
    describe(base, asked)
    errors = []  # type: List[str]
    failed = []  # type: List[List[str]]
    try:
        base.do_transaction(display(dnf, asked.get("begun"), errors, failed))
    except dnf.exceptions.Error as error:
        say("error: {}".format(error))
        return {"differences": [], "errors": [str(error)] + errors, "failed": []}
    return {"differences": [], "errors": errors, "failed": failed}


def parallel(base: Any, package: Any) -> bool:
    """Return whether several versions of a package may be installed beside each other."""
    return len(base.sack.query().filterm(pkg=[package]).filterm(provides=list(base.conf.installonlypkgs))) > 0


def describe(base: Any, asked: Dict[str, Any]) -> None:
    """Give dnf's history the origin and, of new packages, the reason that the transaction has."""
    import libdnf.transaction as of  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - dnf's own

    known = {(item[0], item[1], item[2]): item for item in asked["install"]}
    for item in base.transaction:
        ours = known.get((item.pkg.name, item.pkg.arch, evr(item.pkg)))
        if ours is None or not item.pkg._from_cmdline:
            continue
        if ours[4]:
            item._item.setRepoid(ours[4])
        if ours[5] is not None:
            item._item.setReason(of.TransactionItemReason_DEPENDENCY if ours[5] else of.TransactionItemReason_USER)


def mark(dnf: Any, base: Any, asked: Dict[str, Any]) -> Dict[str, Any]:
    """Set reasons, as ``dnf mark`` does."""
    import libdnf.transaction as of  # noqa: PLC0415 - dnf's own

    try:
        base.fill_sack(load_system_repo=True, load_available_repos=False)
    except dnf.exceptions.Error as error:
        raise Failure("database", str(error))
    both = (("automatic", of.TransactionItemReason_DEPENDENCY), ("manual", of.TransactionItemReason_USER))
    for kind, reason in both:
        for name, arch in asked[kind]:
            for package in base.sack.query().installed().filterm(name=name, arch=arch):
                base.history.set_reason(package, reason)
    last = base.history.last()
    version = base._ts.dbCookie() if last is None else last.end_rpmdb_version
    base.history.beg(version, [], [])
    base.history.end(version)
    return {}


def answer(asked: Dict[str, Any]) -> Dict[str, Any]:
    """Do the work that is asked for."""
    try:
        import dnf  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - its absence is an answer
        import dnf.rpm  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
        import dnf.transaction  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError as error:
        raise Failure("bindings", str(error))
    try:
        base = resolving.configured(dnf, asked)
    except dnf.exceptions.Error as error:
        raise Failure("settings", str(error))
    if asked["work"] == "perform":
        return perform(dnf, base, asked)
    if asked["work"] == "mark":
        return mark(dnf, base, asked)
    resolving.load_repositories(dnf, base, asked["work"] == "resolve")
    resolving.load_host(dnf, base)
    if asked["work"] == "resolve":
        base.conf.installonly_limit = 0
        return resolve(dnf, base, asked)
    return fetch(dnf, base, asked)


def main() -> int:
    """Work, write the answer, and return the exit status."""
    found = resolving.answered(answer)
    return 1 if found.get("error") or found.get("differences") or found.get("errors") else 0


if __name__ == "__main__":
    raise SystemExit(main())
