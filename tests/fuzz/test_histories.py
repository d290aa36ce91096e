"""Two accounts take steps in any order, and their lists are always those of a model of some lines.

The same steps run in this process and over HTTP, each time through boto3.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from healthimaging_emulator import Emulator, Fault, RemoteAccount
from healthimaging_emulator.transports.environment import make_endpoint
from tests.conftest import DEMO
from tests.demo import DATASTORE, FIFTY_ONE, SAMPLE

ACCOUNTS = ["111111111111", "222222222222"]
IMAGE_SETS = [SAMPLE, FIFTY_ONE]
START = 1700000000.0
ONCE = Config(retries={"total_max_attempts": 1})

UPDATE_SECONDS = 2.0
"""Seconds that an update takes."""

Version = tuple[str, str, float | None]
"""The number of a version, its state, and when it changed."""


class Model:
    """One account."""

    def __init__(self, seed: dict[str, list[Version]]) -> None:
        self.now = START
        self.histories = {id: list(versions) for id, versions in seed.items()}
        self.pending: list[tuple[float, Callable[[], None]]] = []
        self.faults: dict[str, list[Any]] = {}  # the image set that one matches, and how often it will still fire
        self.calls = 0

    def change(self, id: str, number: str | None, state: str, after: float) -> None:
        due = self.now + after

        def make() -> None:
            history = self.histories[id]
            version = (number or str(len(history) + 1), state, due if number != "1" else None)
            history[int(version[0]) - 1 :] = [version, *history[int(version[0]) :]]

        self.pending.append((due, make))
        self.settle()

    def update(self, id: str) -> str | None:
        """Begin an update, and return the code of its refusal."""
        history, due = self.histories[id], self.now + UPDATE_SECONDS
        if history[-1][1] != "ACTIVE":
            return "ConflictException" if history[-1][1] == "LOCKED" else "ResourceNotFoundException"
        begun = (str(len(history) + 1), "LOCKED", self.now)
        history.append(begun)

        def end() -> None:
            if self.histories[id][-1] is begun:  # a test may have put something else there
                self.histories[id][-1] = (begun[0], "ACTIVE", due)

        self.pending.append((due, end))
        return None

    def settle(self) -> None:
        for due, make in sorted(self.pending, key=lambda each: each[0]):
            if due <= self.now:
                make()
        self.pending = [each for each in self.pending if each[0] > self.now]

    def throttles(self, id: str) -> bool:
        self.calls += 1
        fires = next((fault for fault in self.faults.values() if fault[0] in (None, id) and fault[1]), None)
        if fires:
            fires[1] -= 1
        return bool(fires)


accounts, image_sets = st.sampled_from(ACCOUNTS), st.sampled_from(IMAGE_SETS)
states, pauses = st.sampled_from(["ACTIVE", "LOCKED", "DELETED"]), st.sampled_from([0, 1, 1, 5])
sizes = st.one_of(st.none(), st.integers(1, 50))


class InProcess(RuleBasedStateMachine):
    """Steps on an emulator, and on the model."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        self.emulator = Emulator.from_seed(DEMO, transition_reads=None, transition_seconds=UPDATE_SECONDS)
        self.views: dict[str, Any] = {account: self.view(account) for account in ACCOUNTS}
        self.clients = {account: self.client(account) for account in ACCOUNTS}
        self.seed: dict[str, list[Version]] = {
            id: [
                (version.version_id, version.image_set_state, version.updated_at)
                for version in reversed(self.emulator.image_set(DATASTORE, id).versions)
            ]
            for id in IMAGE_SETS
        }
        self.models = {account: Model(self.seed) for account in ACCOUNTS}
        self.tokens: list[tuple[str, str, str, int]] = []
        for view in self.views.values():
            view.clock.freeze(START)

    def teardown(self) -> None:
        """Wait until nothing is pending, and compare every history once more."""
        with self.closing:
            for account in ACCOUNTS:
                self.views[account].faults.clear()
                self.models[account].faults.clear()
                self.advance(account, 5)
                for id in IMAGE_SETS:
                    self.list_all(account, id, 7, 11)

    def view(self, account: str) -> Any:
        return self.emulator.account(account)

    def client(self, account: str) -> Any:
        return self.emulator.client(aws_access_key_id=account, config=ONCE)

    @rule(account=accounts, id=image_sets, state=states, after=pauses)
    def append(self, account: str, id: str, state: str, after: float) -> None:
        self.models[account].change(id, None, state, after)
        self.views[account].image_set(DATASTORE, id).append(image_set_state=state, after=after)

    @rule(account=accounts, id=image_sets, state=states, after=pauses, which=st.integers(0, 1000))
    def replace(self, account: str, id: str, state: str, after: float, which: int) -> None:
        number = str(1 + which % len(self.models[account].histories[id]))
        self.models[account].change(id, number, state, after)
        self.views[account].image_set(DATASTORE, id).replace(number, image_set_state=state, after=after)

    @rule(account=accounts, seconds=st.sampled_from([0.5, 1, 5]))
    def advance(self, account: str, seconds: float) -> None:
        self.views[account].clock.advance(seconds)
        self.models[account].now += seconds
        self.models[account].settle()

    @rule(account=accounts, id=st.one_of(st.none(), image_sets), times=st.integers(1, 3))
    def add_fault(self, account: str, id: str | None, times: int) -> None:
        match: Any = {"image_set_id": id} if id else {}
        (added,) = self.views[account].faults.add(Fault.error("ThrottlingException", times=times, **match))
        self.models[account].faults[added.id] = [id, times]

    @precondition(lambda self: any(model.faults for model in self.models.values()))
    @rule(data=st.data())
    def remove_fault(self, data: st.DataObject) -> None:
        there = [(account, id) for account, model in self.models.items() for id in model.faults]
        account, id = data.draw(st.sampled_from(there))
        self.views[account].faults.remove(id)
        del self.models[account].faults[id]

    @rule(account=accounts, id=image_sets)
    def update(self, account: str, id: str) -> None:
        model = self.models[account]
        latest = str(len(model.histories[id]))
        expected = "ThrottlingException" if model.throttles(id) else model.update(id)
        revert: dict[str, Any] = {"revertToVersionId": "1"}
        code = None
        try:
            answer = self.clients[account].update_image_set_metadata(
                datastoreId=DATASTORE,
                imageSetId=id,
                latestVersionId=latest,
                updateImageSetMetadataUpdates=revert,
            )
            assert (answer["latestVersionId"], answer["imageSetState"]) == model.histories[id][-1][:2]
        except ClientError as error:
            code = error.response["Error"]["Code"]
        assert code == expected

    @rule(account=accounts, at=st.one_of(st.none(), st.sampled_from([1.0, START, 4e9])))
    def set_the_date(self, account: str, at: float | None) -> None:
        """Set the date to another one and back: only the seconds that pass matter."""
        self.views[account].clock.freeze(at)
        self.views[account].clock.freeze(self.models[account].now)

    @rule(account=accounts, forgets=st.booleans())
    def begin_again(self, account: str, forgets: bool) -> None:
        if forgets:
            self.views[account].forget()
            self.views[account] = self.view(account)
        else:
            self.views[account].reset()
        self.views[account].clock.freeze(START)
        self.models[account] = Model(self.seed)

    @rule(account=accounts, id=image_sets, first=sizes, size=sizes)
    def list_all(self, account: str, id: str, first: int | None, size: int | None) -> None:
        listed, token = self.page(account, id, "", first)
        while token:
            more, token = self.page(account, id, token, size)
            listed += more
        if listed:
            assert listed == self.models[account].histories[id][::-1]

    @rule(account=accounts, id=image_sets, size=st.integers(1, 3))
    def begin_a_list(self, account: str, id: str, size: int) -> None:
        listed, token = self.page(account, id, "", size)
        if token:
            self.tokens.append((account, id, token, int(listed[-1][0])))

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), size=st.integers(1, 50))
    def go_on_with_a_list(self, data: st.DataObject, size: int) -> None:
        """Below the last version that was listed none is missing, although versions were added or replaced since."""
        account, id, token, last = data.draw(st.sampled_from(self.tokens))
        listed, _ = self.page(account, id, token, size)
        if listed:
            assert listed == self.models[account].histories[id][max(0, last - 1 - size) : last - 1][::-1]

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def use_a_token_elsewhere(self, data: st.DataObject) -> None:
        account, id, token, _ = data.draw(st.sampled_from(self.tokens))
        other = ACCOUNTS[account == ACCOUNTS[0]]
        assert self.page(other, id, token, 5, refusal="ValidationException") == ([], "")

    def page(
        self, account: str, id: str, token: str, size: int | None, refusal: str | None = None
    ) -> tuple[list[Version], str]:
        """List one page, or nothing if it is refused, as the model or the caller expects."""
        expected = "ThrottlingException" if self.models[account].throttles(id) else refusal
        given: dict[str, Any] = {"maxResults": size} if size else {}
        given |= {"nextToken": token} if token else {}
        code = None
        try:
            page = self.clients[account].list_image_set_versions(datastoreId=DATASTORE, imageSetId=id, **given)
        except ClientError as error:
            page, code = {"imageSetPropertiesList": []}, error.response["Error"]["Code"]
        assert code == expected
        entries = page["imageSetPropertiesList"]
        assert len(entries) <= (size or 50)
        return [version(entry) for entry in entries], page.get("nextToken", "")

    @invariant()
    def no_call_is_lost_or_another_accounts(self) -> None:
        for account in ACCOUNTS:
            calls = self.views[account].calls
            assert len(calls) + calls.dropped == self.models[account].calls


def version(entry: dict[str, Any]) -> Version:
    updated = entry.get("updatedAt")
    return entry["versionId"], entry["imageSetState"], updated and updated.timestamp()


class OverHttp(InProcess):
    """The same, on a server."""

    def view(self, account: str) -> Any:
        if not hasattr(self, "server"):
            self.server = self.closing.enter_context(self.emulator.serve())
        return RemoteAccount(self.server.url, account)

    def client(self, account: str) -> Any:
        url = make_endpoint(self.server.url)
        return boto3.client("medical-imaging", "us-east-1", None, None, None, url, account, "secret", config=ONCE)


EXAMPLES = settings.default.max_examples if settings.default else 200
TestInProcess = InProcess.TestCase
TestInProcess.settings = settings(max_examples=EXAMPLES // 2, stateful_step_count=30)
TestOverHttp = OverHttp.TestCase
TestOverHttp.settings = settings(max_examples=EXAMPLES // 8, stateful_step_count=30)
