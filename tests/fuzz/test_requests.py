"""The whole path of a request, for requests that no SDK sends."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthimaging_emulator import Credentials, Emulator, Fault
from healthimaging_emulator.healthimaging.operations import OPERATIONS
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY, SAMPLE, path

from .conftest import ask
from .contract import ANSWERS, UNSIGNED, check
from .strategies import Asked, requests

LATIN = st.text(st.characters(max_codepoint=255), max_size=40)
TOKEN = "v1.88..2." + "A" * 43

segments = st.one_of(
    st.sampled_from(
        ["datastore", "imageSet", "listImageSetVersions", DATASTORE, SAMPLE, MANY, "", ".", "..", "%2F", "%"]
    ),
    st.text(max_size=40).map(lambda text: quote(text, safe="")),
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?# "), max_size=40),
)
paths = st.one_of(
    st.just(path(MANY)),
    st.builds(lambda datastore, image_set: path(image_set, datastore), segments, segments),
    st.builds(
        lambda operation, label: operation.path.replace("{datastoreId}", label).replace("{imageSetId}", SAMPLE),
        st.sampled_from(OPERATIONS),
        segments,
    ),
    st.lists(segments, max_size=8).map(lambda parts: "/" + "/".join(parts)),
    st.builds("{}://{}{}".format, st.sampled_from(["http", "https", "x+y"]), segments, st.just(path())),
)
values = st.one_of(
    st.integers().map(str),
    st.sampled_from(["", "50", "51", "+5", " 5", "5_0", "%D9%A5", "9" * 5000, "-0", "00000000001", TOKEN, TOKEN + "~"]),
    st.text(max_size=60).map(quote),
    LATIN,
)
parameters = st.tuples(st.sampled_from(["maxResults", "nextToken", "datastoreId", "version", "x", ""]), values)
queries = st.one_of(
    st.lists(parameters.map("=".join), max_size=4).map("&".join),
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=60),
)
methods = st.one_of(st.just("POST"), st.sampled_from(["GET", "HEAD", "OPTIONS", "PUT", "post", "TRACE", "X" * 300]))
names = st.sampled_from(
    [
        *("accept", "authorization", "content-type", "host", "user-agent", "x-amz-date", "x-amz-security-token"),
        *("amz-sdk-invocation-id", "amz-sdk-request", "origin", "content-length", "access-control-request-method"),
        *("transfer-encoding", "x-emulator-account", "x-amz-content-sha256", "cookie", "if-none-match", "range"),
    ]
)
contents = st.one_of(
    LATIN,
    st.sampled_from(
        [
            *("application/json", "*/*;q=0", "text/html, */*;q=0.001", "attempt=2; max=3", "attempt=999999999999"),
            *("AWS4-HMAC-SHA256 Credential=111111111111/20260101/us-east-1/medical-imaging/aws4_request, "
              "SignedHeaders=host;x-amz-date, Signature=0", "Credential=111111111111/", "0", "-1", "20260101T000000Z"),
        ]
    ),
)  # fmt: skip
headers = st.lists(st.tuples(names, contents), max_size=6)
bodies = st.one_of(st.just(b""), st.binary(max_size=100))

ARN = f"arn:aws:medical-imaging:us-east-1:000000000000:datastore/{DATASTORE}"
EXAMPLES = settings.default.max_examples if settings.default else 200


@pytest.fixture(scope="module", autouse=True)
def _without_the_log() -> Iterator[None]:
    logging.getLogger("healthimaging_emulator").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("healthimaging_emulator").setLevel(logging.NOTSET)


PLAIN = Emulator.from_seed(DEMO)
STRICT = Emulator.from_seed(DEMO, credentials=[Credentials(access_key_id="111111111111", secret_access_key="s")])
BROWSER = Emulator.from_seed(DEMO, cors_origins=["http://localhost:3000"])
WRITTEN = Emulator.from_seed(DEMO, transition_reads=2, transition_seconds=None)


@given(methods, paths, queries, headers, bodies)
def test_every_answer_is_one_of_the_contracts(
    method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    answer = ask(PLAIN, method, f"{path}?{query}", headers, body)
    if not path.startswith("/_emulator/"):
        check(answer.status, answer.headers, answer.body, is_head=method == "HEAD")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
@settings(max_examples=EXAMPLES // 4)
@given(data=st.data())
def test_every_operation_answers_by_the_contract(operation: Any, data: st.DataObject) -> None:
    WRITTEN.reset()
    asked = data.draw(requests(operation))
    for _ in range(data.draw(st.integers(1, 3))):
        answer = ask(WRITTEN, asked.method, asked.target, [("content-type", "application/json")], asked.body)
        check(answer.status, answer.headers, answer.body)
    assert {call.operation for call in WRITTEN.calls} <= {None, operation.name}


@given(st.lists(requests(), min_size=2, max_size=5))
def test_operations_one_after_another_answer_by_the_contract(asked: list[Asked]) -> None:
    WRITTEN.reset()
    for each in asked:
        answer = ask(WRITTEN, each.method, each.target, [], each.body)
        check(answer.status, answer.headers, answer.body)


@given(
    st.from_regex(r"[!-~]{1,256}", fullmatch=True), st.text(max_size=8192), st.integers(400, 599), st.integers(0, 86400)
)
def test_an_error_of_ones_own_has_the_form_of_the_contract(
    code: str, message: str, status: int, retry_after: int
) -> None:
    emulator = Emulator.from_seed({})
    emulator.faults.add(Fault.error(code, message, status=status, retry_after=retry_after))
    answer = ask(emulator, "POST", path(MANY))
    check(answer.status, answer.headers, answer.body, answers={(status, code)})
    assert json.loads(answer.body) == {"message": message}


@given(methods, paths, queries, headers, bodies)
def test_a_request_that_is_not_signed_gets_no_answer(
    method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    answer = ask(STRICT, method, f"{path}?{query}", headers, body)
    check(answer.status, answer.headers, answer.body, is_head=method == "HEAD", answers=UNSIGNED)


@given(requests())
def test_no_operation_answers_a_request_that_is_not_signed(asked: Asked) -> None:
    answer = ask(STRICT, asked.method, asked.target, [], asked.body)
    check(answer.status, answer.headers, answer.body, answers=UNSIGNED)


@given(methods, paths, queries, headers, bodies)
def test_browsers_get_the_same_answers_and_preflights(
    method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    answer = ask(BROWSER, method, f"{path}?{query}", headers, body)
    if method == "OPTIONS" and answer.status == 204:
        assert "access-control-request-method" in dict(headers)
    else:
        check(answer.status, answer.headers, answer.body, is_head=method == "HEAD")


@given(values, values)
def test_any_parameters_are_answered_by_the_contract(max_results: str, token: str) -> None:
    answer = ask(PLAIN, "POST", f"{path(MANY)}?maxResults={max_results}&nextToken={token}")
    check(answer.status, answer.headers, answer.body)


hosts = st.one_of(LATIN, st.text(st.sampled_from("[]:.@%1a-"), max_size=12), st.just("localhost"))


@given(hosts, st.one_of(st.none(), hosts), st.one_of(st.none(), LATIN), bodies, st.sampled_from([PLAIN, BROWSER]))
def test_the_control_api_lets_in_or_refuses(
    host: str, origin: str | None, content_type: str | None, body: bytes, emulator: Emulator
) -> None:
    headers = [("host", host), *([("origin", origin)] if origin else [])]
    headers += [("content-type", content_type)] if content_type else []
    answer = ask(emulator, "POST", "/_emulator/reset", headers, body)
    assert answer.status in (204, 400, 403)
    assert answer.status == 204 or json.loads(answer.body)["error"]["message"]


@given(st.integers(1, 50), st.lists(st.integers(1, 50), max_size=20))
def test_pages_of_any_sizes_make_the_whole_history(first: int, sizes: list[int]) -> None:
    numbers, token = [], ""
    for size in [first, *sizes, *[50] * 3]:
        target = f"{path(MANY)}?maxResults={size}" + (f"&nextToken={quote(token)}" if token else "")
        answer = ask(PLAIN, "POST", target)
        check(answer.status, answer.headers, answer.body)
        page = json.loads(answer.body)
        numbers += [int(entry["versionId"]) for entry in page["imageSetPropertiesList"]]
        token = page["nextToken"]
        if not token:
            break
    assert numbers == list(range(137, 0, -1))


@given(st.integers(0, 70), st.text(min_size=1, max_size=1), st.booleans())
def test_a_changed_token_is_refused(place: int, letter: str, inserts: bool) -> None:
    first = json.loads(ask(PLAIN, "POST", f"{path(MANY)}?maxResults=7").body)
    token = first["nextToken"]
    changed = token[:place] + letter + token[place + (not inserts) :]
    answer = ask(PLAIN, "POST", f"{path(MANY)}?nextToken={quote(changed)}")
    check(answer.status, answer.headers, answer.body)
    assert answer.status == (200 if changed == token else 400)


def test_the_contract_knows_every_answer_that_is_drawn() -> None:
    """Each answer that the contract allows is reached, so that none of it stands there unused."""
    json_type = [("content-type", "application/json")]
    updating = path(SAMPLE).replace("listImageSetVersions", "updateImageSetMetadata") + "?latestVersion=4"
    revert = b'{"revertToVersionId": "1"}'
    WRITTEN.reset()
    asked = [
        ask(WRITTEN, "POST", updating, json_type, revert),
        ask(WRITTEN, "POST", updating, json_type, revert),
        ask(WRITTEN, "POST", updating, json_type, b"{"),
        ask(WRITTEN, "POST", updating, json_type, b"{}"),
        ask(WRITTEN, "POST", updating, [("content-type", "text/xml")], revert),
        ask(WRITTEN, "POST", updating, json_type, b" " * (1024 * 1024 + 1)),
        ask(WRITTEN, "POST", path("0" * 32)),
        ask(WRITTEN, "DELETE", f"/tags/{ARN}?tagKeys=a"),
        ask(WRITTEN, "POST", "/"),
        ask(WRITTEN, "POST", path(), [("accept", "text/html")]),
    ]
    assert {(each.status, each.headers.get("x-amzn-ErrorType")) for each in asked} == ANSWERS
    for each in asked:
        check(each.status, each.headers, each.body)
