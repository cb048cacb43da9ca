# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Many probes of an application's health in one call."""

DOCUMENTATION = r"""
module: app_health_info
short_description: Read the health of an application and of its host
version_added: 0.1.0
description:
  - Runs many probes at once, each with its own time limit, from the machine on which the task runs.
    Delegate the task to read health from where users are.
  - Probes only read. Answers' bodies are never returned or stored.
  - A probe that hangs, or that could not run, is V(inconclusive), which never counts as V(ok).
  - Every address is checked against O(device_segments) by the machine that connects, after the name was resolved
    and before the connection. No redirect is followed and no proxy is used.
author: The hospital.patching engineers (@hospital-patching)
extends_documentation_fragment:
  - hospital.patching.attributes
  - hospital.patching.attributes.info_module
  - hospital.patching.run.step
options:
  probes:
    description:
      - The probes to run. An unknown type or option is refused before anything is read. C(docs/probes.md) has an
        example of each type, and says what it can and cannot tell.
      - "Every probe takes C(name) (unique in this call), C(type), C(timeout_s) (default 10) and C(vantage)
        (C(host) or C(controller), which is read by whoever decides where this task runs)."
      - "Type C(dicom): C(host), C(called_ae_title), C(port) (default 104), C(address), C(calling_ae_title) (default
        C(PATCHING)), C(studies_at_least) (default 0, which finds none), C(studies_of_days) (default 7), C(tls),
        C(ca_file), C(latency_limit_ms). Needs the Python library pynetdicom where it is read."
      - "Type C(dns): C(host), C(query), C(port) (default 53), C(address), C(record_type) (default C(A)), C(expected)
        (values that must be among the answers), C(latency_limit_ms)."
      - "Type C(fhir): C(url) (the base, to which C(/metadata) is added), C(fhir_version), C(resources) (types that must
        be offered), C(statement_status) (a list, default C(active)), C(ca_file), C(latency_limit_ms), C(address)."
      - "Type C(hl7_mllp): C(host), C(port), C(message) (agreed with its receiver, with MSH-11 C(T), C(D) or C(N), and
        without a segment that names a person), C(address), C(ack_codes) (default C(AA)), C(tls), C(ca_file),
        C(latency_limit_ms)."
      - "Type C(http): C(url), C(method) (C(GET) or C(HEAD)), C(status) (a list, default 200), C(headers_equal),
        C(json_equal) (dotted path to expected value), C(jmespath) (expressions that must be true; needs the Python
        library jmespath where it is read), C(text_regexp), C(body_limit_bytes) (default 1 MB, a longer one that is
        compared is V(inconclusive)), C(ca_file), C(latency_limit_ms), and C(address) to connect to instead of
        resolving the URL's host."
      - "Type C(ldap): C(host), C(security) (C(none), C(starttls) or C(ldaps)), C(port) (default 389, or 636 for
        C(ldaps)), C(address), C(ca_file), C(bind_dn) with C(password_file) (over TLS only), C(entry) (default the root
        DSE), C(attributes_equal), C(latency_limit_ms)."
      - "Type C(oracle): C(host), C(service_name), C(user), C(password_file), C(port) (default 1521), C(address),
        C(role) (C(primary), the default, C(replica) or C(any)), C(latency_limit_ms). Needs oracledb where it is read."
      - "Type C(postgresql): C(host) (or the folder of a socket), C(user), C(port) (default 5432), C(address), C(dbname)
        (default C(postgres)), C(passfile) (in the format of PostgreSQL), C(sslmode), C(ca_file), C(role) (C(primary),
        the default, C(replica) or C(any)), C(lag_limit_s) (default 60) and C(streaming) of a replica,
        C(replicas_at_least) of a primary, C(latency_limit_ms). Needs psycopg or psql where it is read."
      - "Type C(sqlserver): C(host), C(user), C(password_file), C(port) (default 1433), C(address), C(dbname) (default
        C(master)), C(trust_certificate), C(role) as for C(oracle), C(latency_limit_ms). Needs mssql-python where it is
        read."
      - "Type C(tcp): C(host), C(port), C(address), C(banner_regexp)."
      - "Type C(tls): C(host), C(port) (default 443), C(address), C(server_name), C(ca_file), C(days_left_at_least)
        (default 7)."
      - "Type C(units): C(active), the systemd units that must be active; without it no unit may have failed."
      - "Type C(ports): C(listening), such as C(tcp/443), which must be listened on."
      - "Type C(mounts): C(mounted) and C(writable), paths of mounts that must be so."
      - "Type C(command): C(command), a program and its arguments that only read, C(exit_codes) (default 0),
        C(text_regexp). There is no shell, and its output is not kept."
      - "Type C(disk): C(paths) (default: every lasting local file system that can be written, without C(/boot)),
        C(free_percent), C(free_bytes), C(inodes_free_percent), of which at least so much must be left."
      - "Type C(load): C(limit_percent) of the last minute; 100 means that every processor is busy."
      - "Type C(log): C(path), C(line_regexp), C(limit) (default 0), how many lines may match that are newer than what
        O(since) holds of this probe. Lines are not kept, only how many matched and their numbers."
      - "Type C(memory): C(available_percent), at least so much, and C(swap_used_percent), at most."
      - "Type C(process): C(program) (a name or path), C(arguments_regexp), C(owner), C(at_least) (default 1) and
        C(at_most)."
      - "Type C(systemd): C(units), services whose restarts by systemd are counted, C(restarts_limit), and
        C(failed_limit) of failed units beside C(ignore)."
      - "Type C(time): C(offset_limit_ms) (default 1000), C(synchronised) (default true), by chronyc or timedatectl."
      - See docs/probes_host.md for what each of them compares.
      - "Type C(person): C(ask), C(who), C(within_s), C(signed). It is never read, so it is V(inconclusive) here: the
        gate asks before the broad ring, and M(hospital.patching.run_answer) takes the answer."
    type: list
    elements: dict
    default: []
  builtin:
    description:
      - Also read failed units, listening ports and mounts, as C(builtin-units), C(builtin-ports) and C(builtin-mounts).
    type: bool
    default: false
  device_segments:
    description:
      - Networks of medical devices, as in C(patching_device_segments); no address in them is connected to.
      - Without this option nothing is declared, so probes that connect are V(inconclusive). V([]) is a declaration.
    type: list
    elements: str
  since:
    description:
      - Results of the same probes from before the host was touched. A probe of type C(log) counts what is new since.
    type: list
    elements: dict
    default: []
  soak_s:
    description:
      - Read probes that are V(ok) again and again for so many seconds. One that is not V(ok) in one of the readings is
        flapping, and has that reading's verdict.
    type: int
    default: 0
  wait_s:
    description:
      - Read probes that are not V(ok) again until they are, or until this many seconds have passed.
      - Probes that take far longer to answer than in O(since), or whose load, clock offset or replication lag is far
        higher, are read again, too.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Read the host's own health
  hospital.patching.app_health_info:
    builtin: true
    device_segments: "{{ patching_device_segments }}"

- name: Read the portal's health from where users are
  hospital.patching.app_health_info:
    device_segments: "{{ patching_device_segments }}"
    wait_s: 60
    probes:
      - name: FHIR metadata
        type: http
        url: "https://{{ ansible_host }}/metadata"
        json_equal:
          resourceType: CapabilityStatement
      - name: interface engine
        type: tcp
        host: "{{ ansible_host }}"
        port: 6661
  delegate_to: localhost
"""

RETURN = r"""
results:
  description: One result per probe, in their order; the built-in ones last.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The probe's name.
      type: str
      sample: FHIR metadata
    type:
      description: The probe's type.
      type: str
      sample: http
    target:
      description: What was looked at.
      type: str
      sample: https://portal1/metadata
    verdict:
      description: V(ok), V(failed) or V(inconclusive).
      type: str
      sample: ok
    detail:
      description: One sentence on why.
      type: str
      sample: status 200 in 12 ms
    seconds_ms:
      description: How long the probe took, in milliseconds.
      type: int
      sample: 13
    at:
      description:
        - When the reading that gave the verdict ended, by the clock of the machine that read, in UTC.
        - Of a probe that is V(ok), this is when it was first seen to be V(ok) in this call.
      type: str
      sample: "2026-11-22T07:03:12Z"
    not_ok:
      description:
        - C(from) when C(to) when this call saw the probe not to be V(ok); both the same where that was once.
        - Null when its first reading was V(ok).
      type: dict
      sample: {from: "2026-11-22T07:03:02Z", to: "2026-11-22T07:03:10Z"}
    soak:
      description: How often the probe was read in the soak, and how often it was not V(ok); absent without a soak.
      type: dict
      returned: with O(soak_s), of a probe that was V(ok) when the soak began
      sample: {readings: 7, not_ok: 0}
    value:
      description: What is compared before and after, by the probe's type; null when nothing was read.
      type: raw
      sample: {status: 200, latency_ms: 12, bytes: 512}
verdict:
  description: The worst verdict of all; V(inconclusive) when there was nothing to read.
  type: str
  returned: always
  sample: ok
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hospital.patching.plugins.module_utils import arguments
from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import engine, registry
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import ProbeContext
from ansible_collections.hospital.patching.plugins.module_utils.probes.connector import Connector
from ansible_collections.hospital.patching.plugins.module_utils.runner import Runner


def main():
    module = AnsibleModule(
        argument_spec=dict(
            arguments.STEP,
            probes=dict(type="list", elements="dict", default=[]),
            builtin=dict(type="bool", default=False),
            device_segments=dict(type="list", elements="str"),
            since=dict(type="list", elements="dict", default=[]),
            soak_s=dict(type="int", default=0),
            wait_s=dict(type="int", default=0),
        ),
        supports_check_mode=True,
    )
    clock = Clock()
    try:
        context = ProbeContext(Runner(), clock, Connector(module.params["device_segments"], clock), "/proc")
        given = module.params
        probes = registry.build_all(given["probes"], given["builtin"], context, given["since"])
        results = engine.run_probes(probes, clock, given["wait_s"], given["soak_s"])
    except PatchingError as error:
        module.fail_json(msg=str(error), **error.parts())
    module.exit_json(changed=False, results=results, verdict=engine.verdict(results))


if __name__ == "__main__":
    main()
