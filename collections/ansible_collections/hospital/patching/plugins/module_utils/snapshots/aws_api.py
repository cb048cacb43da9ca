# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS's EC2 API as the provider ``aws_ebs`` uses it: by boto3, with time limits, errors in the operator's words.

boto3 is imported only when it is asked for, because this file travels to hosts that have no such library. The login
comes from boto3's own chain where this runs (environment, profile, role of the instance), never from the plan.
"""

import importlib
from typing import Any, Callable, Dict, List, Optional, TypeVar

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.errors import PatchingError
from ansible_collections.hospital.patching.plugins.module_utils.runner import without_logins

Seen = TypeVar("Seen")

#: EC2's error codes for a login that is wrong, has expired, or may not do this (EC2 API reference, "Error codes").
LOGIN_CODES = (
    "AuthFailure",
    "ExpiredToken",
    "InvalidClientTokenId",
    "OptInRequired",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
)
#: Codes of an API that is asked too much or is ill: the same call may succeed a minute later.
BUSY_CODES = ("InternalError", "InternalFailure", "RequestLimitExceeded", "ServiceUnavailable", "Unavailable")


class ApiError(PatchingError):
    """The API refused or did not answer. ``code`` is EC2's own, or ""; ``busy`` says that later may do."""

    def __init__(self, seen: str, expected: str, next_step: str, code: str = "", busy: bool = False) -> None:
        super().__init__("AWS API", seen, expected, next_step)
        self.code = code
        self.busy = busy


class Ec2:
    """The calls that are made. ``client`` is boto3's; ``once`` the same one without retries."""

    def __init__(self, client: Any, once: Any, clock: Clock) -> None:
        self.client = client
        self.once = once
        self.clock = clock
        self.errors = importlib.import_module("botocore.exceptions")

    def call(self, operation: str, **parameters: Any) -> Dict[str, Any]:
        """Make one call, by its name in Python, and return its answer.

        Raises:
            ApiError: it was refused, or not answered in time.
        """
        return self._guarded(operation, lambda: dict(getattr(self.client, operation)(**parameters)))

    def call_once(self, operation: str, **parameters: Any) -> Dict[str, Any]:
        """As :meth:`call`, but never repeated: for a call that would do its work twice."""
        return self._guarded(operation, lambda: dict(getattr(self.once, operation)(**parameters)))

    def all(self, operation: str, key: str, **parameters: Any) -> List[Dict[str, Any]]:
        """Return the ``key`` of every page of an answer."""

        def pages() -> List[Dict[str, Any]]:
            answers = self.client.get_paginator(operation).paginate(**parameters)
            return [item for answer in answers for item in answer.get(key) or []]

        return self._guarded(operation, pages)

    def wait(
        self, subject: str, expected: str, look: Callable[[], Optional[Seen]], limit_s: int, poll_s: int = 5
    ) -> Seen:
        """Ask again until ``look`` returns something, and return that. A busy API is asked again as well.

        Raises:
            PatchingError: nothing after ``limit_s`` seconds.
        """
        deadline = self.clock.monotonic() + limit_s
        while True:
            said = "not so far"
            try:
                seen = look()
                if seen is not None:
                    return seen
            except ApiError as error:
                if not error.busy:
                    raise
                said = error.seen
            left = deadline - self.clock.monotonic()
            if left <= 0:
                raise PatchingError(
                    subject,
                    "{} after {} s".format(said, limit_s),
                    expected,
                    "look at it in the EC2 console, or allow more time by an option of patching_snapshot",
                )
            self.clock.sleep(min(poll_s, left))

    def _guarded(self, operation: str, work: Callable[[], Seen]) -> Seen:
        try:
            return work()
        except self.errors.ClientError as error:
            raise _refused(operation, error.response)
        except self.errors.BotoCoreError as error:
            raise self._unanswered(operation, error)

    def _unanswered(self, operation: str, error: Exception) -> ApiError:
        errors, said = self.errors, without_logins(str(error))
        if isinstance(
            error, (errors.NoCredentialsError, errors.PartialCredentialsError, errors.CredentialRetrievalError)
        ):
            return ApiError(
                "{}: {}".format(operation, said),
                "a login in boto3's own chain (environment, profile, instance role) where this runs",
                "give that machine a login, or name a profile in patching_snapshot",
                code="NoCredentials",
            )
        if isinstance(error, errors.HTTPClientError):
            return ApiError(
                "{}: no answer: {}".format(operation, said),
                "an answer within the time limits",
                "look at the network between this machine and AWS, then run again",
                busy=True,
            )
        return ApiError(
            "{}: {}".format(operation, said), "a call that boto3 can make", "correct patching_snapshot, then run again"
        )


def _refused(operation: str, answer: Dict[str, Any]) -> ApiError:
    code = str((answer.get("Error") or {}).get("Code") or "")
    status = int((answer.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0)
    # An unauthorised call is answered with a long encoded text that only IAM's owner can read.
    message = str((answer.get("Error") or {}).get("Message") or "").split(" Encoded authorization", 1)[0][:400]
    seen = "{}: {} {}: {}".format(operation, status, code, message)
    if code in LOGIN_CODES:
        return ApiError(
            seen, "a login that may do this", "correct the login of this machine, or its rights in IAM", code=code
        )
    if code in BUSY_CODES or status >= 500:
        return ApiError(
            seen, "an API in good health", "wait, look at AWS's health page, then run again", code=code, busy=True
        )
    return ApiError(seen, "that it is done", "correct what it names, then run again", code=code)


def connect(options: Dict[str, Any], clock: Clock) -> Ec2:
    """Return the API of the region that ``options`` name; nothing is asked yet.

    Raises:
        PatchingError: no boto3 here, an unknown profile, or no region.
    """
    try:
        boto3, config = importlib.import_module("boto3"), importlib.import_module("botocore.config")
    except ImportError as error:
        raise PatchingError(
            "snapshot provider aws_ebs",
            "the Python library boto3 is missing where it runs ({})".format(error),
            "boto3 for the Python of that machine",
            "pip install boto3 there, or set patching_snapshot.on to a machine that has it",
        )
    errors = importlib.import_module("botocore.exceptions")

    def client(attempts: int) -> Any:
        limits = config.Config(
            connect_timeout=options["connect_timeout_s"],
            read_timeout=options["read_timeout_s"],
            retries={"total_max_attempts": attempts, "mode": "standard"},
        )
        return session.client("ec2", endpoint_url=options["endpoint_url"], config=limits)

    try:
        session = boto3.session.Session(profile_name=options["profile"], region_name=options["region"])
        return Ec2(client(options["attempts"]), client(1), clock)
    except (errors.BotoCoreError, ValueError) as error:
        raise PatchingError(
            "snapshot provider aws_ebs",
            without_logins(str(error)),
            "a profile and a region that boto3 knows where it runs",
            "correct profile, region and endpoint_url in patching_snapshot, or ~/.aws/config of that machine",
        )
