# SPDX-License-Identifier: GPL-3.0-or-later
"""vCenter's API as the provider ``vsphere`` uses it: by pyVmomi, with time limits, errors in the operator's words.

pyVmomi is imported only when it is asked for, because this file travels to hosts that have no such library. The
password comes from a file or the environment where this runs, never from the plan.

Properties are read by the property collector, and of a task three only: a whole ``task.info`` is large, and its entity
may be a kind of object that a client of another version does not know.
"""

import contextlib
import http.client
import importlib
import os
import socket
import ssl
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple
from xml.parsers.expat import ExpatError

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Inconclusive
from ansible_collections.hospital.patching.plugins.module_utils.probes.secret_file import secret
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.machine_revert import GoesOn
from ansible_collections.hospital.patching.plugins.module_utils.snapshots.patience import ApiRefusal, Patient, Seen

Properties = Dict[str, Any]

#: Faults of a login that is wrong, has ended, or may not do this.
LOGIN_FAULTS = ("InvalidLogin", "InvalidLocale", "NoPermission", "NotAuthenticated", "PasswordExpired")
#: Faults of a vCenter that is asked too much or is ill: the same call may succeed a minute later.
BUSY_FAULTS = ("HostCommunication", "HostNotReachable", "HostNotConnected", "RequestCanceled", "Timedout")
#: A fault that somebody else's work on the machine causes.
WORK_FAULT = "TaskInProgress"
#: Also where vCenter's answer is of any length: what is shown of it.
SHOWN = 400

#: Python 3.6 calls it otherwise.
UNTRUSTED = getattr(ssl, "SSLCertVerificationError", ssl.CertificateError)

Login = NamedTuple("Login", [("server", str), ("port", int), ("user", str), ("password", str)])


class ApiError(ApiRefusal):
    """vCenter refused or did not answer. ``fault`` is its own name of it, or ""; ``busy`` says that later may do."""

    def __init__(
        self, server: str, seen: str, expected: str, next_step: str, fault: str = "", busy: bool = False
    ) -> None:
        super().__init__("vCenter {}".format(server), seen, expected, next_step)
        self.fault = fault
        self.busy = busy


class TaskLate(GoesOn):
    """A task has not ended within its time; it goes on."""

    def __init__(self, subject: str, task: Any, limit_s: int) -> None:
        super().__init__(
            subject,
            "task {} has not ended after {} s, and goes on".format(task._moId, limit_s),
            "an end within that time",
            "look at the machine's tasks in the vSphere Client; run again when it has ended",
        )
        self.task = task


class Vsphere(Patient):
    """A session of one vCenter. ``connected`` logs in and returns pyVmomi's service instance."""

    def __init__(self, connected: Callable[[], Any], login: Login, clock: Clock, attempts: int, poll_s: int) -> None:
        self.server = login.server
        super().__init__(clock, attempts, poll_s)
        self._connected = connected
        self._login = login
        self.library = importlib.import_module("pyVmomi")
        self.vim = self.library.vim
        self.service: Any = None
        self.content: Any = None

    def open(self) -> None:
        """Log in.

        Raises:
            ApiError: no answer, or no such login.
        """

        def connect() -> Any:
            service = self._connected()
            return service, service.RetrieveContent()

        self.service, self.content = self._patiently("the login", connect)

    def close(self) -> None:
        """Log out; a session that is left open counts against vCenter's limit until it has been idle for long."""
        with contextlib.suppress(Exception):
            self.content.sessionManager.Logout()
        with contextlib.suppress(Exception):
            self.service._stub.DropConnections()

    def machine(self, moid: str) -> Any:
        """Return the machine of that id, which may not exist."""
        return self.vim.VirtualMachine(moid, self.service._stub)

    def snapshot(self, moid: str) -> Any:
        """Return the snapshot of that id, which may not exist."""
        return self.vim.vm.Snapshot(moid, self.service._stub)

    def ask(self, what: str, work: Callable[[], Seen]) -> Seen:
        """Return the answer to a question, asked again when vCenter is busy.

        Raises:
            ApiError: it was refused, or not answered.
        """
        try:
            return self._patiently(what, work)
        except ApiError as error:
            # Sessions do not outlive a restart of vCenter.
            if error.fault != "NotAuthenticated" or self.service is None:
                raise
        self._patiently("the login", self._login_again)
        return self._patiently(what, work)

    def _login_again(self) -> None:
        """On the same connection, because everything that was found is known by it."""
        self.service._stub.cookie = ""
        self.content.sessionManager.Login(self._login.user, self._login.password)

    def change(self, what: str, work: Callable[[], Seen]) -> Seen:
        """As :meth:`ask`, but never repeated: for a call that would do its work twice."""
        return self._guarded(what, work)

    def read(self, kind: Any, objects: List[Any], paths: List[str]) -> Dict[str, Properties]:
        """Return the properties of objects of one kind, by the objects' ids; one that is unset is None."""
        if not objects:
            return {}
        specs = self.library.vmodl.query.PropertyCollector
        wanted = specs.FilterSpec(
            objectSet=[specs.ObjectSpec(obj=one) for one in objects],
            propSet=[specs.PropertySpec(type=kind, pathSet=paths)],
        )
        return self._collected(wanted, paths)

    def read_all(self, kind: Any, paths: List[str]) -> Dict[str, Properties]:
        """Return the properties of all objects of a kind that this login may see."""
        specs = self.library.vmodl.query.PropertyCollector
        view = self.ask(
            "a view of all machines",
            lambda: self.content.viewManager.CreateContainerView(self.content.rootFolder, [kind], True),
        )
        try:
            into = specs.TraversalSpec(name="view", path="view", skip=False, type=self.vim.view.ContainerView)
            wanted = specs.FilterSpec(
                objectSet=[specs.ObjectSpec(obj=view, skip=True, selectSet=[into])],
                propSet=[specs.PropertySpec(type=kind, pathSet=paths)],
            )
            return self._collected(wanted, paths, hidden=True)
        finally:
            with contextlib.suppress(Exception):
                view.DestroyView()

    def _collected(self, wanted: Any, paths: List[str], hidden: bool = False) -> Dict[str, Properties]:
        """``hidden`` leaves objects out that this login may not read."""
        collector = self.content.propertyCollector
        options = self.library.vmodl.query.PropertyCollector.RetrieveOptions()
        found: Dict[str, Properties] = {}
        page = self.ask("properties", lambda: collector.RetrievePropertiesEx([wanted], options))
        while page is not None:
            for one in page.objects:
                refusals = [
                    self._refused("property {}".format(missing.path), missing.fault) for missing in one.missingSet or []
                ]
                if refusals and hidden and refusals[0].fault == "NoPermission":
                    continue
                if refusals:
                    raise refusals[0]  # what may not be read is no "unset"
                values = {item.name: item.val for item in one.propSet}
                found[one.obj._moId] = {path: values.get(path) for path in paths}
            page = self._next_page(collector, page.token)
        return found

    def _next_page(self, collector: Any, token: Optional[str]) -> Any:
        if not token:
            return None
        return self.ask("more properties", lambda: collector.ContinueRetrievePropertiesEx(token))

    def start(self, what: str, work: Callable[[], Any]) -> Any:
        """Start a task and return it."""
        return self.change(what, work)

    def wait_task(self, subject: str, what: str, task: Any, limit_s: int) -> Any:
        """Return the result of a task that was started.

        Raises:
            ApiError: it failed.
            TaskLate: it has not ended within ``limit_s``.
        """

        def look() -> Optional[Tuple[Any]]:
            info = self.task_state(task)
            if info["info.state"] == "error":
                raise self._refused(what, info["info.error"])
            return (info["info.result"],) if info["info.state"] == "success" else None

        ended = self.until(look, limit_s)
        if ended is None:
            raise TaskLate(subject, task, limit_s)
        return ended[0]

    def task_state(self, task: Any) -> Properties:
        """Return state, error and result of a task, and nothing else of it."""
        paths = ["info.state", "info.error", "info.result"]
        return self.read(self.vim.Task, [task], paths)[task._moId]

    def _patiently(self, what: str, work: Callable[[], Seen]) -> Seen:
        return self.patiently(lambda: self._guarded(what, work))

    def _guarded(self, what: str, work: Callable[[], Seen]) -> Seen:
        try:
            return work()
        except self.library.vmodl.MethodFault as fault:
            raise self._refused(what, fault)
        except UNTRUSTED as error:
            raise ApiError(
                self.server,
                "{}: its certificate is not trusted ({})".format(what, str(error)[:SHOWN]),
                "a certificate that this machine trusts",
                "give ca_file, the root certificate that {} offers for download at https://{}/certs/download.zip".format(
                    self.server, self.server
                ),
            )
        except (OSError, http.client.HTTPException, ExpatError) as error:
            raise ApiError(
                self.server,
                "{}: {}".format(what, _no_answer(error)),
                "an answer within the time limits",
                "look at vCenter's health and the network to it, then run again",
                busy=True,
            )
        except Exception as error:  # pyVim raises plain Exception where the server describes no API
            if error.__class__ is not Exception:
                raise
            raise ApiError(
                self.server,
                "{}: {}".format(what, str(error)[:SHOWN]),
                "a vCenter in good health",
                "look at vCenter's services, correct server and port in patching_snapshot, then run again",
                busy=True,
            )

    def _refused(self, what: str, fault: Any) -> ApiError:
        name = type(fault).__name__.rpartition(".")[2]
        said = [str(getattr(fault, "msg", None) or "").strip()]
        said += [str(one.message or "").strip() for one in getattr(fault, "faultMessage", None) or []]
        shown = "; ".join(one for one in said if one)[:SHOWN]
        if name == "NoPermission":
            shown = "{} {}".format(shown, "lacks {}".format(getattr(fault, "privilegeId", None))).strip()
        seen = "{}: {}".format(what, ": ".join(one for one in (name, shown) if one))
        if name in LOGIN_FAULTS:
            return ApiError(
                self.server,
                seen,
                "a login that may do this",
                "correct user and password where this runs, or the role's privileges in vCenter",
                fault=name,
            )
        if name == WORK_FAULT:
            return ApiError(
                self.server,
                seen,
                "a machine that nobody else is working on",
                "wait until the task has ended (a backup?), then run again",
                fault=name,
            )
        next_step = "look at the machine's tasks and events in the vSphere Client, then run again"
        return ApiError(self.server, seen, "that it is done", next_step, fault=name, busy=name in BUSY_FAULTS)


def _no_answer(error: Exception) -> str:
    if isinstance(error, (socket.timeout, TimeoutError)):
        return "no answer in time"
    return "no answer: {}".format(str(error)[:SHOWN] or type(error).__name__)


def read_login(options: Properties) -> Login:
    """Return server and login: what the options say, else what AWX's credential of type VMware vCenter sets.

    Raises:
        PatchingError: something of it is missing, or a password that others can read.
    """
    server = options["server"] or os.environ.get("VMWARE_HOST") or ""
    user = options["user"] or os.environ.get("VMWARE_USER") or ""
    try:
        password = (
            secret(options["password_file"]) if options["password_file"] else os.environ.get("VMWARE_PASSWORD") or ""
        )
    except Inconclusive as error:
        raise _unconfigured(str(error), "a file with the password that only its owner may read")
    for key, value, variable in (
        ("server", server, "VMWARE_HOST"),
        ("user", user, "VMWARE_USER"),
        ("password_file", password, "VMWARE_PASSWORD"),
    ):
        if not value:
            raise _unconfigured(
                "neither {} nor {} in the environment of the machine where it runs".format(key, variable), "one of both"
            )
    return Login(server, options["port"], user, password)


def connect(options: Properties, clock: Clock) -> Vsphere:
    """Return the vCenter that ``options`` name; nothing is asked yet.

    Raises:
        PatchingError: no pyVmomi here, no login, or a certificate file that cannot be read.
    """
    try:
        pyvim, vim = importlib.import_module("pyVim.connect"), importlib.import_module("pyVmomi").vim
    except ImportError as error:
        raise PatchingError(
            "snapshot provider vsphere",
            "the Python library pyVmomi is missing where it runs ({})".format(error),
            "pyVmomi for the Python of that machine",
            "pip install pyvmomi there, or set patching_snapshot.on to a machine that has it",
        )
    login = read_login(options)
    context = _context(options)

    def connected() -> Any:
        # Before it logs in, pyVim asks for the versions of the API without any time limit of its own.
        with _default_timeout(options["timeout_s"]):
            stub = pyvim.SmartStubAdapter(
                host=login.server,
                port=login.port,
                sslContext=context,
                httpConnectionTimeout=options["timeout_s"],
            )
        service = vim.ServiceInstance("ServiceInstance", stub)
        try:
            # pyVim's own login leaves its connections open when it fails, and gives their errors other names.
            service.RetrieveContent().sessionManager.Login(login.user, login.password)
        except BaseException:
            stub.DropConnections()
            raise
        return service

    return Vsphere(connected, login, clock, options["attempts"], options["poll_s"])


@contextlib.contextmanager
def _default_timeout(seconds: int) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _context(options: Properties) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options["ca_file"])
    except (OSError, ssl.SSLError) as error:
        raise _unconfigured(
            "ca_file {} cannot be read ({})".format(options["ca_file"], error), "a file of certificates in PEM"
        )
    if not options["validate_certs"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _unconfigured(seen: str, expected: str) -> PatchingError:
    return PatchingError("snapshot provider vsphere", seen, expected, "correct patching_snapshot, or that machine")
