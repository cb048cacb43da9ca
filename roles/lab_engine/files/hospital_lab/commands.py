# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a command, with the end of its output in the error."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from hospital_lab.errors import LabError


def run(
    args: Sequence[str | Path],
    *,
    text_in: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: int = 900,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a command without a shell, in the root folder: monitors of containers outlive the folder that started them.

    Raises:
        LabError: it is missing, took too long or (with ``check``) did not exit with 0.
    """
    words = [str(arg) for arg in args]
    try:
        result = subprocess.run(
            words,
            input="" if text_in is None else text_in,
            capture_output=True,
            text=True,
            errors="replace",
            env=dict(os.environ, LC_ALL="C.UTF-8", **(env or {})),
            timeout=timeout_s,
            cwd="/",
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{words[0]} is not installed; `make lab` installs what the lab needs") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(words[:4])} did not end within {timeout_s} s") from error
    if check and result.returncode != 0:
        output = (result.stdout + result.stderr).strip()[-2000:]
        raise LabError(f"{' '.join(words[:6])} ended with {result.returncode}:\n{output}")
    return result
