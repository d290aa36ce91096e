"""SigV4: whether one of the credentials signed a request. botocore's signer computes; nothing is signed by hand here.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from healthimaging_emulator.aws.credentials import Credentials
from healthimaging_emulator.aws.errors import (
    ExpiredTokenException,
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    ServiceError,
    UnrecognizedClientException,
)
from healthimaging_emulator.aws.rest_json import request_line

if TYPE_CHECKING:
    from flask import Request
    from werkzeug.datastructures import Headers

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "medical-imaging"
SKEW = timedelta(minutes=5)

_BASIC = "%Y%m%dT%H%M%SZ"


class Scope(NamedTuple):
    """Where and when a signature is good."""

    date: str
    region: str
    service: str
    terminator: str


class Authorization(NamedTuple):
    """What an Authorization header says."""

    access_key_id: str
    scope: Scope
    signed_headers: list[str]
    signature: str


class Verifier:
    """Holds requests to their signature, by the machine's clock. With a ``region``, no other's signature is good.

    Of a body no more than ``max_body`` bytes and one are read, so a longer one has no signature that is good.
    """

    def __init__(self, credentials: Iterable[Credentials], region: str | None, max_body: int) -> None:
        self._credentials = {each.access_key_id: each for each in credentials}
        self._max_body = max_body
        self._region = region

    def refusal(self, request: Request) -> ServiceError | None:
        """Return the error that AWS's front end gives a request that is not signed as it must be, if it is one."""
        try:
            self._verify(request)
        except ServiceError as error:
            return error
        return None

    def _verify(self, request: Request) -> None:
        headers = request.headers
        given = parse(headers)
        credentials = self._credentials.get(given.access_key_id)
        token = headers.get("X-Amz-Security-Token", "").encode()
        if credentials is None or not hmac.compare_digest(token, (credentials.session_token or "").encode()):
            raise UnrecognizedClientException
        now = datetime.fromtimestamp(time.time(), timezone.utc)
        if credentials.expiration is not None and credentials.expiration <= now:
            raise ExpiredTokenException
        signed_at = _signed_at(headers)
        self._check_scope(given.scope, signed_at)
        _check_skew(signed_at, now)
        if (request.content_length or 0) > self._max_body:
            raise InvalidSignatureException
        request.max_content_length = self._max_body + 1  # where Werkzeug cuts it, in silence
        calculated = _calculate(request, given, credentials.secret_access_key, f"{signed_at:{_BASIC}}")
        if not hmac.compare_digest(calculated.encode(), given.signature.encode()):
            raise InvalidSignatureException

    def _check_scope(self, scope: Scope, signed_at: datetime) -> None:
        mistakes = []
        if not re.fullmatch("[a-z0-9-]{1,32}", scope.region) or self._region not in (None, scope.region):
            mistakes.append(f"Credential should be scoped to a valid region, not '{scope.region}'.")
        if scope.service != SERVICE:
            mistakes.append(f"Credential should be scoped to correct service: '{SERVICE}'.")
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


def parse(headers: Headers) -> Authorization:
    """Read the Authorization header. Raises ``MissingAuthenticationTokenException``, ``IncompleteSignatureException``.

    Of each part there is one, or an account could be read from another part than the signature is checked by.
    """
    text = headers.get("Authorization", "")
    if not text:
        raise MissingAuthenticationTokenException
    algorithm, _, rest = text.partition(" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignatureException(f"Unsupported AWS 'algorithm': '{algorithm}'.")
    given: dict[str, str] = {}
    for part in rest.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name in given or name not in ("Credential", "SignedHeaders", "Signature") or "=" in value:
            raise IncompleteSignatureException(
                f"'{part.strip()}' not a valid key=value pair in Authorization header: '{text}'."
            )
        given[name] = value
    missing = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if not given.get(name)
    ]
    if not (headers.get("X-Amz-Date") or headers.get("Date")):
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if missing:
        raise IncompleteSignatureException(f"{' '.join(missing)} Authorization={text}")
    access_key_id, *scope = given["Credential"].split("/")
    if len(scope) != len(Scope._fields):
        raise IncompleteSignatureException(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{given['Credential']}'."
        )
    return Authorization(access_key_id, Scope(*scope), given["SignedHeaders"].split(";"), given["Signature"])


def _signed_at(headers: Headers) -> datetime:
    text = headers.get("X-Amz-Date") or headers["Date"]
    try:
        if re.fullmatch("[0-9]{8}T[0-9]{6}Z", text):
            return datetime.strptime(text, _BASIC).replace(tzinfo=timezone.utc)
        if "X-Amz-Date" not in headers:
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
        """Sign what the client signed, whatever botocore itself leaves out."""
        return request.headers


def _calculate(request: Request, given: Authorization, secret: str, timestamp: str) -> str:
    """Return the signature that the request ought to have."""
    signed = {name: request.headers.get(name) for name in given.signed_headers}
    if "host" not in signed:
        raise InvalidSignatureException("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    body = request.get_data()
    digest = sha256(body).hexdigest()
    if None in signed.values() or request.headers.get("X-Amz-Content-SHA256", digest) != digest:
        raise InvalidSignatureException
    method, path, query = request_line(request.environ)
    # The host that counts stands in the headers. What stands behind a # would not be signed, but is read.
    url = f"http://host{path}?{query}".replace("#", "%23")
    rebuilt = AWSRequest(method, url, headers=signed, data=body)
    rebuilt.context["timestamp"] = timestamp
    key = ReadOnlyCredentials(given.access_key_id, secret, None)
    signer = _Signer(key, given.scope.service, given.scope.region)
    return str(signer.signature(signer.string_to_sign(rebuilt, signer.canonical_request(rebuilt)), rebuilt))
