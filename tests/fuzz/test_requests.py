"""The whole path of a request, with what no SDK sends."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthimaging_emulator import Credentials, Emulator
from healthimaging_emulator.messages import Link
from healthimaging_emulator.server.gateway import Answer, call, environ
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY, SAMPLE, path

from .contract import UNSIGNED, check

LATIN = st.text(st.characters(max_codepoint=255), max_size=40)
TOKEN = "v1.88.2." + "A" * 43

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
    st.lists(segments, max_size=8).map(lambda parts: "/" + "/".join(parts)),
    st.builds("{}://{}{}".format, st.sampled_from(["http", "https", "x+y"]), segments, st.just(path())),
)
values = st.one_of(
    st.integers().map(str),
    st.sampled_from(["", "50", "51", "+5", " 5", "5_0", "%D9%A5", "9" * 5000, "-0", "00000000001", TOKEN, TOKEN + "~"]),
    st.text(max_size=60).map(quote),
    LATIN,
)
parameters = st.tuples(st.sampled_from(["maxResults", "nextToken", "datastoreId", "x", ""]), values)
queries = st.one_of(
    st.lists(parameters.map("=".join), max_size=4).map("&".join),
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=60),
)
methods = st.one_of(st.just("POST"), st.sampled_from(["GET", "HEAD", "OPTIONS", "PUT", "post", "TRACE", "X" * 300]))
names = st.sampled_from(
    [
        *("Accept", "Authorization", "Content-Type", "Host", "User-Agent", "x-amz-date", "x-amz-security-token"),
        *("amz-sdk-invocation-id", "amz-sdk-request", "Origin", "Content-Length", "Access-Control-Request-Method"),
        *("Transfer-Encoding", "x-emulator-account", "x-amz-content-sha256", "Cookie", "If-None-Match", "Range"),
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


def ask(emulator: Emulator, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
    link = Link()
    return call(emulator.app, environ(method, target, headers, body, host="127.0.0.1", port=80, link=link))


@pytest.fixture(scope="module", autouse=True)
def _without_the_log() -> Any:
    logging.getLogger("emulator").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("emulator").setLevel(logging.NOTSET)


PLAIN = Emulator.from_seed(DEMO)
STRICT = Emulator.from_seed(DEMO, credentials=[Credentials(access_key_id="111111111111", secret_access_key="s")])
BROWSER = Emulator.from_seed(DEMO, cors_origins=["http://localhost:3000"])


@given(methods, paths, queries, headers, bodies)
def test_every_answer_is_one_of_the_contracts(
    method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    answer = ask(PLAIN, method, f"{path}?{query}", headers, body)
    if not path.startswith("/_emulator/"):
        check(answer.status, dict(answer.headers), answer.body, is_head=method == "HEAD")


@given(methods, paths, queries, headers, bodies)
def test_nothing_that_is_not_signed_gets_an_answer(
    method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    answer = ask(STRICT, method, f"{path}?{query}", headers, body)
    check(answer.status, dict(answer.headers), answer.body, is_head=method == "HEAD", answers=UNSIGNED)


@given(methods, paths, queries, headers, bodies)
def test_the_same_for_browsers(method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes) -> None:
    answer = ask(BROWSER, method, f"{path}?{query}", headers, body)
    if method == "OPTIONS" and answer.status == 204:
        assert "Access-Control-Request-Method" in dict(headers)
    else:
        check(answer.status, dict(answer.headers), answer.body, is_head=method == "HEAD")


@given(values, values)
def test_any_parameters(max_results: str, token: str) -> None:
    answer = ask(PLAIN, "POST", f"{path(MANY)}?maxResults={max_results}&nextToken={token}", [], b"")
    check(answer.status, dict(answer.headers), answer.body)


hosts = st.one_of(LATIN, st.text(st.sampled_from("[]:.@%1a-"), max_size=12), st.just("localhost"))


@given(hosts, st.one_of(st.none(), hosts), st.one_of(st.none(), LATIN), bodies, st.sampled_from([PLAIN, BROWSER]))
def test_the_control_api_lets_in_or_refuses(
    host: str, origin: str | None, content_type: str | None, body: bytes, emulator: Emulator
) -> None:
    headers = [("Host", host), *([("Origin", origin)] if origin else [])]
    headers += [("Content-Type", content_type)] if content_type else []
    answer = ask(emulator, "POST", "/_emulator/reset", headers, body)
    assert answer.status in (204, 400, 403)
    assert answer.status == 204 or json.loads(answer.body)["error"]["message"]


@given(st.integers(1, 50), st.lists(st.integers(1, 50), max_size=20))
def test_pages_of_any_sizes_make_the_whole_history(first: int, sizes: list[int]) -> None:
    numbers, token = [], ""
    for size in [first, *sizes, *[50] * 3]:
        target = f"{path(MANY)}?maxResults={size}" + (f"&nextToken={quote(token)}" if token else "")
        answer = ask(PLAIN, "POST", target, [], b"")
        check(answer.status, dict(answer.headers), answer.body)
        page = json.loads(answer.body)
        numbers += [int(entry["versionId"]) for entry in page["imageSetPropertiesList"]]
        token = page.get("nextToken", "")
        if not token:
            break
    assert numbers == list(range(137, 0, -1))


@given(st.integers(0, 60), st.text(min_size=1, max_size=1), st.booleans())
def test_a_changed_token_opens_nothing(place: int, letter: str, inserts: bool) -> None:
    first = json.loads(ask(PLAIN, "POST", f"{path(MANY)}?maxResults=7", [], b"").body)
    token = first["nextToken"]
    changed = token[:place] + letter + token[place + (not inserts) :]
    answer = ask(PLAIN, "POST", f"{path(MANY)}?nextToken={quote(changed)}", [], b"")
    check(answer.status, dict(answer.headers), answer.body)
    assert answer.status == (200 if changed == token else 400)
