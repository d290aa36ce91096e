"""SigV4: botocore signs the requests, and each mistake has its own refusal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import boto3
import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError
from freezegun import freeze_time
from werkzeug.test import TestResponse

from healthimaging_emulator import Credentials, Emulator, InvalidError, NotFoundError
from healthimaging_emulator.aws.authorization import parse_authorization
from healthimaging_emulator.aws.errors import InvalidSignatureException
from healthimaging_emulator.aws.sigv4 import Verifier
from healthimaging_emulator.credentials import pick_credentials
from healthimaging_emulator.messages import Request
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY, SAMPLE, UNKNOWN, path

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SESSION = Credentials(access_key_id="ASIAEXAMPLE", secret_access_key="of/the:session", session_token="token==")
ACCOUNT = Credentials(access_key_id="111111111111", secret_access_key="s")
PLAIN = Credentials(access_key_id=KEY, secret_access_key=SECRET)
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
EXPIRED = Credentials(
    access_key_id="ASIAEXPIRED", secret_access_key="s", session_token="t", expiration=NOW - timedelta(seconds=1)
)
EXPIRING = Credentials(
    access_key_id="ASIAEXPIRING", secret_access_key="s", session_token="t", expiration=NOW + timedelta(seconds=1)
)


@pytest.fixture(autouse=True)
def wall_clock() -> Iterator[Any]:
    with freeze_time(NOW) as frozen:
        yield frozen


@pytest.fixture
def emulator() -> Emulator:
    return Emulator.from_seed(DEMO, credentials=[PLAIN, SESSION, ACCOUNT, EXPIRED, EXPIRING])


def signed(
    by: Credentials = PLAIN,
    *,
    target: str = path(),
    method: str = "POST",
    body: bytes = b"",
    region: str = "us-east-1",
    service: str = "medical-imaging",
    **headers: str,
) -> dict[str, str]:
    """Sign a request with botocore, and return its headers."""
    given = {"Host": "runtime-127.0.0.1:4580"} | {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest(method, f"http://runtime-127.0.0.1:4580{target}", headers=given, data=body)
    key = ReadOnlyCredentials(by.access_key_id, by.secret_access_key, by.session_token)
    SigV4Auth(key, service, region).add_auth(request)
    return dict(request.headers)


def ask(emulator: Emulator, headers: dict[str, str], *, target: str = path(), body: bytes = b"") -> TestResponse:
    return emulator.app.test_client().post(
        target,
        headers=headers,
        data=body,
        environ_overrides={"RAW_URI": target, "QUERY_STRING": target.partition("?")[2]},
    )


def refusal(response: TestResponse) -> tuple[int, str, str]:
    return response.status_code, response.headers["x-amzn-ErrorType"], response.json["message"]  # type: ignore[index]


MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


def test_no_signature_is_needed_by_default() -> None:
    assert Emulator.from_seed(DEMO).app.test_client().post(path()).status_code == 200


@pytest.mark.parametrize("by", [PLAIN, SESSION, ACCOUNT, EXPIRING], ids=repr)
@pytest.mark.parametrize(
    "target",
    [
        path(),
        path(MANY) + "?maxResults=7&nextToken=",
        path() + "?b=%2F~%20&a=%C3%A9&a=1&a",
        path("a%2Fb"),
        path("%C3%A9~'%28"),
        path("..") + "/",
        "/datastore//imageSet/.//listImageSetVersions",
    ],
)
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_signed_request_is_let_in(emulator: Emulator, by: Credentials, target: str, body: bytes) -> None:
    response = ask(emulator, signed(by, target=target, body=body), target=target, body=body)
    assert response.status_code in (200, 400, 404)
    assert response.headers.get("x-amzn-ErrorType") != "InvalidSignatureException"


SPELLINGS = [
    "/a/b/c",
    "//a/b/c",
    "/a//b///c",
    "/./a/./b/c",
    "/x/../a/b/x/y/../../c",
    "/../../a/b/c",
    "/a/b/c/",
    "/a/b/c/.",
    "/a/b/c/x/..",
    "/a/b/c//",
    "/a/b/%2E/c",
    "/a/b/x/%2e%2e/c",
    "/a%2Fb/c",
    "/a%2fb/c",
    "/a/b/.../c",
    "/a/b/c;x",
    "/A/b/c",
    "/",
    "//",
    "/..",
]


def canonical_path(target: str) -> str:
    """Return the path that botocore signs."""
    request = AWSRequest("POST", f"http://host{target}", headers={"Host": "host"})
    request.context["timestamp"] = f"{NOW:%Y%m%dT%H%M%SZ}"
    key = ReadOnlyCredentials(KEY, SECRET, None)
    canonical = SigV4Auth(key, "medical-imaging", "us-east-1").canonical_request(request)
    return str(canonical.split("\n")[1])


def is_valid(target: str, headers: dict[str, str]) -> bool:
    """Whether a signature is valid for a path, before any route is looked for."""
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        Verifier([PLAIN], "medical-imaging", None, 100).verify(
            Request("POST", target, headers=lower), parse_authorization(headers["Authorization"])
        )
    except InvalidSignatureException:
        return False
    return True


@pytest.mark.parametrize("target", SPELLINGS)
def test_a_signature_is_valid_for_the_paths_that_sigv4_makes_equal(target: str) -> None:
    """Except for S3, ``.``, ``..`` and empty segments are not signed: botocore says which paths are equal."""
    headers = signed(target=target)
    equal = [each for each in SPELLINGS if canonical_path(each) == canonical_path(target)]
    assert [each for each in SPELLINGS if is_valid(each, headers)] == equal


def test_some_paths_are_equal_and_others_are_not() -> None:
    assert [canonical_path(each) for each in SPELLINGS].count("/a/b/c") == 8
    assert len({canonical_path(each) for each in SPELLINGS}) == 10


def test_a_request_without_a_signature_is_refused(emulator: Emulator) -> None:
    assert refusal(ask(emulator, {})) == (403, "MissingAuthenticationTokenException", "Missing Authentication Token")


def test_an_unknown_operation_needs_no_signature(emulator: Emulator) -> None:
    assert ask(emulator, {}, target="/nothing").status_code == 404


def test_the_signature_is_checked_before_faults_and_input(emulator: Emulator) -> None:
    assert ask(emulator, {}, target=path("UPPER") + "?maxResults=x").status_code == 403
    emulator.faults.add({"error": {"code": "ThrottlingException"}})
    assert ask(emulator, {}).status_code == 403
    assert emulator.calls[-1].outcome == "MissingAuthenticationTokenException"
    assert [fault.matched for fault in emulator.faults] == [0]


def test_an_unknown_access_key_is_refused(emulator: Emulator) -> None:
    stranger = Credentials(access_key_id="AKIDSTRANGER", secret_access_key=SECRET)
    invalid = (403, "UnrecognizedClientException", "The security token included in the request is invalid.")
    assert refusal(ask(emulator, signed(stranger))) == invalid
    assert refusal(ask(emulator, signed() | {"Authorization": signed()["Authorization"].lower()}))[0] == 403


@pytest.mark.parametrize("token", [None, "other", "token=", "tökén"])
def test_the_wrong_session_token_is_refused(emulator: Emulator, token: str | None) -> None:
    headers = signed(SESSION)
    del headers["X-Amz-Security-Token"]
    headers |= {"X-Amz-Security-Token": token} if token else {}
    assert refusal(ask(emulator, headers))[1] == "UnrecognizedClientException"


def test_a_session_token_with_a_key_that_has_none_is_refused(emulator: Emulator) -> None:
    headers = signed(Credentials(access_key_id=KEY, secret_access_key=SECRET, session_token="token"))
    assert refusal(ask(emulator, headers))[1] == "UnrecognizedClientException"


def test_an_expired_session_is_refused(emulator: Emulator, wall_clock: Any) -> None:
    expired = (403, "ExpiredTokenException", "The security token included in the request is expired")
    assert refusal(ask(emulator, signed(EXPIRED))) == expired
    assert ask(emulator, signed(EXPIRING)).status_code == 200
    wall_clock.move_to(NOW + timedelta(seconds=1))
    assert refusal(ask(emulator, signed(EXPIRING))) == expired


def changed(headers: dict[str, str], old: str, new: str) -> dict[str, str]:
    authorization = headers["Authorization"]
    assert old in authorization
    return headers | {"Authorization": authorization.replace(old, new)}


def test_the_wrong_secret_is_refused(emulator: Emulator) -> None:
    wrong = Credentials(access_key_id=KEY, secret_access_key=SECRET + "x")
    assert refusal(ask(emulator, signed(wrong))) == (403, "InvalidSignatureException", MISMATCH)


@pytest.mark.parametrize(
    "change",
    [
        lambda headers: headers | {"Host": "elsewhere"},
        lambda headers: headers | {"X-Amz-Date": "20260301T120001Z"},
        lambda headers: headers | {"X-Amz-Content-SHA256": "0" * 64},
        lambda headers: headers | {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"},
        lambda headers: changed(headers, "host;", "host;x-missing;"),
        lambda headers: changed(headers, headers["Authorization"][-1], "é"),
        lambda headers: headers | {"Authorization": headers["Authorization"][:-1]},
    ],
)
def test_a_header_that_was_changed_on_the_way_is_noticed(
    emulator: Emulator, change: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    _, code, _ = refusal(ask(emulator, change(signed())))
    assert code in ("InvalidSignatureException", "UnrecognizedClientException")


def test_a_changed_path_query_or_body_is_noticed(emulator: Emulator) -> None:
    for target, body in ((path(UNKNOWN), b""), (path() + "?maxResults=1", b""), (path(), b"x")):
        assert refusal(ask(emulator, signed(), target=target, body=body))[2] == MISMATCH


@pytest.mark.parametrize("added", ["?#&maxResults=1", "?#", "#", "?maxResults=1", "?&maxResults=1", "?nextToken"])
def test_nothing_can_be_added_to_a_signed_target(emulator: Emulator, added: str) -> None:
    assert ask(emulator, signed(), target=path() + added).status_code in (403, 404)


def test_a_forged_request_is_in_the_journal_of_the_default_account_only(emulator: Emulator) -> None:
    forged = changed(signed(ACCOUNT), "Signature=", "Signature=0")
    assert ask(emulator, forged).status_code == 403
    assert (len(emulator.calls), len(emulator.account("111111111111").calls)) == (1, 0)
    assert ask(emulator, signed(ACCOUNT)).status_code == 200
    assert (len(emulator.calls), len(emulator.account("111111111111").calls)) == (1, 1)


def test_a_body_over_the_limit_is_refused_although_it_is_signed(emulator: Emulator) -> None:
    body = b"x" * (emulator.settings.max_body + 1)
    assert ask(emulator, signed(body=body), body=body).status_code == 413


def test_a_body_over_the_limit_is_not_read_so_no_signature_is_valid_for_it(emulator: Emulator) -> None:
    body = b"x" * (emulator.settings.max_body + 1)
    headers = signed(ACCOUNT)  # of no body at all, which is all that is read
    assert ask(emulator, headers, body=body).status_code == 413
    assert (len(emulator.calls), len(emulator.account("111111111111").calls)) == (1, 0)


def test_a_header_that_botocore_would_not_sign_is_checked_if_it_is_signed(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(botocore.auth, "SIGNED_HEADERS_BLACKLIST", [])
    headers = signed(User_Agent="curl/8")
    monkeypatch.undo()
    assert "user-agent" in headers["Authorization"]
    assert ask(emulator, headers).status_code == 200
    assert ask(emulator, headers | {"User-Agent": "other"}).status_code == 403


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"service": "s3"}, "Credential should be scoped to correct service: 'medical-imaging'."),
        ({"region": "EU west"}, "Credential should be scoped to a valid region, not 'EU west'."),
    ],
)
def test_the_wrong_scope_is_refused(emulator: Emulator, options: dict[str, str], message: str) -> None:
    assert refusal(ask(emulator, signed(**options))) == (403, "InvalidSignatureException", message)  # type: ignore[arg-type]


def test_the_region_may_be_limited_to_one() -> None:
    emulator = Emulator.from_seed(DEMO, credentials=[PLAIN], region="eu-west-1")
    assert ask(emulator, signed(region="eu-west-1")).status_code == 200
    assert refusal(ask(emulator, signed()))[2] == "Credential should be scoped to a valid region, not 'us-east-1'."


def test_the_wrong_terminator_or_date_is_refused(emulator: Emulator) -> None:
    assert refusal(ask(emulator, changed(signed(), "aws4_request", "aws5"))) == (
        403,
        "InvalidSignatureException",
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'.",
    )
    assert refusal(ask(emulator, changed(signed(), "/20260301/", "/20260302/")))[2] == (
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        "'20260302' != '20260301', from '20260301T120000Z'."
    )


@pytest.mark.parametrize(
    ("skew", "message"),
    [
        (-301, "Signature expired: 20260301T120000Z is now earlier than 20260301T120001Z (20260301T120501Z - 5 min.)"),
        (301, "Signature not yet current: 20260301T120000Z is still later than 20260301T115959Z "
         "(20260301T115459Z + 5 min.)"),
        (-300, None),
        (300, None),
    ],
)  # fmt: skip
def test_skew_counts_by_the_wall_clock(emulator: Emulator, wall_clock: Any, skew: int, message: str | None) -> None:
    headers = signed()
    wall_clock.move_to(NOW - timedelta(seconds=skew))
    emulator.clock.freeze("2024-01-01T00:00:00Z")  # plays no part
    response = ask(emulator, headers)
    assert (response.status_code == 200) if message is None else (refusal(response)[2] == message)


def test_the_date_may_be_in_the_header_of_http(emulator: Emulator) -> None:
    headers = signed(Date=format_datetime(NOW))
    assert "X-Amz-Date" not in headers
    assert ask(emulator, headers).status_code == 200
    assert refusal(ask(emulator, headers | {"Date": "yesterday"}))[1] == "IncompleteSignatureException"


def test_only_the_header_of_http_may_have_the_form_of_http(emulator: Emulator) -> None:
    code, message = refusal(ask(emulator, signed() | {"X-Amz-Date": format_datetime(NOW)}))[1:]
    assert code == "IncompleteSignatureException"
    assert message.startswith("Date must be in ISO-8601 'basic format'.")


def test_a_date_without_a_zone_is_in_utc(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    headers = signed(Date=format_datetime(NOW))
    assert headers["Date"].endswith(" -0000")  # as botocore writes it
    response = ask(emulator, headers)
    monkeypatch.undo()
    time.tzset()
    assert response.status_code == 200


WHOLE = "Credential=AKIDEXAMPLE/20260301/us-east-1/medical-imaging/aws4_request, SignedHeaders=host, Signature=00"


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        ("Basic dXNlcjpwYXNz", "Unsupported AWS 'algorithm': 'Basic'."),
        (
            "AWS4-HMAC-SHA256",
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' "
            "parameter. Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4-HMAC-SHA256",
        ),
        (
            f"AWS4-HMAC-SHA256 {WHOLE},",
            f"'' not a valid key=value pair in Authorization header: 'AWS4-HMAC-SHA256 {WHOLE},'.",
        ),
        (
            f"AWS4-HMAC-SHA256 {WHOLE}, nonsense",
            f"'nonsense' not a valid key=value pair in Authorization header: 'AWS4-HMAC-SHA256 {WHOLE}, nonsense'.",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260301/us-east-1/medical-imaging/aws4_request",
            "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' "
            "parameter. Authorization=AWS4-HMAC-SHA256 "
            "Credential=AKIDEXAMPLE/20260301/us-east-1/medical-imaging/aws4_request",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/x, SignedHeaders=host, Signature=00",
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "
            "'AKIDEXAMPLE/x'.",
        ),
    ],
)
def test_a_header_that_cannot_be_parsed_is_refused(emulator: Emulator, authorization: str, message: str) -> None:
    headers = {"Authorization": authorization, "X-Amz-Date": "20260301T120000Z"}
    assert refusal(ask(emulator, headers)) == (403, "IncompleteSignatureException", message)


def test_a_date_is_needed_and_has_one_form(emulator: Emulator) -> None:
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {WHOLE}"}
    assert refusal(ask(emulator, headers))[2] == (
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
        f"Authorization=AWS4-HMAC-SHA256 {WHOLE}"
    )
    for date in ("now", "2026-03-01T12:00:00Z", "20260332T120000Z", "00000101T000000Z"):
        message = f"Date must be in ISO-8601 'basic format'. Got '{date}'."
        assert refusal(ask(emulator, headers | {"X-Amz-Date": date}))[2] == message


def test_the_host_must_be_signed(emulator: Emulator) -> None:
    message = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
    assert refusal(ask(emulator, changed(signed(), "host;", ""))) == (403, "InvalidSignatureException", message)


@pytest.mark.parametrize(
    "authorization",
    [
        f"AWS4-HMAC-SHA256 Credential=222222222222/x, {WHOLE}",
        f"AWS4-HMAC-SHA256 XCredential=222222222222/x, {WHOLE}",
        "AWS4-HMAC-SHA256 SignedHeaders=host;Credential=222222222222/x, " + WHOLE.replace("SignedHeaders=host, ", ""),
    ],
)
def test_an_account_cannot_be_named_beside_the_credential(emulator: Emulator, authorization: str) -> None:
    headers = {"Authorization": authorization, "X-Amz-Date": "20260301T120000Z"}
    assert refusal(ask(emulator, headers))[1] == "IncompleteSignatureException"


def test_a_stranger_makes_no_account(emulator: Emulator) -> None:
    stranger = Credentials(access_key_id="222222222222", secret_access_key="s")
    assert ask(emulator, signed(stranger)).status_code == 403
    assert ask(emulator, signed(ACCOUNT)).status_code == 200
    assert [account.id for account in emulator.accounts] == ["000000000000", "111111111111"]


def test_a_client_in_process_signs_with_the_first_credentials(emulator: Emulator) -> None:
    ids = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}
    account = emulator.client(aws_access_key_id="111111111111")
    for client in (emulator.client(), emulator.client(endpoint_url="http://LOCALHOST:80"), account):
        assert len(client.list_image_set_versions(**ids)["imageSetPropertiesList"]) == 4
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        emulator.client(aws_access_key_id="AKIDSTRANGER").list_image_set_versions(**ids)


@pytest.mark.parametrize("given", [{}, {"aws_session_token": "token=="}])
def test_patched_clients_sign_too(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    emulator = Emulator.from_seed(DEMO, credentials=[SESSION], region="eu-west-1")
    ids = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}
    key = {"aws_access_key_id": SESSION.access_key_id, "aws_secret_access_key": SESSION.secret_access_key}
    options: dict[str, Any] = key | given | {"region_name": "eu-west-1"} if given else {}
    with emulator.patch():
        client = boto3.Session(**options).client("medical-imaging")
        assert client.list_image_set_versions(**ids)["imageSetPropertiesList"]
        for name, value in emulator.signing_variables().items():
            monkeypatch.setenv(name, value)
        assert boto3.Session().client("medical-imaging").list_image_set_versions(**ids)["imageSetPropertiesList"]


def test_the_credentials_of_an_account_or_an_access_key_are_picked() -> None:
    zeros = Credentials(access_key_id="000000000000", secret_access_key="zeros")
    assert pick_credentials([PLAIN, zeros], "000000000000") == zeros
    assert pick_credentials([ACCOUNT, PLAIN], "000000000000") == PLAIN
    assert pick_credentials([PLAIN, zeros], None) == PLAIN
    assert pick_credentials([PLAIN, zeros], "222222222222") is None


def test_the_variables_of_an_account_need_credentials_that_are_its_own() -> None:
    emulator = Emulator.from_seed(DEMO, credentials=[PLAIN, SESSION, ACCOUNT])
    assert emulator.signing_variables("111111111111") == {
        "AWS_ACCESS_KEY_ID": "111111111111",
        "AWS_SECRET_ACCESS_KEY": "s",
    }
    assert emulator.signing_variables(SESSION.access_key_id) == {
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "of/the:session",
        "AWS_SESSION_TOKEN": "token==",
    }
    with pytest.raises(NotFoundError, match=r"^no credential is that of account 222222222222$"):
        emulator.signing_variables("222222222222")
    assert Emulator.from_seed(DEMO).signing_variables("222222222222") == {}


def test_clients_and_children_sign_for_the_region_of_the_settings() -> None:
    emulator = Emulator.from_seed(DEMO, credentials=[PLAIN], region="eu-west-1")
    ids = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}
    assert emulator.client().list_image_set_versions(**ids)["imageSetPropertiesList"]
    with emulator.serve() as server:
        expected = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "eu-west-1"}
        assert server.environment.items() >= expected.items()


@pytest.mark.parametrize(
    ("key", "secret", "token", "member"),
    [
        ("a b", "s", None, "AccessKeyId"),
        ("", "s", None, "AccessKeyId"),
        ("a", "", None, "SecretAccessKey"),
        ("a", "é", None, "SecretAccessKey"),
        ("a", "s\n", None, "SecretAccessKey"),
        ("a", "\udcff", None, "SecretAccessKey"),
        ("a", "s", "a b", "SessionToken"),
        ("a", "s", "", "SessionToken"),
    ],
)
def test_credentials_that_no_client_could_have_are_refused(
    key: str, secret: str, token: str | None, member: str
) -> None:
    given = Credentials(access_key_id=key, secret_access_key=secret, session_token=token)
    message = rf"^invalid credentials: Expected `str` matching regex '.*' - at `\$\[0\]\.{member}`$"
    with pytest.raises(InvalidError, match=message):
        Emulator.from_seed(DEMO, credentials=[given])


def test_an_access_key_cannot_be_given_twice() -> None:
    with pytest.raises(InvalidError, match=r"^invalid credentials: an access key is given twice$"):
        Emulator.from_seed(DEMO, credentials=[PLAIN, PLAIN])


def test_a_region_needs_credentials() -> None:
    message = "region needs credentials: it is compared with the region that a request is signed for"
    with pytest.raises(InvalidError, match=f"^{message}$"):
        Emulator.from_seed(DEMO, region="eu-west-1")


def test_the_secret_is_not_in_the_representation() -> None:
    assert SECRET not in repr(PLAIN)
    assert time.time() == NOW.timestamp()
