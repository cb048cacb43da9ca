# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe ``process``, on real processes and on a table of others."""

import os
import pwd
import sys

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.probes import registry

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def read(make_context, tmp_path):
    def run(proc=None, **options):
        definition = dict(options, name="p", type="process")
        return registry.build(definition, make_context(proc=proc or tmp_path)).read()

    return run


@pytest.fixture
def process(tmp_path):
    """Add a process to the table as the kernel shows one."""

    def add(pid, exe, name, arguments, uid=0, state="S (sleeping)"):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "status").write_text("Name:\t{}\nState:\t{}\nUid:\t{}\t0\t0\t0\n".format(name, state, uid))
        (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in arguments))
        if exe:
            (folder / "exe").symlink_to(exe)

    return add


def test_this_very_process_is_found_with_its_owner(read):
    result = read(proc="/proc", program=os.path.realpath(sys.executable), owner=ME)
    assert result["verdict"] == "ok"
    assert result["value"]["owners"] == {ME: result["value"]["count"]}


def test_a_program_that_does_not_run_is_failed(read):
    result = read(proc="/proc", program="no-such-program")
    assert (result["verdict"], result["detail"]) == ("failed", "0 running, expected at least 1")


def test_it_is_found_by_name_path_and_after_its_file_was_replaced(read, process):
    process(10, "/usr/lib/postgresql/15/bin/postgres (deleted)", "postgres", ["postgres: checkpointer"])
    assert read(program="postgres")["value"]["count"] == 1
    assert read(program="/usr/lib/postgresql/15/bin/postgres")["value"]["count"] == 1
    assert read(program="/usr/lib/postgresql/16/bin/postgres")["verdict"] == "failed"


def test_a_script_is_found_by_its_own_name(read, process):
    process(10, "/usr/bin/python3.11", "interface-engin", ["/usr/bin/python3", "/opt/interface-engine", "--quiet"])
    process(11, "/usr/bin/vim.basic", "vi", ["vi", "/opt/interface-engine"])
    assert read(program="interface-engine")["value"]["count"] == 1
    assert read(program="/opt/interface-engine")["value"]["count"] == 1


def test_arguments_tell_programs_of_one_interpreter_apart_and_are_not_kept(read, process):
    process(10, "/usr/bin/java", "java", ["java", "-Dpassword=Secret1", "-jar", "/opt/ris.jar"])
    process(11, "/usr/bin/java", "java", ["java", "-jar", "/opt/pacs.jar"])
    result = read(program="java", arguments_regexp=r"ris\.jar$", at_most=1)
    assert (result["verdict"], result["value"]["count"]) == ("ok", 1)
    assert "Secret1" not in str(result)


def test_too_many_and_another_owner_are_failed(read, process):
    process(10, "/usr/sbin/nginx", "nginx", ["nginx"])
    process(11, "/usr/sbin/nginx", "nginx", ["nginx"], uid=4294967294)
    result = read(program="nginx", at_most=1, owner="root")
    assert result["verdict"] == "failed"
    assert result["detail"] == "2 running, expected at most 1; running as 4294967294, expected root"


def test_a_zombie_does_not_run(read, process):
    process(10, None, "nginx", [], state="Z (zombie)")
    assert read(program="nginx")["verdict"] == "failed"


def test_one_that_ended_while_it_was_read_is_passed_over(read, process, tmp_path):
    process(10, "/usr/sbin/nginx", "nginx", ["nginx"])
    (tmp_path / "11").mkdir()
    assert read(program="nginx")["value"]["count"] == 1


def test_without_the_kernels_table_it_is_inconclusive(read, tmp_path):
    assert read(program="nginx")["verdict"] == "inconclusive"
    assert read(proc=tmp_path / "missing", program="nginx")["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"program": "bin/nginx\n"},
        {"program": "nginx", "arguments_regexp": "("},
        {"program": "nginx", "at_least": -1},
        {"program": "nginx", "at_least": 3, "at_most": 2},
        {"program": "nginx", "user": "root"},
    ],
)
def test_a_bad_definition_is_refused(options):
    with pytest.raises(PatchingError):
        registry.check(dict(options, name="p", type="process"))
