"""Each effect, as it stands on the wire and as boto3 takes it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, PaginationError, ReadTimeoutError

from healthimaging_emulator import Emulator, Fault, Rule
from tests.conftest import DEMO
from tests.demo import DATASTORE, MANY, SAMPLE, path

IDS = {"datastoreId": DATASTORE, "imageSetId": MANY}
TARGET = path(MANY)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Keep boto3 from sleeping between its attempts, and note how long it would have."""
    noted: list[float] = []
    monkeypatch.setattr("time.sleep", noted.append)
    return noted


def client(emulator: Emulator, mode: str = "standard", attempts: int | None = None) -> Any:
    retries: dict[str, Any] = {"mode": mode} | ({"total_max_attempts": attempts} if attempts else {})
    return emulator.client(config=Config(retries=retries))


def list_all(emulator: Emulator, **config: Any) -> list[list[int]]:
    """List as most programs do, and return the versions of each page."""
    pages = client(emulator, **config).get_paginator("list_image_set_versions").paginate(**IDS)
    return [[int(entry["versionId"]) for entry in page["imageSetPropertiesList"]] for page in pages]


def raw(emulator: Emulator, token: str | None = None, size: int = 50, **headers: str) -> Any:
    query = {"maxResults": size} | ({"nextToken": token} if token else {})
    return emulator.app.test_client().post(TARGET, query_string=query, headers=headers)


def numbers(response: Any) -> list[int]:
    return [int(entry["versionId"]) for entry in response.json["imageSetPropertiesList"]]


FIRST, SECOND, THIRD = list(range(137, 87, -1)), list(range(87, 37, -1)), list(range(37, 0, -1))


# Errors.

AWS = "arn:aws:medical-imaging:us-east-1:000000000000"
ERRORS = {
    "ThrottlingException": (429, "Rate exceeded"),
    "InternalServerException": (500, "An unexpected error occurred during processing of the request."),
    "ConflictException": (
        409,
        "Requested ImageSet metadata is not consistent yet. Please retry after a few seconds.",
    ),
    "AccessDeniedException": (
        403,
        "User: arn:aws:iam::000000000000:user/emulator is not authorized to perform: "
        f"medical-imaging:ListImageSetVersions on resource: {AWS}:datastore/{DATASTORE}/imageset/{MANY}",
    ),
    "ValidationException": (400, "The request does not satisfy the constraints of the service."),
    "ResourceNotFoundException": (404, f"ImageSet {MANY} was not found in Datastore {DATASTORE}."),
}
RETRIED = {"ThrottlingException", "InternalServerException"}
ATTEMPTS = {"legacy": 5, "standard": 3, "adaptive": 3}


@pytest.mark.parametrize("mode", ATTEMPTS)
@pytest.mark.parametrize("page", [1, 2])
@pytest.mark.parametrize("code", ERRORS)
def test_an_error_on_a_page(emulator: Emulator, pauses: list[float], code: str, page: int, mode: str) -> None:
    emulator.faults.add(Fault.error(code, page=page))
    boto3, listed = client(emulator, mode), []
    with pytest.raises(getattr(boto3.exceptions, code)) as raised:
        listed.extend(boto3.get_paginator("list_image_set_versions").paginate(**IDS))
    status, message = ERRORS[code]
    response = raised.value.response
    assert (response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]) == (message, status)
    call, attempts = emulator.calls[-1], ATTEMPTS[mode] if code in RETRIED else 1
    assert [attempt.code for attempt in call.attempts] == [code] * attempts
    assert [attempt.number for attempt in call.attempts] == list(range(1, attempts + 1))
    assert (call.page, call.retry_mode, call.outcome, len(emulator.calls)) == (page, mode, code, page)
    assert len(pauses) >= attempts - 1


@pytest.mark.parametrize("code", ERRORS)
def test_an_error_on_the_wire(emulator: Emulator, code: str) -> None:
    emulator.faults.add(Fault.error(code, id="mine"))
    response = raw(emulator)
    status, message = ERRORS[code]
    assert (response.status_code, response.json) == (status, {"message": message})
    assert response.headers["x-amzn-ErrorType"] == code
    assert response.headers["x-emulator-fault"] == "mine"
    assert response.content_type == "application/json"


def test_throttled_twice_then_fine(emulator: Emulator, pauses: list[float]) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", page=2, times=2))
    assert list_all(emulator) == [FIRST, SECOND, THIRD]
    first, second, third = emulator.calls
    assert [attempt.code for attempt in second.attempts] == ["ThrottlingException", "ThrottlingException", None]
    assert (second.outcome, second.page, len(pauses)) == ("Success", 2, 2)
    assert [len(first.attempts), len(third.attempts)] == [1, 1]
    assert len({call.invocation_id for call in emulator.calls}) == 3


def test_an_attempt_can_be_matched(emulator: Emulator, pauses: list[float]) -> None:
    emulator.faults.add(Fault.error("InternalServerException", attempt=[1, 2]))
    assert list_all(emulator) == [FIRST, SECOND, THIRD]
    assert [len(call.attempts) for call in emulator.calls] == [3, 3, 3]
    assert len(pauses) == 6


def test_a_message_and_a_code_of_ones_own(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ServiceQuotaExceededException", "Too {many}.", status=402))
    with pytest.raises(ClientError, match=r"ServiceQuotaExceededException\).*: Too \{many\}\.$"):
        list_all(emulator)
    assert raw(emulator).status_code == 402


def test_a_region_is_that_of_the_credential(emulator: Emulator) -> None:
    emulator.account("111111111111").faults.add(Fault.error("AccessDeniedException"))
    boto3 = emulator.client(region_name="eu-west-1", aws_access_key_id="111111111111")
    with pytest.raises(ClientError, match="arn:aws:medical-imaging:eu-west-1:111111111111:datastore"):
        boto3.list_image_set_versions(**IDS)


def test_retry_after_is_sent_in_seconds_and_milliseconds(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", retry_after=1.5))
    headers = raw(emulator).headers
    assert (headers["Retry-After"], headers["x-amz-retry-after"]) == ("2", "1500")


@pytest.mark.newest_boto3
def test_boto3_obeys_retry_after(emulator: Emulator, pauses: list[float]) -> None:
    emulator.faults.add(Fault.error("ThrottlingException", retry_after=1.5, times=1, page=1))
    assert list_all(emulator) == [FIRST, SECOND, THIRD]
    assert pauses == [1.5]


def test_an_error_comes_before_validation(emulator: Emulator) -> None:
    emulator.faults.add(Fault.error("ThrottlingException"))
    assert raw(emulator, size=99).status_code == 429


def test_a_rate(emulator: Emulator) -> None:
    emulator.clock.freeze()
    emulator.faults.add(Fault.rate(per_second=25, burst=50))
    assert [raw(emulator).status_code for _ in range(60)] == [200] * 50 + [429] * 10
    emulator.clock.advance(0.2)
    assert [raw(emulator).status_code for _ in range(6)] == [200] * 5 + [429]


# Pages: on the wire, and what the paginator of boto3 makes of it.


def test_repeat_token(emulator: Emulator) -> None:
    emulator.faults.add(Fault.page("repeat-token"))
    second = raw(emulator, token := raw(emulator).json["nextToken"])
    assert (numbers(second), second.json["nextToken"]) == (SECOND, token)
    with pytest.raises(PaginationError, match="same next token was received twice"):
        list_all(emulator)


def test_cycle(emulator: Emulator) -> None:
    emulator.faults.add(Fault.page("cycle"))
    second = raw(emulator, token := raw(emulator).json["nextToken"])
    third = raw(emulator, second.json["nextToken"])
    assert (numbers(third), third.json["nextToken"]) == (THIRD, token)
    pages = iter(client(emulator).get_paginator("list_image_set_versions").paginate(**IDS))
    seen = [int(next(pages)["imageSetPropertiesList"][0]["versionId"]) for _ in range(7)]
    assert seen == [137, 87, 37, 87, 37, 87, 37]  # and so on, for ever


def test_cycle_with_small_pages(emulator: Emulator) -> None:
    emulator.faults.add(Fault.page("cycle", page=4))
    tokens, token = [], None
    for _ in range(6):
        response = raw(emulator, token, size=10)
        token = response.json["nextToken"]
        tokens.append((numbers(response)[0], token))
    assert [first for first, _ in tokens] == [137, 127, 117, 107, 117, 107]


def test_empty_page(emulator: Emulator) -> None:
    emulator.faults.add(Fault.page("empty-page", page=2))
    second = raw(emulator, raw(emulator).json["nextToken"])
    assert numbers(second) == []
    assert numbers(raw(emulator, second.json["nextToken"])) == THIRD
    assert list_all(emulator) == [FIRST, [], THIRD]


def test_drop_token(emulator: Emulator) -> None:
    emulator.faults.add(Fault.page("drop-token", page=2))
    second = raw(emulator, raw(emulator).json["nextToken"])
    assert (numbers(second), "nextToken" in second.json) == (SECOND, False)
    assert list_all(emulator) == [FIRST, SECOND]


def test_duplicate_item(emulator: Emulator) -> None:
    emulator.faults.add(Fault.page("duplicate-item", page=3))
    assert list_all(emulator) == [FIRST, SECOND, [37, *THIRD]]


def test_skip_item(emulator: Emulator) -> None:
    emulator.faults.add(Fault.page("skip-item", page=1))
    assert list_all(emulator) == [FIRST[:-1], SECOND, THIRD]


def test_stale_token(emulator: Emulator) -> None:
    emulator.faults.add(Fault.page("stale-token", page=2))
    second = raw(emulator, raw(emulator).json["nextToken"])
    assert numbers(second) == SECOND
    assert raw(emulator, second.json["nextToken"]).json == {"message": "Invalid nextToken."}
    with pytest.raises(ClientError, match=r"\(ValidationException\).*Invalid nextToken\."):
        list_all(emulator)


@pytest.mark.parametrize("effect", ["stale-token", "drop-token"])
def test_the_last_page_has_no_token_to_change(emulator: Emulator, effect: Any) -> None:
    emulator.faults.add(Fault.page(effect, page=3))
    assert list_all(emulator) == [FIRST, SECOND, THIRD]


# Bodies: on the wire, and what boto3 makes of it.


def body_of_page_2(emulator: Emulator, rule: Rule) -> Any:
    plain = raw(emulator, token := raw(emulator).json["nextToken"])
    emulator.faults.add(rule)
    spoilt = raw(emulator, token)
    assert spoilt.status_code == 200
    assert int(spoilt.headers["Content-Length"]) == len(spoilt.data)
    return plain, spoilt


def test_truncate_loses_the_rest_in_silence(emulator: Emulator) -> None:
    plain, spoilt = body_of_page_2(emulator, Fault.body("truncate", page=2))
    assert spoilt.data == plain.data[: len(plain.data) // 2]
    with pytest.raises(json.JSONDecodeError):
        json.loads(spoilt.data)
    emulator.calls.clear()
    with pytest.raises(KeyError, match="imageSetPropertiesList"):
        list_all(emulator)
    assert [len(call.attempts) for call in emulator.calls] == [1, 1]  # no retry
    assert list_pages_leniently(emulator) == [FIRST, []]


def list_pages_leniently(emulator: Emulator) -> list[list[int]]:
    """List as a program does that takes an absent list for an empty one."""
    pages = client(emulator).get_paginator("list_image_set_versions").paginate(**IDS)
    return [[int(entry["versionId"]) for entry in page.get("imageSetPropertiesList", [])] for page in pages]


def test_the_silent_loss_with_build_full_result(emulator: Emulator) -> None:
    emulator.faults.add(Fault.body("truncate", page=2))
    result = client(emulator).get_paginator("list_image_set_versions").paginate(**IDS).build_full_result()
    assert [int(entry["versionId"]) for entry in result["imageSetPropertiesList"]] == FIRST
    assert "NextToken" not in result


@pytest.mark.parametrize(
    ("effect", "content"),
    [
        ("empty", b""),
        ("not-json", b"This is not JSON."),
        ("html", b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
    ],
)
def test_no_json(emulator: Emulator, effect: Any, content: bytes) -> None:
    _, spoilt = body_of_page_2(emulator, Fault.body(effect, page=2))
    assert spoilt.data == content
    assert spoilt.content_type == ("text/html" if effect == "html" else "application/json")
    assert list_pages_leniently(emulator) == [FIRST, []]


def test_missing_member(emulator: Emulator) -> None:
    plain, spoilt = body_of_page_2(emulator, Fault.body("missing-member", page=2))
    assert spoilt.json == {"nextToken": plain.json["nextToken"]}
    with pytest.raises(KeyError, match="imageSetPropertiesList"):
        list_all(emulator)


def test_unknown_enum(emulator: Emulator) -> None:
    _, spoilt = body_of_page_2(emulator, Fault.body("unknown-enum", page=2))
    for entry in spoilt.json["imageSetPropertiesList"]:
        assert (entry["imageSetState"], entry["ImageSetWorkflowStatus"]) == ("UNKNOWN_VALUE", "UNKNOWN_VALUE")
    pages = client(emulator).get_paginator("list_image_set_versions").paginate(**IDS)
    assert list(pages)[1]["imageSetPropertiesList"][0]["imageSetState"] == "UNKNOWN_VALUE"


def test_unknown_member(emulator: Emulator) -> None:
    plain, spoilt = body_of_page_2(emulator, Fault.body("unknown-member", page=2))
    assert spoilt.json["unknownMember"] == "unknown"
    entry = {"unknownMember": "unknown"}
    assert spoilt.json["imageSetPropertiesList"] == [each | entry for each in plain.json["imageSetPropertiesList"]]
    assert list_all(emulator) == [FIRST, SECOND, THIRD]


def test_iso_timestamps(emulator: Emulator) -> None:
    emulator.faults.add(Fault.body("iso-timestamps"))
    newest = emulator.app.test_client().post(path(SAMPLE)).json["imageSetPropertiesList"][0]  # type: ignore[index]
    assert (newest["createdAt"], newest["updatedAt"]) == ("2023-03-28T18:12:06.436Z", "2023-03-28T18:50:36.304Z")
    page = client(emulator).list_image_set_versions(datastoreId=DATASTORE, imageSetId=SAMPLE)
    assert page["imageSetPropertiesList"][0]["createdAt"].timestamp() == 1680027126.436  # boto3 takes it


def test_a_body_effect_leaves_an_error_alone(emulator: Emulator) -> None:
    emulator.faults.add(Fault.body("html"))
    response = raw(emulator, size=99)
    assert (response.status_code, response.content_type) == (400, "application/json")
    assert response.headers["x-emulator-fault"] == "fault-1"


# Connections, in process; on a socket in ``tests/reach/test_connection_faults``.


@pytest.mark.parametrize(
    ("effect", "error"),
    [("reset", ConnectionClosedError), ("close", ConnectionClosedError), ("stall", ReadTimeoutError)],
)
def test_a_broken_connection_in_process(
    emulator: Emulator, pauses: list[float], effect: Any, error: type[Exception]
) -> None:
    emulator.faults.add(Fault.connection(effect, page=2))
    with pytest.raises(error):
        list_all(emulator)
    first, second = emulator.calls
    assert first.outcome == "Success"
    assert second.outcome == "NoAnswer"
    assert [(attempt.status, attempt.code, attempt.faults) for attempt in second.attempts] == [
        (None, None, ["fault-1"])
    ] * 3
    assert len(pauses) == 2


def test_cut_in_process_is_a_silent_loss(emulator: Emulator) -> None:
    emulator.faults.add(Fault.connection("cut", page=2))
    assert list_pages_leniently(emulator) == [FIRST, []]
    assert [len(call.attempts) for call in emulator.calls] == [1, 1]


def test_a_connection_rule_without_the_emulators_server(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    emulator.faults.add(Fault.connection("reset"))
    assert raw(emulator).status_code == 500
    assert "only the emulator's own server" in caplog.text


# Delays.


def test_a_virtual_delay_is_recorded(emulator: Emulator) -> None:
    emulator.clock.freeze(1000)
    emulator.faults.add(Fault.delay(3600), Fault.error("ConflictException", page=2))
    with pytest.raises(ClientError, match="ConflictException"):
        list_all(emulator)
    assert [[attempt.delay for attempt in call.attempts] for call in emulator.calls] == [[3600], [3600]]
    assert [attempt.faults for attempt in emulator.calls[-1].attempts] == [["fault-1", "fault-2"]]
    assert emulator.clock.now() == 1000


# All kinds together.

ALL_KINDS = [
    Fault.error("ThrottlingException", times=1, page=2, retry_after=0.5),
    Fault.rate(per_second=1, burst=12),
    Fault.delay(2, jitter=1, every=2, seed=5),
    Fault.page("duplicate-item", page=2, probability=0.5, seed=3),
    Fault.body("unknown-member", every=3),
    Fault.connection("reset", skip=4, times=1),
    Fault.connection("stall", skip=5, times=1, seconds=600),
]


def journal() -> bytes:
    emulator = Emulator.from_seed(DEMO)
    emulator.clock.freeze(1700000000)
    emulator.faults.add(*ALL_KINDS)
    for _ in range(5):
        with suppress(ClientError, ConnectionClosedError, ReadTimeoutError):
            list_all(emulator)
        emulator.clock.advance(1)
    calls = msgspec.to_builtins(list(emulator.calls))
    assert len({rule.id for rule in emulator.faults if rule.fired}) == len(ALL_KINDS)
    for call in calls:
        del call["invocationId"]
    return msgspec.json.encode(calls)


def test_two_runs_under_a_frozen_clock_have_the_same_journal(pauses: list[float]) -> None:
    assert journal() == journal()
    assert pauses
