# SPDX-License-Identifier: GPL-3.0-or-later
"""All probes by their type, each imported when it is asked for (on_demand.py)."""

from typing import Type

from ansible_collections.hospital.patching.plugins.module_utils.on_demand import OnDemand
from ansible_collections.hospital.patching.plugins.module_utils.probes.base import Probe


def _command() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.command import CommandProbe

    return CommandProbe


def _dicom() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.dicom import DicomProbe

    return DicomProbe


def _disk() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.disk import DiskProbe

    return DiskProbe


def _dns() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.dns import DnsProbe

    return DnsProbe


def _fhir() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.fhir import FhirProbe

    return FhirProbe


def _hl7_mllp() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.hl7_mllp import Hl7MllpProbe

    return Hl7MllpProbe


def _http() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.web import HttpProbe

    return HttpProbe


def _ldap() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.ldap import LdapProbe

    return LdapProbe


def _load() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.load import LoadProbe

    return LoadProbe


def _log() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.log import LogProbe

    return LogProbe


def _memory() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.memory import MemoryProbe

    return MemoryProbe


def _mounts() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.mounts import MountsProbe

    return MountsProbe


def _oracle() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.oracle import OracleProbe

    return OracleProbe


def _person() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.person import PersonProbe

    return PersonProbe


def _ports() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.ports import PortsProbe

    return PortsProbe


def _postgresql() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.postgresql import PostgresqlProbe

    return PostgresqlProbe


def _process() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.process import ProcessProbe

    return ProcessProbe


def _sqlserver() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.sqlserver import SqlserverProbe

    return SqlserverProbe


def _systemd() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.systemd import SystemdProbe

    return SystemdProbe


def _tcp() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.tcp import TcpProbe

    return TcpProbe


def _time() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.clock_offset import TimeProbe

    return TimeProbe


def _tls() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.tls import TlsProbe

    return TlsProbe


def _units() -> Type[Probe]:
    from ansible_collections.hospital.patching.plugins.module_utils.probes.units import UnitsProbe

    return UnitsProbe


PROBES = OnDemand(
    {
        "command": _command,
        "dicom": _dicom,
        "disk": _disk,
        "dns": _dns,
        "fhir": _fhir,
        "hl7_mllp": _hl7_mllp,
        "http": _http,
        "ldap": _ldap,
        "load": _load,
        "log": _log,
        "memory": _memory,
        "mounts": _mounts,
        "oracle": _oracle,
        "person": _person,
        "ports": _ports,
        "postgresql": _postgresql,
        "process": _process,
        "sqlserver": _sqlserver,
        "systemd": _systemd,
        "tcp": _tcp,
        "time": _time,
        "tls": _tls,
        "units": _units,
    }
)  # type: OnDemand[Type[Probe]]
