"""Verify SigV4 signatures. botocore's own signer computes them; nothing is signed by hand here.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from ..credentials import Credentials
from ..messages import Request
from .authorization import ALGORITHM, PARAMETERS, Authorization
from .errors import (
    ExpiredTokenException,
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)

SKEW = timedelta(minutes=5)

_BASIC = "%Y%m%dT%H%M%SZ"


class Scope(NamedTuple):
    """The date, region and service that a signature is valid for."""

    date: str
    region: str
    service: str
    terminator: str


class Signature(NamedTuple):
    """The complete parameters of an Authorization header."""

    access_key_id: str
    scope: Scope
    signed_headers: list[str]
    value: str


class Verifier:
    """Verify signatures for a service against the machine's clock, and the region if one is given.

    A body of more than ``max_body`` bytes is not read to its end, so no signature is valid for it.
    """

    def __init__(self, credentials: Iterable[Credentials], service: str, region: str | None, max_body: int) -> None:
        self._credentials = {each.access_key_id: each for each in credentials}
        self._service = service
        self._region = region
        self._max_body = max_body

    def verify(self, request: Request, authorization: Authorization) -> None:
        """Raise the error that AWS's front end answers to a request without a valid signature."""
        headers = request.headers
        signature = _complete(authorization, headers)
        credentials = self._credentials.get(signature.access_key_id)
        token = headers.get("x-amz-security-token", "").encode()
        if credentials is None or not hmac.compare_digest(token, (credentials.session_token or "").encode()):
            raise UnrecognizedClientException
        now = datetime.fromtimestamp(time.time(), timezone.utc)
        if credentials.expiration is not None and credentials.expiration <= now:
            raise ExpiredTokenException
        signed_at = _signed_at(headers)
        self._check_scope(signature.scope, signed_at)
        _check_skew(signed_at, now)
        if request.size > self._max_body:
            raise InvalidSignatureException
        calculated = _calculate(request, signature, credentials.secret_access_key, f"{signed_at:{_BASIC}}")
        if not hmac.compare_digest(calculated.encode(), signature.value.encode()):
            raise InvalidSignatureException

    def _check_scope(self, scope: Scope, signed_at: datetime) -> None:
        mistakes = []
        if not re.fullmatch("[a-z0-9-]{1,32}", scope.region) or self._region not in (None, scope.region):
            mistakes.append(f"Credential should be scoped to a valid region, not '{scope.region}'.")
        if scope.service != self._service:
            mistakes.append(f"Credential should be scoped to correct service: '{self._service}'.")
        if scope.terminator != "aws4_request":
            mistakes.append(
                f"Credential should be scoped with a valid terminator: 'aws4_request', not '{scope.terminator}'."
            )
        date = f"{signed_at:%Y%m%d}"
        if scope.date != date:
            mistakes.append(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                f"'{scope.date}' != '{date}', from '{signed_at:{_BASIC}}'."
            )
        if mistakes:
            raise InvalidSignatureException(" ".join(mistakes))


def _complete(authorization: Authorization, headers: Mapping[str, str]) -> Signature:
    """Return the parameters. Raises the error for a header that is missing, unreadable or not complete."""
    text = authorization.text
    if not text:
        raise MissingAuthenticationTokenException
    if authorization.algorithm != ALGORITHM:
        raise IncompleteSignatureException(f"Unsupported AWS 'algorithm': '{authorization.algorithm}'.")
    if authorization.mistake is not None:
        raise IncompleteSignatureException(
            f"'{authorization.mistake}' not a valid key=value pair in Authorization header: '{text}'."
        )
    given = authorization.parameters
    missing = [f"Authorization header requires '{name}' parameter." for name in PARAMETERS if not given.get(name)]
    if not (headers.get("x-amz-date") or headers.get("date")):
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if missing:
        raise IncompleteSignatureException(f"{' '.join(missing)} Authorization={text}")
    access_key_id, *scope = given["Credential"].split("/")
    if len(scope) != len(Scope._fields):
        raise IncompleteSignatureException(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{given['Credential']}'."
        )
    return Signature(access_key_id, Scope(*scope), given["SignedHeaders"].split(";"), given["Signature"])


def _signed_at(headers: Mapping[str, str]) -> datetime:
    text = headers.get("x-amz-date") or headers["date"]
    try:
        if re.fullmatch("[0-9]{8}T[0-9]{6}Z", text):
            return datetime.strptime(text, _BASIC).replace(tzinfo=timezone.utc)
        if "x-amz-date" not in headers:
            date = parsedate_to_datetime(text)
            return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, TypeError, OverflowError):
        pass
    raise IncompleteSignatureException(f"Date must be in ISO-8601 'basic format'. Got '{text}'.")


def _check_skew(signed_at: datetime, now: datetime) -> None:
    earliest, latest = now - SKEW, now + SKEW
    if signed_at < earliest:
        raise InvalidSignatureException(
            f"Signature expired: {signed_at:{_BASIC}} is now earlier than {earliest:{_BASIC}} ({now:{_BASIC}} - 5 min.)"
        )
    if signed_at > latest:
        raise InvalidSignatureException(
            f"Signature not yet current: {signed_at:{_BASIC}} is still later than {latest:{_BASIC}} "
            f"({now:{_BASIC}} + 5 min.)"
        )


class _Signer(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    def headers_to_sign(self, request: AWSRequest) -> Any:
        """Sign the same headers as the client, also those that botocore leaves out."""
        return request.headers


def _calculate(request: Request, signature: Signature, secret: str, timestamp: str) -> str:
    """Return the signature that the request should have."""
    signed = {name: request.headers.get(name.lower()) for name in signature.signed_headers}
    if "host" not in signed:
        raise InvalidSignatureException("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    digest = sha256(request.body).hexdigest()
    if None in signed.values() or request.headers.get("x-amz-content-sha256", digest) != digest:
        raise InvalidSignatureException
    # The signed host is among the headers. botocore does not sign text behind a #, but the emulator reads it.
    url = f"http://host{request.path}?{request.query}".replace("#", "%23")
    rebuilt = AWSRequest(request.method, url, headers=signed, data=request.body)
    rebuilt.context["timestamp"] = timestamp
    key = ReadOnlyCredentials(signature.access_key_id, secret, None)
    signer = _Signer(key, signature.scope.service, signature.scope.region)
    return str(signer.signature(signer.string_to_sign(rebuilt, signer.canonical_request(rebuilt)), rebuilt))
