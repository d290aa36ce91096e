"""A boto3 client without a socket: no port, no thread, no host prefix; retries, parsing and paging are boto3's own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from ..scenario.link import Link
from .wsgi import call, environ

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from botocore.client import BaseClient


def client(app: WSGIApplication, **options: Any) -> BaseClient:
    """Make a client of ``medical-imaging`` that reaches ``app``; region and credentials are needed by boto3 only."""
    defaults = {"region_name": "us-east-1", "aws_access_key_id": "emulator", "aws_secret_access_key": "emulator"}
    made = boto3.client("medical-imaging", **(defaults | options))

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        url = urlsplit(request.url)
        target = url.path + (f"?{url.query}" if url.query else "")
        headers = [(name, _text(value)) for name, value in request.headers.items()]
        body = request.body or b""
        link, host, port = Link(is_patient=False), url.hostname or "", url.port or 80
        wsgi_environ = environ(request.method, target, headers, body, host=host, port=port, link=link)
        answered = call(app, wsgi_environ)
        if link.effect in ("reset", "close"):
            raise ConnectionClosedError(endpoint_url=request.url, request=request)
        if link.effect == "stall":
            raise ReadTimeoutError(endpoint_url=request.url)
        content = answered.body[: len(answered.body) // 2] if link.effect == "cut" else answered.body
        return AWSResponse(request.url, answered.status, dict(answered.headers), _Raw(content))

    made.meta.events.register("before-send.medical-imaging", answer)
    return made


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


class _Raw(io.BytesIO):
    """What botocore reads of urllib3's response."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()
