"""Settings: every check with both its edges, and the exact message."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest

from healthimaging_emulator import Credentials, Emulator, InvalidError, LimitExceededError, Settings
from healthimaging_emulator.settings import DECLARED, SettingsOptions

NAN, INFINITY = float("nan"), float("inf")
KEY = Credentials(access_key_id="AKIDEXAMPLE", secret_access_key="secret")

LIMITS = [name for name in DECLARED if name.startswith("max_")]
LISTS = ["control_hosts", "cors_origins", "quotas"]

VALID: dict[str, list[Any]] = {
    "page_size": [1, 50],
    "token_key": ["a", "sésame €", "a b"],
    "token_lifetime": [None, 0.001, 1, 1e9, INFINITY],
    "omit_unset": [True, False],
    "transition_reads": [None, 0, 10**9],
    "transition_seconds": [None, 0, 0.5, 1e9],
    "s3": [None, "s3", Path("s3"), "http://127.0.0.1:9000", SimpleNamespace(get_object=None)],
    "events_webhook": [None, "http://localhost:8000/events", "https://[::1]/a?b=c"],
    "quotas": [[], ["aws"], ["AWS", "copies=0"], ("datastores=2", "metadata-bytes=100"), {"update-bytes=999999999999"}],
    "tombstones": [True, False],
    "control_token": [None, "a", "sésame €"],
    "control_hosts": [[], ["a", "a.b-c_d", "10.0.0.7"], ("::1", "2001:db8::1", "::ffff:1.2.3.4"), {"a"}],
    "cors_origins": [[], ["*"], ["http://localhost:3000", "HTTPS://a.test"], ("http://[::1]:3000",)],
    "max_accounts": [1, 10**12],
}
NUMBER = "a whole number from 1"
SECONDS = "a number of seconds from 0, or none"
S3 = "a folder, the URL of an endpoint, or a boto3 client for S3"
TEXT = "text without control characters"
HOST = "the name or the address of a host, without a port"
ORIGIN = "an origin such as http://localhost:3000"

URL = "a URL such as http://localhost:8000/events"
QUOTA = (
    "aws, or a number for one of datastores, import-jobs, import-files, copies, copy-frames, updates, update-bytes, "
    "deletions, metadata-bytes, such as copies=2"
)

INVALID: list[tuple[str, Any, str]] = [
    *(
        ("page_size", value, f" {value!r}: expected a whole number from 1 to 50")
        for value in (0, 51, 2.5, "7", None, True)
    ),
    *(("token_key", value, f": expected {TEXT}") for value in ("", "a\n", "a\tb", "a\x7f", "a\ud800", None, b"a")),
    *(
        ("token_lifetime", value, f" {value!r}: expected a number of seconds above 0")
        for value in (0, -1, NAN, "1", True)
    ),
    *(("omit_unset", value, f" {value!r}: expected true or false") for value in (None, 0, "true")),
    *(
        ("transition_reads", value, f" {value!r}: expected a whole number from 0, or none")
        for value in (-1, 0.5, "1", False)
    ),
    *(
        ("transition_seconds", value, f" {value!r}: expected {SECONDS}")
        for value in (-0.001, 1e9 + 1, NAN, INFINITY, "1", False)
    ),
    *(("s3", value, f" {value!r}: expected {S3}") for value in ("", 1, 1.5, b"s3", ["s3"])),
    *(
        ("events_webhook", value, f" {value!r}: expected {URL}")
        for value in ("", "localhost:8000", "ftp://host/", "http://", "http://a:70000", "http://a:0", "http://u:p@a/")
    ),
    *(("events_webhook", value, f" {value!r}: expected {URL}") for value in ("http://a/#b", "http://a/b c", 7)),
    *(
        ("quotas", [value], f" {value!r}: expected {QUOTA}")
        for value in ("", "aws2", "copies", "copies=", "copies=-1", "copies=1.5", "copy=1", "copies=1,", 1, None)
    ),
    *(("tombstones", value, f" {value!r}: expected true or false") for value in (None, 0, "true")),
    *(("control_token", value, f": expected {TEXT}") for value in ("", "a\r", "a\ud800", 1)),
    *(
        ("control_hosts", [value], f" {value!r}: expected {HOST}")
        for value in ("", "a b", "a:80", "10.0.0.7:80", "x:80", "[::1]", "http://a", "a/b", "*", "é", 1, None)
    ),
    *(
        ("cors_origins", [value], f" {value!r}: expected {ORIGIN}")
        for value in ("", "localhost", "http://a/", "http://a b", "http://a,http://b", "ftp://a", "null", 1)
    ),
    *((name, value, f" {value!r}: expected a list") for name in LISTS for value in ("a", None, 1)),
    *((name, value, f" {value!r}: expected {NUMBER}") for name in LIMITS for value in (0, -1, 1.5, "1", None, True)),
]


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in VALID for value in VALID[name]] + [(name, 1) for name in LIMITS]
)
def test_a_value_in_range_is_taken(name: str, value: Any) -> None:
    made: Any = Settings(**{name: value})
    assert getattr(made, name) == value


@pytest.mark.parametrize(("name", "value", "mistake"), INVALID)
def test_a_value_out_of_range_is_refused(name: str, value: Any, mistake: str) -> None:
    settings: Any = {name: value}
    for make in (Settings, lambda **options: Emulator.from_seed({}, **options)):
        with pytest.raises(InvalidError) as raised:
            make(**settings)
        assert str(raised.value) == f"invalid {name}{mistake}"


def test_every_setting_has_a_check_that_is_tested() -> None:
    assert {name for name, _, _ in INVALID} | {"region"} == {*VALID, *LIMITS, "region"} == set(DECLARED)


@pytest.mark.parametrize(
    ("region", "is_valid"),
    [
        ("us-east-1", True),
        ("a", True),
        ("a" * 32, True),
        (None, True),
        ("a" * 33, False),
        ("", False),
        ("US-EAST-1", False),
        ("us_east", False),
        (1, False),
    ],
)
def test_a_region_is_that_of_credentials(region: Any, is_valid: bool) -> None:
    if is_valid:
        assert Settings(region=region, credentials=[KEY]).region == region
        return
    with pytest.raises(InvalidError) as raised:
        Settings(region=region, credentials=[KEY])
    assert str(raised.value) == f"invalid region {region!r}: expected a region such as us-east-1"


def test_a_region_needs_credentials() -> None:
    with pytest.raises(InvalidError) as raised:
        Settings(region="us-east-1")
    assert str(raised.value) == (
        "region needs credentials: it is compared with the region that a request is signed for"
    )


def test_an_unknown_setting_is_a_type_error() -> None:
    options: Any = {"pagesize": 1}
    with pytest.raises(TypeError, match=r"no setting 'pagesize' .did you mean page_size"):
        Emulator.from_seed({}, **options)


def test_settings_of_an_emulator_are_frozen() -> None:
    emulator = Emulator.from_seed({}, page_size=7, max_calls=5)
    assert (emulator.settings.page_size, emulator.settings.max_calls, emulator.settings.max_faults) == (7, 5, 1000)
    with pytest.raises(FrozenInstanceError):
        emulator.settings.page_size = 8  # type: ignore[misc]


def test_the_keyword_arguments_are_the_fields_of_settings() -> None:
    names = {"Credentials": Credentials}  # which the module imports for type checkers only
    assert get_type_hints(SettingsOptions, None, names) == get_type_hints(Settings, None, names)
    assert list(SettingsOptions.__annotations__) == [each.name for each in fields(Settings)]
    assert set(DECLARED) == set(SettingsOptions.__annotations__) - {"credentials"}


def test_defaults_are_valid_by_their_own_checks() -> None:
    defaults = {each.name: each.default for each in fields(Settings)}
    for name, setting in DECLARED.items():
        assert setting.is_list or setting.is_valid(defaults[name]), name


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_reached_and_not_exceeded(name: str) -> None:
    options: Any = {name: 2000}
    limited, what = Settings(**options), name.removeprefix("max_")
    limited.check_limit(what, 2000)
    with pytest.raises(LimitExceededError) as raised:
        limited.check_limit(what, 2001)
    assert str(raised.value) == f"limit exceeded: 2,001 {what}, but {name} is 2,000"
