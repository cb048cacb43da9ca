# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolves, fetches, rehearses and performs one transaction with dnf 5's own library; the answer is a file in JSON.

Like dnf_transaction_hook.py, which lies beside it and whose questions and answers it has, this file is run alone on the
host, on the Python that has dnf 5's bindings. What differs:

* the answer of ``perform`` has also ``reasons``, libdnf5's word by ``name.arch`` of each package that was not there
  before: where a script failed, libdnf5 has not kept them.
* ``mark`` has ``reasons``, ``[[name, arch, libdnf5's word], …]``.

dnf 5 keeps why packages are installed in a folder of the system, so both need no ``persistdir``. No plugin is loaded.
"""

import contextlib
import fcntl
import functools
import json
import os
import re
import sys
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

try:
    from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
        dnf5_resolve_hook as resolving,
    )
    from ansible_collections.hospital.patching.plugins.module_utils.package_managers import (
        dnf_transaction_hook as transacting,
    )
except ImportError:  # alone on the host
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import dnf5_resolve_hook as resolving  # type: ignore[import-not-found,no-redef,unused-ignore]
    import dnf_transaction_hook as transacting  # type: ignore[import-not-found,no-redef,unused-ignore]

Failure, answered = resolving.Failure, resolving.answered
evr, key, nevra = resolving.evr, resolving.key, resolving.nevra
#: Where libdnf5 logs what rpm and its scripts say, beside the answer, and how a line of either looks.
LOG = "libdnf5.log"
_SAID = re.compile(r"\S+ \[\d+\] ([A-Z]+) \[(rpm|scriptlet)\] (.*)")
#: What libdnf5 calls the repository of files; they have no other.
FILES = "@commandline"
#: A line of nevras.toml about a package that came from a file.
_FROM_FILE = re.compile(r'"([^"\\]+)" = \{from_repo = "@commandline"\}\n\Z')
#: libdnf5's lock of a transaction.
LOCK = "/run/dnf/rpmtransaction.lock"


def of_name(query: Any, name: str, arch: str) -> List[Any]:
    """Return what a query has of a package."""
    query.filter_name([name])
    query.filter_arch([arch])
    return list(query)


def everything(dnf: Any, asked: Dict[str, Any], errors: Any) -> Any:
    """Return a base in which neither exclusions nor locks hide anything; its metadata is there already."""
    whole = resolving.configured(dnf, asked, whole=True)
    resolving.load_repositories(dnf, whole, False, errors)
    resolving.show_locked(whole)
    return whole


def resolve(dnf: Any, base: Any, asked: Dict[str, Any], errors: Any) -> Dict[str, Any]:
    """Return the transaction that brings ``updates`` to their targets."""
    goal = dnf.base.Goal(base)
    removals = [update for update in asked["updates"] if update["to"] is None]
    for update in asked["updates"]:
        name, arch, version = update["name"], update["arch"], update["to"]
        if version is None:
            continue
        offered = of_name(resolving.available(dnf, base), name, arch)
        same = [package for package in offered if evr(package) == version]
        if not same:
            whole = everything(dnf, asked, errors)  # libdnf5's packages live no longer than their base
            hidden = of_name(resolving.available(dnf, whole), name, arch)
            if any(evr(package) == version for package in hidden):
                raise Failure("resolve", "{} {} is excluded or locked on this host".format(name, version))
            versions = sorted(
                {evr(package) for package in offered},
                key=functools.cmp_to_key(functools.partial(resolving.compare, dnf)),
            )
            return {"updates": [], "missing": {"name": name, "arch": arch, "versions": versions}}
        # Two repositories may have it: the one that was planned, else the first.
        same.sort(key=lambda package: package.get_repo_id() != update.get("origin"))
        goal.add_rpm_install(same[0])
    for update in removals:
        for package in of_name(resolving.installed(dnf, base), update["name"], update["arch"]):
            goal.add_rpm_remove(package)
    goal.set_allow_erasing(bool(removals))
    return {"updates": resolving.changes(dnf, base, resolving.resolved(dnf, goal)), "missing": None}


def fetch(dnf: Any, base: Any, asked: Dict[str, Any], errors: Any) -> Dict[str, Any]:
    """Download packages to the folder ``target``; libdnf5 compares each with its checksum."""
    found = []
    for name, arch, version, origin in asked["packages"]:
        offered = of_name(resolving.available(dnf, base), name, arch)
        found += [
            package for package in offered if evr(package) == version and origin in (None, package.get_repo_id())
        ][:1]
    downloader = dnf.repo.PackageDownloader(base)
    for package in found:
        downloader.add(package)
    try:
        downloader.download()
    except errors as error:
        missing = ["{}-{}.{}".format(one[0], one[2], one[1]) for one in map(nevra, filter(is_missing, found))]
        raise Failure("fetch", "{}: {}".format(error, ", ".join(missing[:5])))
    signature = dnf.rpm.RpmSignature(base)
    return {"files": [fetched(dnf, signature, package, asked["target"]) for package in found]}


def is_missing(package: Any) -> bool:
    """Return whether a package's file is not in libdnf5's cache."""
    return not os.path.exists(str(package.get_package_path()))


def fetched(dnf: Any, signature: Any, package: Any, target: str) -> Dict[str, Any]:
    """Return one item of the answer's ``files``, the file being moved to ``target``."""
    path = str(package.get_package_path())
    problem = "it did not arrive"  # type: Optional[str]
    if not is_missing(package):
        result = signature.check_package_signature(package)
        good = (dnf.rpm.RpmSignature.CheckResult_OK, dnf.rpm.RpmSignature.CheckResult_SKIPPED)
        problem = None if result in good else signature.check_result_to_string(result) or "its signature is not good"
        own = os.path.join(target, os.path.basename(path))
        os.rename(path, own)  # of a repository that is a folder, too, libdnf5 has made a copy
        path = own
    return {
        "name": package.get_name(),
        "arch": package.get_arch(),
        "evr": evr(package),
        "path": path,
        "sha256": resolving.sha256_of(package),
        "bytes": package.get_download_size(),
        "problem": problem,
    }


def host_only(dnf: Any, asked: Dict[str, Any], errors: Any, files: List[str]) -> Any:
    """Return a base that knows the host's packages and ``files``, and no repository."""
    try:
        base = resolving.configured(dnf, asked, whole=True)
    except errors as error:
        raise Failure("settings", str(error))
    settings = base.get_config()
    settings.clean_requirements_on_remove = False  # what becomes unneeded is not ours to remove
    settings.installonly_limit = 0  # nor are old kernels
    settings.allow_vendor_change = True  # the host's own policy was asked at stage
    settings.localpkg_gpgcheck = False  # each signature was checked at stage, and each SHA-256 just now
    settings.logdir = os.path.dirname(asked["answer"])
    base.get_logger().add_logger(dnf.logger.create_file_logger(base, LOG))
    sack = base.get_repo_sack()
    try:
        sack.load_repos(dnf.repo.Repo.Type_SYSTEM)
    except errors as error:
        raise Failure("database", str(error))
    try:
        sack.add_cmdline_packages(files)
    except errors as error:
        raise Failure("resolve", str(error))
    resolving.show_locked(base)
    return base


def planned(dnf: Any, base: Any, asked: Dict[str, Any], ask_for_all: bool) -> Any:
    """Return the transaction of ``install`` and ``remove``.

    What is new and a dependency gets its right reason only where dnf 5 itself takes it in; with ``ask_for_all`` it is
    asked for too, and becomes the user's.
    """
    goal = dnf.base.Goal(base)
    # What leaves because something obsoletes it counts as erased too; the comparison is what protects the host.
    goal.set_allow_erasing(True)
    query = dnf.rpm.PackageQuery(base)
    query.filter_repo_id([FILES])
    incoming = {nevra(package): package for package in query}
    query.filter_installonly()
    parallel = {nevra(package) for package in query}
    for name, arch, version, path, _origin, automatic in asked["install"]:
        package = incoming.get((name, arch, version))
        if package is None:
            raise Failure("resolve", "{} is not {}-{}.{}".format(path, name, version, arch))
        several = of_name(resolving.installed(dnf, base), name, arch)
        if any(evr(other) == version for other in several):
            goal.add_rpm_reinstall(package)
            for other in several:  # left by a transaction that was cut off
                if evr(other) != version and nevra(package) not in parallel:
                    goal.add_rpm_remove(other)
        elif ask_for_all or not automatic:
            goal.add_rpm_install(package)
    for name, arch, version in asked["remove"]:
        for package in of_name(resolving.installed(dnf, base), name, arch):
            if evr(package) == version:
                goal.add_rpm_remove(package)
    return resolving.resolved(dnf, goal)


def differences(dnf: Any, base: Any, asked: Dict[str, Any], transaction: Any) -> List[str]:
    """Return in what a resolved transaction differs from what is asked for; empty if in nothing."""
    there = {nevra(package) for package in resolving.installed(dnf, base)}
    comes, goes = sides(dnf, transaction)
    return transacting.compared(asked, comes, goes, lambda *one: one in there, "dnf5")


def sides(dnf: Any, transaction: Any) -> Tuple[Set[Any], Set[Any]]:
    """Return what comes and what goes, as (name, architecture, version)."""
    of = dnf.transaction
    comes, goes = set(), set()
    for item in transaction.get_transaction_packages():
        if of.transaction_item_action_is_inbound(item.get_action()):
            comes.add(nevra(item.get_package()))
        elif of.transaction_item_action_is_outbound(item.get_action()):
            goes.add(nevra(item.get_package()))
    return comes, goes


def exactly(dnf: Any, base: Any, asked: Dict[str, Any]) -> Tuple[Any, List[str]]:
    """Return the transaction that is asked for, and in what it differs.

    Where dnf 5 does not take in every new dependency by itself, all of them are asked for.
    """
    with contextlib.suppress(Failure):
        transaction = planned(dnf, base, asked, False)
        if not differences(dnf, base, asked, transaction):
            return transaction, []
    transaction = planned(dnf, base, asked, True)
    return transaction, differences(dnf, base, asked, transaction)


class Log:
    """Prints what libdnf5's log has got of rpm and its scripts, in rpm's own words."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.at = os.path.getsize(path) if os.path.exists(path) else 0
        self.errors = []  # type: List[str]

    def tell(self) -> None:
        """Print what came since the last call."""
        for kind, who, text in self._lines():
            if who == "scriptlet":
                transacting.say(text)
                continue
            self.errors.append("{}: {}".format("error" if kind in ("ERROR", "CRITICAL") else "warning", text))
            transacting.say(self.errors[-1])

    def _lines(self) -> Iterator[Tuple[str, str, str]]:
        try:
            with open(self.path, "rb") as handle:
                handle.seek(self.at)
                text = handle.read()
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self.at += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            found = _SAID.match(line)
            if found:
                yield found.group(1), found.group(2), found.group(3)


def display(dnf: Any, begun: Optional[str], failed: List[List[str]], log: Log) -> Any:
    """Return what libdnf5 reports to while rpm works."""
    shown = dnf.rpm.TransactionCallbacks  # type: Any

    class Display(shown):  # type: ignore[misc,unused-ignore]
        """Notes each package before rpm touches it, and those of which a script or the unpacking failed."""

        def __init__(self) -> None:
            super().__init__()
            self.begun = []  # type: List[List[str]]

        def elem_progress(self, item: Any, _amount: int, _total: int) -> None:
            self.begin(item)

        def install_start(self, item: Any, _total: int) -> None:
            self.begin(item)

        def begin(self, item: Any) -> None:
            one = list(key(item.get_package()))
            if not dnf.transaction.transaction_item_action_is_inbound(item.get_action()) or one in self.begun:
                return
            self.begun.append(one)
            if begun:
                transacting.note(begun, one)

        def script_stop(self, _item: Any, package: Any, _kind: int, result: int) -> None:
            log.tell()
            self.fail(package, result)

        def unpack_error(self, item: Any) -> None:
            self.fail(item.get_package())

        def cpio_error(self, item: Any) -> None:
            self.fail(item.get_package())

        def fail(self, package: Any, result: int = 1) -> None:
            one = list(key(package))
            failed.extend([one] if result and one not in failed else [])

    return Display()


def perform(dnf: Any, asked: Dict[str, Any], errors: Any) -> Dict[str, Any]:
    """Perform exactly what is asked for from local files, or test it."""
    if not asked["test"]:
        finish_upgrades(dnf, asked, errors)
    base = host_only(dnf, asked, errors, [item[3] for item in asked["install"]])
    base.get_config().install_weak_deps = True  # of what is staged; nothing else is there
    try:
        transaction, found = exactly(dnf, base, asked)
    except errors as error:
        raise Failure("resolve", str(error))
    answer = {"differences": found, "errors": [], "failed": [], "reasons": {}}  # type: Dict[str, Any]
    if found:
        return answer
    answer["reasons"] = reasons(dnf, base, transaction)
    with open(asked["answer"], "w", encoding="utf-8") as handle:  # in case that this process is killed
        json.dump(answer, handle)
    log = Log(os.path.join(os.path.dirname(asked["answer"]), LOG))
    shown = display(dnf, asked.get("begun"), answer["failed"], log)
    resolving.KEPT.append(shown)
    transaction.set_callbacks(dnf.rpm.TransactionCallbacksUniquePtr(shown))
    transaction.set_description("hospital.patching")
    try:
        result = transaction.test() if asked["test"] else transaction.run()
    except errors as error:
        transacting.say("error: {}".format(error))
        return dict(answer, errors=[str(error)], failed=[])
    log.tell()
    if result != dnf.base.Transaction.TransactionRunResult_SUCCESS or answer["failed"]:
        problems = [str(each) for each in transaction.get_transaction_problems()]
        for problem in problems:
            transacting.say("error: {}".format(problem))
        answer["errors"] = problems + log.errors or [str(transaction.transaction_result_to_string(result))]
    if not asked["test"]:
        with contextlib.suppress(OSError):  # a repository's name is no reason to fail
            keep_origins(str(base.get_config().system_state_dir), asked["install"], LOCK)
    return answer


def run(dnf: Any, transaction: Any, what: str, kind: str, errors: Any) -> None:
    """Run a resolved transaction, called ``what`` in dnf's history; a failure is of this ``kind``."""
    try:
        transaction.set_description("hospital.patching: " + what)
        result = transaction.run()
    except errors as error:
        raise Failure(kind, str(error))
    if result != dnf.base.Transaction.TransactionRunResult_SUCCESS:
        raise Failure(kind, str(transaction.transaction_result_to_string(result)))


def finish_upgrades(dnf: Any, asked: Dict[str, Any], errors: Any) -> None:
    """Remove the old version of what an rpm that was killed left in two, where the old one is asked for.

    rpm installs no version that is there, and an older one only in place of a newer. The files are the newer one's.
    """
    base = host_only(dnf, asked, errors, [])
    goal = dnf.base.Goal(base)
    query = dnf.rpm.PackageQuery(base)
    query.filter_installonly()
    parallel = {nevra(package) for package in query}
    goes = set()
    for name, arch, version, _path, _origin, _automatic in asked["install"]:
        several = of_name(resolving.installed(dnf, base), name, arch)
        newer = any(resolving.compare(dnf, evr(other), version) > 0 for other in several)
        for package in several if newer else []:
            if evr(package) == version and nevra(package) not in parallel:
                goal.add_rpm_remove(package)
                goes.add(nevra(package))
    if not goes:
        return
    try:
        transaction = resolving.resolved(dnf, goal)
        if sides(dnf, transaction) != (set(), goes):
            raise Failure("resolve", "dnf5 would not only finish {}".format(", ".join(sorted(one[0] for one in goes))))
    except errors as error:
        raise Failure("resolve", str(error))
    run(dnf, transaction, "what was cut off", "resolve", errors)


def reasons(dnf: Any, base: Any, transaction: Any) -> Dict[str, str]:
    """Return libdnf5's reason of each package that comes and was not there in any version, by ``name.arch``."""
    there = {key(package) for package in resolving.installed(dnf, base)}
    found = {}
    for item in transaction.get_transaction_packages():
        package = item.get_package()
        if dnf.transaction.transaction_item_action_is_inbound(item.get_action()) and key(package) not in there:
            reason = dnf.transaction.transaction_item_reason_to_string(item.get_reason())
            found["{}.{}".format(*key(package))] = str(reason)
    return found


def keep_origins(state: str, install: List[List[Any]], lock: str) -> None:
    """Say of what came from files which repository it is from, in dnf 5's own table; no more of it is changed.

    libdnf5 has no call for it. Another form of the table is left alone.
    """
    known = {
        "{}-{}.{}".format(name, version, arch): str(origin)
        for name, arch, version, _path, origin, _automatic in install
        if origin and not re.search(r'["\\\s]', origin)
    }
    path = os.path.join(state, "nevras.toml")
    with open(lock, "a", encoding="utf-8") as held:
        fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with open(path, encoding="utf-8") as handle:
            before = handle.readlines()
        after = []
        for line in before:
            match = _FROM_FILE.match(line)
            origin = known.get(match.group(1)) if match else None
            after.append(line.replace(FILES, origin) if origin else line)
        if after == before:
            return
        with open(path + ".part", "w", encoding="utf-8") as handle:
            handle.writelines(after)
            handle.flush()
            os.fchmod(handle.fileno(), os.stat(path).st_mode & 0o7777)
            os.fsync(handle.fileno())
        os.rename(path + ".part", path)


def mark(dnf: Any, base: Any, asked: Dict[str, Any], errors: Any) -> Dict[str, Any]:
    """Set reasons, as ``dnf5 mark`` does."""
    goal, settings = dnf.base.Goal(base), dnf.base.GoalJobSettings()
    for name, arch, reason in asked["reasons"]:
        word = dnf.transaction.transaction_item_reason_from_string(reason)
        goal.add_rpm_reason_change("{}.{}".format(name, arch), word, "", settings)
    try:
        transaction = resolving.resolved(dnf, goal)
        if transaction.empty():
            return {}
    except errors as error:
        raise Failure("database", str(error))
    run(dnf, transaction, "reasons", "database", errors)
    return {}


def answer(asked: Dict[str, Any]) -> Dict[str, Any]:
    """Do the work that is asked for."""
    dnf, errors = resolving.library()
    if asked["work"] == "perform":
        return perform(dnf, asked, errors)
    if asked["work"] == "mark":
        return mark(dnf, host_only(dnf, asked, errors, []), asked, errors)
    try:
        base = resolving.configured(dnf, asked, whole=asked["work"] == "fetch")
    except errors as error:
        raise Failure("settings", str(error))
    resolving.load_repositories(dnf, base, asked["work"] == "resolve", errors)
    try:
        if asked["work"] == "resolve":
            base.get_config().installonly_limit = 0
            return resolve(dnf, base, asked, errors)
        # What is installed now may be excluded from being chosen again; it is fetched for the way back all the same.
        resolving.show_locked(base)
        return fetch(dnf, base, asked, errors)
    except errors as error:
        raise Failure("resolve", str(error))


def main() -> int:
    """Work, write the answer, and return the exit status."""
    found = answered(answer)
    return 1 if found.get("error") or found.get("differences") or found.get("errors") else 0


if __name__ == "__main__":
    raise SystemExit(main())
