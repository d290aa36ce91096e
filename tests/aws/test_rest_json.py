"""What of the protocol depends on how a server hands the request on."""

from __future__ import annotations

from typing import Any

import pytest

from healthimaging_emulator.aws.rest_json import credential, request_line

POST = {"REQUEST_METHOD": "POST"}


@pytest.mark.parametrize(
    ("environ", "path", "query"),
    [
        ({"RAW_URI": "/a%2Fb?c=%20", "QUERY_STRING": "c=%20"}, "/a%2Fb", "c=%20"),
        ({"REQUEST_URI": "/a%2Fb"}, "/a%2Fb", ""),
        ({"REQUEST_URI": "http://h/a?b?c", "QUERY_STRING": "b?c"}, "/a", "b?c"),
        ({"REQUEST_URI": "http://h"}, "/", ""),
        ({"REQUEST_URI": "http://h?a=b", "QUERY_STRING": "a=b"}, "/", "a=b"),
        ({"REQUEST_URI": "//a//b"}, "/a//b", ""),
        ({"PATH_INFO": "/a b/\xc3\xa9%", "QUERY_STRING": "x=1"}, "/a%20b/%C3%A9%25", "x=1"),
        ({"PATH_INFO": "/a"}, "/a", ""),
        ({"RAW_URI": "/a", "QUERY_STRING": "b"}, "/a", "b"),  # Flask's test client
    ],
)
def test_the_request_line_as_the_client_sent_it(environ: dict[str, Any], path: str, query: str) -> None:
    assert request_line(POST | environ) == ("POST", path, query)


@pytest.mark.parametrize(
    ("key", "account"),
    [
        ("111111111111", "111111111111"),
        ("AKIAIOSFODNN7EXAMPLE", "000000000000"),
        ("1111111111111", "000000000000"),
        ("11111111111", "000000000000"),
        ("", "000000000000"),
    ],
)
def test_an_access_key_of_12_digits_is_an_account(key: str, account: str) -> None:
    scope = "20260101/us-east-1/medical-imaging/aws4_request, SignedHeaders=host, Signature=0"
    assert credential(f"AWS4-HMAC-SHA256 Credential={key}/{scope}").account == account


def test_no_credential_is_the_default_account() -> None:
    assert credential("") == ("000000000000", "us-east-1")


def test_the_region_is_that_of_the_credential() -> None:
    scope = "20260101/eu-west-1/medical-imaging/aws4_request"
    assert credential(f"AWS4-HMAC-SHA256 Credential=x/{scope}, SignedHeaders=host").region == "eu-west-1"
