"""A signed request that is changed on its way is refused, or still asks for the same."""

from __future__ import annotations

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from healthimaging_emulator import Credentials, Emulator
from healthimaging_emulator.messages import Response
from tests.conftest import DEMO
from tests.demo import MANY, path

from .conftest import ask

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


def send(target: str, headers: list[tuple[str, str]], body: bytes = b"") -> Response:
    return ask(EMULATOR, "POST", target, [(name.lower(), value) for name, value in headers], body)


@given(st.sampled_from(TARGETS), st.integers(0, 200), pieces, st.integers(0, 3))
def test_a_target_that_is_changed_gets_the_same_answer_or_none(
    target: str, place: int, piece: str, removed: int
) -> None:
    headers = signed(target)
    expected = send(target, headers)
    answer = send(target[:place] + piece + target[place + removed :], headers)
    assert answer.status != 200 or answer.body == expected.body
    assert answer.status < 500


@given(st.integers(0, 400), pieces, st.integers(0, 3), st.binary(max_size=3))
def test_a_header_or_a_body_that_is_changed_is_refused(place: int, piece: str, removed: int, body: bytes) -> None:
    """No account comes into being but that of the key that signed."""
    headers = dict(signed(path(MANY)))
    text = headers["Authorization"]
    headers["Authorization"] = text[:place] + piece + text[place + removed :]
    answer = send(path(MANY), list(headers.items()), body)
    is_same = "".join(headers["Authorization"].split()) == "".join(text.split())
    assert answer.status == 403 or (is_same and not body)
    assert [account.id for account in EMULATOR.accounts if account.id not in ("000000000000", "111111111111")] == []
