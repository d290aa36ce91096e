"""The Authorization header says who asks; whatever cannot be read is the default account's."""

from __future__ import annotations

import pytest

from healthimaging_emulator.aws.authorization import Authorization, Caller, parse_authorization

SCOPE = "20260101/eu-west-1/medical-imaging/aws4_request"
DEFAULT = Caller("000000000000", "us-east-1")


def test_all_parameters_are_parsed() -> None:
    text = f"AWS4-HMAC-SHA256 Credential=111111111111/{SCOPE}, SignedHeaders=host;x-amz-date, Signature=0a"
    assert parse_authorization(text) == Authorization(
        text,
        "AWS4-HMAC-SHA256",
        {"Credential": f"111111111111/{SCOPE}", "SignedHeaders": "host;x-amz-date", "Signature": "0a"},
    )
    assert parse_authorization(text).caller == Caller("111111111111", "eu-west-1")


@pytest.mark.parametrize("separator", [",", ", ", " ,  ", ",\t"])
def test_spaces_around_commas_are_allowed(separator: str) -> None:
    text = "AWS4-HMAC-SHA256 " + separator.join([f"Credential=111111111111/{SCOPE}", "SignedHeaders=host"])
    parsed = parse_authorization(text)
    assert (parsed.parameters["SignedHeaders"], parsed.mistake) == ("host", None)


@pytest.mark.parametrize(
    ("key", "account"),
    [
        ("111111111111", "111111111111"),
        ("AKIAIOSFODNN7EXAMPLE", "000000000000"),
        ("1111111111111", "000000000000"),
        ("11111111111", "000000000000"),
        ("\u0661" * 12, "000000000000"),
        ("111111111111\n", "000000000000"),
        ("", "000000000000"),
    ],
)
def test_an_access_key_of_12_digits_is_the_account(key: str, account: str) -> None:
    header = f"AWS4-HMAC-SHA256 Credential={key}/{SCOPE}, SignedHeaders=host, Signature=0"
    assert parse_authorization(header).caller == Caller(account, "eu-west-1")


@pytest.mark.parametrize("region", ["", "EU", "eu west", "a" * 33, "é", "eu-west-1\n"])
def test_a_region_that_cannot_be_one_is_the_default(region: str) -> None:
    header = f"AWS4-HMAC-SHA256 Credential=111111111111/20260101/{region}/medical-imaging/aws4_request"
    assert parse_authorization(header).caller == Caller("111111111111", "us-east-1")


@pytest.mark.parametrize("region", ["a", "us-gov-west-1", "a" * 32])
def test_the_region_is_that_of_the_credential(region: str) -> None:
    header = f"AWS4-HMAC-SHA256 Credential=x/20260101/{region}/medical-imaging/aws4_request"
    assert parse_authorization(header).caller == Caller("000000000000", region)


@pytest.mark.parametrize(
    ("header", "caller"),
    [
        ("", DEFAULT),
        ("garbage", DEFAULT),
        ("Basic eDp5", DEFAULT),
        ("AWS4-HMAC-SHA256", DEFAULT),
        ("AWS4-HMAC-SHA256 Credential=", DEFAULT),
        ("AWS4-HMAC-SHA256 Credential=111111111111", DEFAULT),  # a key without any scope is no credential
        ("AWS4-HMAC-SHA256 Credential=111111111111/20260101", Caller("111111111111", "us-east-1")),
        ("AWS4-HMAC-SHA256 SignedHeaders=host, Signature=0", DEFAULT),
    ],
)
def test_a_header_without_a_whole_credential(header: str, caller: Caller) -> None:
    assert parse_authorization(header).caller == caller


@pytest.mark.parametrize(
    ("rest", "parameters", "mistake"),
    [
        ("nonsense", {}, "nonsense"),
        ("SignedHeaders=host, nonsense", {"SignedHeaders": "host"}, "nonsense"),
        ("SignedHeaders=host, Other=x", {"SignedHeaders": "host"}, "Other=x"),
        ("credential=x", {}, "credential=x"),
        ("SignedHeaders=host=x", {}, "SignedHeaders=host=x"),
        ("\x1fSignedHeaders=host", {}, "\x1fSignedHeaders=host"),
        ("SignedHeaders=host,\xa0Signature=0", {"SignedHeaders": "host"}, "\xa0Signature=0"),
        ("SignedHeaders=host,\x85Signature=0", {"SignedHeaders": "host"}, "\x85Signature=0"),
        ("SignedHeaders=host,", {"SignedHeaders": "host"}, ""),
        ("SignedHeaders=host,, Signature=0", {"SignedHeaders": "host"}, ""),
    ],
)
def test_parsing_ends_at_a_part_that_cannot_be_read(rest: str, parameters: dict[str, str], mistake: str) -> None:
    text = f"AWS4-HMAC-SHA256 {rest}"
    assert parse_authorization(text) == Authorization(text, "AWS4-HMAC-SHA256", parameters, mistake)


@pytest.mark.parametrize(
    ("rest", "parameters", "mistake"),
    [
        (
            "Signature=0, Signature=1, Credential=x/y",
            {"Signature": "0", "Credential": "x/y"},
            "Signature=1",
        ),
        ("Signature=0, Signature=1, nonsense, Credential=x/y", {"Signature": "0"}, "Signature=1"),
        ("Credential=x/y, Credential=z/y, Signature=0", {"Credential": "x/y", "Signature": "0"}, "Credential=z/y"),
    ],
)
def test_the_first_value_of_a_repeated_parameter_counts(rest: str, parameters: dict[str, str], mistake: str) -> None:
    text = f"AWS4-HMAC-SHA256 {rest}"
    assert parse_authorization(text) == Authorization(text, "AWS4-HMAC-SHA256", parameters, mistake)


@pytest.mark.parametrize(
    "header",
    [
        f"AWS4-HMAC-SHA256 Credential=111111111111/{SCOPE}, Credential=222222222222/{SCOPE}",
        f"AWS4-HMAC-SHA256 Credential=111111111111/{SCOPE}, nonsense, Credential=222222222222/{SCOPE}",
        f"AWS4-HMAC-SHA256 Credential=111111111111/{SCOPE}, Other=Credential=222222222222/{SCOPE}",
    ],
)
def test_nothing_behind_a_mistake_names_the_caller(header: str) -> None:
    assert parse_authorization(header).caller == Caller("111111111111", "eu-west-1")
