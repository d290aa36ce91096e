"""Whatever becomes of a signed request on its way: it is refused, or asks for what was signed."""

from __future__ import annotations

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from healthimaging_emulator import Credentials, Emulator
from healthimaging_emulator.messages import Link
from healthimaging_emulator.server.gateway import Answer, call, environ
from tests.conftest import DEMO
from tests.demo import MANY, path

EMULATOR = Emulator.from_seed(DEMO, credentials=[Credentials(access_key_id="111111111111", secret_access_key="s")])
TARGETS = [path(MANY), path(MANY) + "/", path(MANY) + "?maxResults=7", path(MANY) + "?x=%20&maxResults=7&nextToken"]

pieces = st.one_of(
    st.sampled_from(["", "#", "&", "?", "=", ";", "%", "/", ".", "+", "~", "%23", "%2F", "//", "/./", "/../", "%3D"]),
    st.sampled_from(
        [
            "&maxResults=1",
            "#&maxResults=1",
            "?maxResults=1",
            "maxResults=1&",
            "%26maxResults=1",
            "http://x",
            "?#&maxResults=1",
        ]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=3),
)


def signed(target: str) -> list[tuple[str, str]]:
    request = AWSRequest("POST", f"http://emulator.test{target}", headers={"Host": "emulator.test"})
    SigV4Auth(ReadOnlyCredentials("111111111111", "s", None), "medical-imaging", "us-east-1").add_auth(request)
    return list(request.headers.items())


def ask(target: str, headers: list[tuple[str, str]], body: bytes = b"") -> Answer:
    return call(EMULATOR.app, environ("POST", target, headers, body, host="x", port=80, link=Link()))


@given(st.sampled_from(TARGETS), st.integers(0, 200), pieces, st.integers(0, 3))
def test_a_target_that_is_changed_on_the_way(target: str, place: int, piece: str, removed: int) -> None:
    headers = signed(target)
    expected = ask(target, headers)
    answer = ask(target[:place] + piece + target[place + removed :], headers)
    assert answer.status != 200 or answer.body == expected.body
    assert answer.status < 500


@given(st.integers(0, 400), pieces, st.integers(0, 3), st.binary(max_size=3))
def test_headers_and_bodies_that_are_changed_on_the_way(place: int, piece: str, removed: int, body: bytes) -> None:
    """An account is that of the key that signed, whatever else the header says."""
    headers = dict(signed(path(MANY)))
    text = headers["Authorization"]
    headers["Authorization"] = text[:place] + piece + text[place + removed :]
    answer = ask(path(MANY), list(headers.items()), body)
    is_same = "".join(headers["Authorization"].split()) == "".join(text.split())
    assert answer.status == 403 or (is_same and not body)
    assert [account.id for account in EMULATOR.accounts if account.id not in ("000000000000", "111111111111")] == []
