# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of Proxmox VE's API, by its documentation (api-viewer): HTTPS on loopback, tasks that take a few questions.

Errors are in the status line's reason, as pveproxy has them. A disk is one text, so that a rollback shows.
"""

import http.server
import json
import re
import socketserver
import ssl
import subprocess
import threading
import time
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN_ID, TOKEN = "patching@pve!night", "5f2d9a3c-secret"
UUID, OTHER_UUID = "1c0a9f52-66f1-4a6e-9c2b-0a1b2c3d4e5f", "2c0a9f52-66f1-4a6e-9c2b-0a1b2c3d4e5f"
GIB = 1024**3


class Machine:
    """One machine; ``disk`` is what is written on it."""

    def __init__(self, vmid, name, uuid, kind="qemu"):
        self.vmid, self.name, self.kind = vmid, name, kind
        self.config = {"name": name, "smbios1": "base64=1,uuid={}".format(uuid), "agent": "1,fstrim_cloned_disks=1"}
        self.config.update(scsi0="thin:vm-{}-disk-0,size=32G".format(vmid), ide2="iso:cd.iso,media=cdrom")
        self.running, self.agent, self.shuts_down, self.boots = True, True, True, True
        self.disk, self.snapshots, self.parent = "before", {}, None
        self.power_log = []

    def snapshot(self, name, description="", vmstate=0, **more):
        entry = {
            "name": name,
            "description": description,
            "vmstate": vmstate,
            "snaptime": 1790000000,
            "disk": self.disk,
        }
        entry.update({"parent": self.parent} if self.parent else {}, **more)
        self.snapshots[name], self.parent = entry, name


class Pve:
    """The cluster. ``faults`` holds method, end of the path, behaviour, and how often it works."""

    def __init__(self, folder):
        key, self.certificate = str(folder / "key.pem"), str(folder / "cert.pem")
        words = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ]
        words += ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", self.certificate]
        subprocess.check_output(words, stderr=subprocess.STDOUT)
        self.node, self.storage = "pve1", {"type": "lvmthin", "active": 1, "total": 100 * GIB, "avail": 50 * GIB}
        self.machines = {100: Machine(100, "db1", UUID), 101: Machine(101, "other", OTHER_UUID)}
        self.templates, self.unknown, self.feature = [], [], 1
        self.faults, self.tasks, self.asked, self.task_polls = [], {}, [], 1
        self.task_errors, self.lost = {}, []
        pve = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                pve.serve(self)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, *_words):
                pass

        class Server(socketserver.ThreadingTCPServer):  # HTTPServer asks the DNS for its own name
            daemon_threads = True

            def handle_error(self, *_request):
                pass  # clients that go away in the midst are what is tested

        self.server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)

    def fault(self, method, end, behaviour, times=1):
        self.faults.append([method, end, behaviour, times])

    def serve(self, request):
        length = int(request.headers.get("Content-Length") or 0)
        form = {key: values[0] for key, values in parse_qs(request.rfile.read(length).decode(), True).items()}
        parts = urlsplit(request.path)
        path = [unquote(part) for part in parts.path.split("/")[3:]]
        form.update({key: values[0] for key, values in parse_qs(parts.query).items()})
        self.asked.append((request.command, "/".join(path), form))
        if request.headers.get("Authorization") != "PVEAPIToken={}={}".format(TOKEN_ID, TOKEN):
            return reply(request, 401, "authentication failure")
        behaviour = self._behaviour(request.command, path)
        if isinstance(behaviour, tuple):
            return reply(request, *behaviour)
        if behaviour == "hang":
            time.sleep(3)
            return None
        try:
            data = self._do(request.command, path, form)
        except Refusal as refusal:
            return reply(request, *refusal.args)
        if behaviour == "lost":
            self.lost.append(data)
            request.connection.close()
            return None
        return reply(request, 200, "OK", behaviour[0] if isinstance(behaviour, list) else data)

    def _behaviour(self, method, path):
        for fault in self.faults:
            if fault[0] == method and re.search(fault[1] + r"\Z", "/".join(path)) and fault[3] > 0:
                fault[3] -= 1
                return fault[2]
        return None

    def _do(self, method, path, form):
        if path == ["cluster", "resources"]:
            return [
                {
                    "vmid": one.vmid,
                    "node": self.node,
                    "type": one.kind,
                    "name": one.name,
                    "template": int(one.vmid in self.templates),
                    "status": "unknown" if one.vmid in self.unknown else "running" if one.running else "stopped",
                }
                for one in self.machines.values()
            ]
        if path[0] != "nodes" or path[1] != self.node:
            raise Refusal(500, "hostname lookup '{}' failed".format(path[1]))
        if path[2] == "tasks":
            return self._task(path[3])
        if path[2] == "storage":
            return self.storage
        machine = self.machines.get(int(path[3]))
        if machine is None or machine.kind != path[2]:
            raise Refusal(500, "Configuration file 'nodes/pve1/qemu-server/{}.conf' does not exist".format(path[3]))
        if machine.vmid in self.unknown:
            raise Refusal(595, "No route to host")
        return self._machine(method, machine, path[4:], form)

    def _machine(self, method, machine, path, form):
        known = {
            ("GET", "config"): lambda: self._config(machine),
            ("GET", "status/current"): lambda: {"status": "running" if machine.running else "stopped"},
            ("GET", "feature"): lambda: {"hasFeature": self.feature, "nodes": [self.node]},
            ("GET", "snapshot"): lambda: self._listed(machine),
            ("POST", "agent/ping"): lambda: self._ping(machine),
            ("POST", "status/start"): lambda: self._start(machine, "qmstart", lambda: self._power(machine, True)),
            ("POST", "status/stop"): lambda: self._start(machine, "qmstop", lambda: self._power(machine, False)),
            ("POST", "status/shutdown"): lambda: self._start(
                machine, "qmshutdown", lambda: machine.shuts_down and self._power(machine, False)
            ),
            ("POST", "snapshot"): lambda: self._make(machine, form),
        }
        if (method, "/".join(path)) in known:
            return known[(method, "/".join(path))]()
        if path[0] == "snapshot" and path[1] not in machine.snapshots:
            raise Refusal(500, "snapshot '{}' does not exist".format(path[1]))
        if (method, path[2:]) == ("PUT", ["config"]):
            machine.snapshots[path[1]]["description"] = form["description"]
            return None
        if (method, path[2:]) == ("POST", ["rollback"]):
            return self._start(machine, "qmrollback", lambda: self._rollback(machine, path[1]))
        if (method, path[2:]) == ("DELETE", []):
            return self._start(machine, "qmdelsnapshot", lambda: self._delete(machine, path[1]))
        raise Refusal(501, "Method '{} {}' not implemented".format(method, "/".join(path)))

    def _config(self, machine):
        """Time goes by for tasks too that nobody asks about."""
        told = dict(machine.config)
        for upid in [one for one in self.lost if one in self.tasks]:
            self._task(upid)
        return told

    def _listed(self, machine):
        found = [{key: one[key] for key in one if key != "disk"} for one in machine.snapshots.values()]
        current = {"name": "current", "description": "You are here!", "running": int(machine.running), "digest": "00"}
        current.update({"parent": machine.parent} if machine.parent else {})
        return [*found, current]

    def _ping(self, machine):
        if not (machine.running and machine.agent):
            raise Refusal(500, "QEMU guest agent is not running")
        return {"result": {}}

    def _power(self, machine, on):
        machine.running = on and machine.boots
        machine.power_log.append("on" if on else "off")

    def _make(self, machine, form):
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{1,39}", form["snapname"]):
            raise Refusal(400, "Parameter verification failed.")
        if form["snapname"] in machine.snapshots:
            raise Refusal(500, "snapshot name '{}' already used".format(form["snapname"]))
        # As pvesh shows them: a description ends with a line break.
        text, memory = form["description"] + "\n", int(form["vmstate"])
        return self._start(machine, "qmsnapshot", lambda: machine.snapshot(form["snapname"], text, memory), "snapshot")

    def _rollback(self, machine, name):
        machine.disk, machine.parent = machine.snapshots[name]["disk"], name
        self._power(machine, False)
        if machine.snapshots[name]["vmstate"]:
            self._power(machine, True)

    def _delete(self, machine, name):
        gone = machine.snapshots.pop(name)
        for one in machine.snapshots.values():
            if one.get("parent") == name:
                one.pop("parent")
                one.update({"parent": gone["parent"]} if "parent" in gone else {})
        if machine.parent == name:
            machine.parent = gone.get("parent")

    def _start(self, machine, kind, work, lock=None):
        if machine.config.get("lock"):
            raise Refusal(500, "VM is locked ({})".format(machine.config["lock"]))
        upid = "UPID:{}:0000{:04X}:00ABCDEF:6703F000:{}:{}:{}:".format(
            self.node, len(self.tasks), kind, machine.vmid, TOKEN_ID
        )
        if lock:
            machine.config["lock"] = lock
        self.tasks[upid] = {"polls": self.task_polls, "kind": kind, "machine": machine, "work": work, "exit": None}
        return upid

    def end(self, upid):
        """End a task."""
        task = self.tasks[upid]
        task["machine"].config.pop("lock", None)
        task["exit"] = self.task_errors.pop(task["kind"], None) or "OK"
        if task["exit"] == "OK" or task["exit"].startswith("WARN"):
            task["work"]()

    def _task(self, upid):
        task = self.tasks[upid]
        if task["exit"] is None:
            task["polls"] -= 1
            if task["polls"] > 0:
                return {"status": "running", "upid": upid}
            self.end(upid)
        return {"status": "stopped", "exitstatus": task["exit"], "upid": upid}


class Refusal(Exception):
    """Status and reason."""


def reply(request, status, reason, data=None):
    content = json.dumps({"data": data}).encode()
    request.send_response(status, reason)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)
