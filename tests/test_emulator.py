"""The emulator and its accounts, as a user holds them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, Literal
from urllib.request import urlopen

import pytest
from freezegun import freeze_time

import healthimaging_emulator as emulator_package
from healthimaging_emulator import Emulator, Fault, InvalidError, NotFoundError
from healthimaging_emulator.healthimaging.baseline import Baseline
from healthimaging_emulator.seeds.loader import Seed, load_seed

from .conftest import DEMO
from .demo import DATASTORE, ONE, SAMPLE, UNKNOWN


def newest(emulator: Emulator, account: str | None = None, image_set_id: str = SAMPLE) -> dict[str, Any]:
    options: dict[str, Any] = {"aws_access_key_id": account} if account else {}
    client = emulator.client(**options)
    page = client.list_image_set_versions(datastoreId=DATASTORE, imageSetId=image_set_id)
    return dict(page["imageSetPropertiesList"][0])


def test_an_account_sees_its_own_changes_only(emulator: Emulator) -> None:
    emulator.image_set(DATASTORE, SAMPLE, account="111111111111").append(image_set_state="LOCKED")
    assert newest(emulator, "111111111111")["versionId"] == "5"
    assert [newest(emulator, key)["versionId"] for key in ("222222222222", "AKIAEXAMPLE", None)] == ["4", "4", "4"]


def test_access_keys_that_are_no_account_id_share_the_default_account(emulator: Emulator) -> None:
    emulator.image_set(DATASTORE, SAMPLE).append(image_set_state="LOCKED")
    assert [newest(emulator, key)["versionId"] for key in ("AKIAEXAMPLE", None, "000000000000")] == ["5", "5", "5"]


@pytest.mark.parametrize("id", ["", "1", "x" * 12, "1" * 13, "1" * 12 + "\n"])
def test_an_account_has_12_digits(emulator: Emulator, id: str) -> None:
    with pytest.raises(ValueError, match="12 digits"):
        emulator.image_set(DATASTORE, SAMPLE, account=id)


def test_without_a_seed_it_is_the_demo() -> None:
    assert newest(Emulator.from_seed())["versionId"] == "4"


def test_two_emulators_share_nothing(emulator: Emulator) -> None:
    other = Emulator.from_seed(DEMO)
    emulator.image_set(DATASTORE, SAMPLE).append(image_set_state="LOCKED")
    assert newest(other)["versionId"] == "4"


def test_two_emulators_share_no_fault_call_or_clock(emulator: Emulator) -> None:
    other = Emulator.from_seed(DEMO)
    emulator.faults.add(Fault.error("ConflictException"))
    emulator.clock.freeze(5)
    newest(other)
    assert (len(emulator.faults), len(emulator.calls), emulator.clock.is_frozen) == (1, 0, True)
    assert (len(other.faults), len(other.calls), other.clock.is_frozen) == (0, 1, False)


def test_a_reset_changes_no_other_account(emulator: Emulator) -> None:
    for account in ("000000000000", "111111111111"):
        emulator.image_set(DATASTORE, SAMPLE, account=account).append(image_set_state="LOCKED")
        emulator.account(account).faults.add(Fault.latency(0))
    emulator.reset()
    assert [newest(emulator, account)["versionId"] for account in (None, "111111111111")] == ["4", "5"]
    assert (len(emulator.faults), len(emulator.account("111111111111").faults)) == (0, 1)


def test_versions_are_newest_first(emulator: Emulator) -> None:
    image_set = emulator.image_set(DATASTORE, SAMPLE)
    assert [version.version_id for version in image_set.versions] == ["4", "3", "2", "1"]


def test_a_client_sees_updating_become_updated(emulator: Emulator) -> None:
    image_set = emulator.image_set(DATASTORE, SAMPLE)
    image_set.append(image_set_state="LOCKED", image_set_workflow_status="UPDATING")
    assert newest(emulator)["ImageSetWorkflowStatus"] == "UPDATING"
    image_set.replace("5", image_set_state="ACTIVE", image_set_workflow_status="UPDATED")
    assert newest(emulator)["ImageSetWorkflowStatus"] == "UPDATED"


def test_freezegun_dates_new_versions(emulator: Emulator) -> None:
    with freeze_time("2024-01-01T00:00:00.123Z"):
        emulator.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE")
        emulator.add_image_set(DATASTORE, UNKNOWN)
    assert newest(emulator)["updatedAt"].timestamp() == 1704067200.123
    assert newest(emulator)["createdAt"].timestamp() == 1680027126.436
    added = newest(emulator, image_set_id=UNKNOWN)
    assert added["createdAt"].timestamp() == 1704067200.123
    assert "updatedAt" not in added


def test_an_unknown_image_set_is_not_found(emulator: Emulator) -> None:
    with pytest.raises(NotFoundError) as raised:
        emulator.image_set(DATASTORE, UNKNOWN)
    assert str(raised.value) == f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}."
    with pytest.raises(NotFoundError) as raised:
        emulator.image_set(UNKNOWN, SAMPLE)
    assert str(raised.value) == f"Datastore {UNKNOWN} was not found."


@pytest.mark.parametrize("id", ["", "1", "x" * 12, "1" * 13, "\u0661" * 12, "111111111111\n", 111111111111, None])
def test_an_account_id_has_12_digits(emulator: Emulator, id: Any) -> None:
    with pytest.raises(InvalidError) as raised:
        emulator.account(id)
    assert str(raised.value) == f"invalid account id {id!r}: expected 12 digits"
    assert emulator.accounts == []


def test_accounts_are_those_that_were_asked_for(emulator: Emulator) -> None:
    newest(emulator, "111111111111")
    emulator.account("222222222222")
    assert [account.id for account in emulator.accounts] == ["111111111111", "222222222222"]


def test_an_unknown_part_cannot_be_reset(emulator: Emulator) -> None:
    scope: Any = "everything"
    with pytest.raises(InvalidError) as raised:
        emulator.reset(scope)
    assert str(raised.value) == "invalid scope 'everything': expected one of changes, faults, calls, clock"


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ("changes", (0, 1, 1, True)),
        ("faults", (1, 0, 1, True)),
        ("calls", (1, 1, 0, True)),
        ("clock", (1, 1, 1, False)),
    ],
)
def test_a_reset_may_be_of_one_part(
    emulator: Emulator, scope: Literal["changes", "faults", "calls", "clock"], left: tuple[int, int, int, bool]
) -> None:
    image_set = emulator.image_set(DATASTORE, SAMPLE)
    image_set.append(image_set_state="ACTIVE")
    emulator.faults.add(Fault.latency(0))
    newest(emulator)
    emulator.clock.freeze()
    emulator.reset(scope)
    changes = len(image_set.versions) - 4
    assert (changes, len(emulator.faults), len(emulator.calls), emulator.clock.is_frozen) == left


def test_a_reset_returns_to_the_seed_that_was_put_last(emulator: Emulator) -> None:
    emulator.account().put_seed({"datastores": [{"datastoreId": DATASTORE}], "faults": [{"latency": {"seconds": 0}}]})
    emulator.faults.clear()
    emulator.add_image_set(DATASTORE, UNKNOWN)
    emulator.reset()
    assert len(emulator.faults) == 1
    with pytest.raises(NotFoundError):
        emulator.image_set(DATASTORE, UNKNOWN)
    assert SAMPLE in emulator.seed.baseline[DATASTORE]


def test_a_seed_that_is_replaced_is_that_of_all_accounts(emulator: Emulator) -> None:
    emulator.image_set(DATASTORE, SAMPLE).append(image_set_state="LOCKED")
    emulator.account("111111111111").put_seed({})
    emulator.replace_seed(
        load_seed({"datastores": [{"datastoreId": DATASTORE}], "faults": [{"latency": {"seconds": 0}}]})
    )
    for id in ("000000000000", "111111111111", "222222222222"):
        account = emulator.account(id)
        assert (account.store.snapshot(), len(account.faults)) == ({DATASTORE: {}}, 1)


def test_an_account_that_is_made_while_the_seed_is_replaced_has_the_new_one() -> None:
    class Interrupted(tuple[Fault, ...]):
        """Faults that are read while the account is made."""

        def __iter__(self) -> Iterator[Fault]:
            if replacing.ident is None:
                replacing.start()
                replacing.join(0.1)  # it must wait for the account
            return super().__iter__()

    emulator = Emulator(Seed(Baseline({DATASTORE: {}}), Interrupted()))
    replacing = threading.Thread(target=emulator.replace_seed, args=[Seed(Baseline())])
    account = emulator.account()
    replacing.join()
    assert account.store.snapshot() == {}


def test_a_mapping_is_a_seed() -> None:
    image_sets = [{"imageSetId": ONE, "generate": {"versions": 3}}]
    emulator = Emulator.from_seed({"datastores": [{"datastoreId": DATASTORE, "imageSets": image_sets}]})
    assert newest(emulator, image_set_id=ONE)["versionId"] == "3"


def test_flasks_test_client_reaches_the_app(emulator: Emulator) -> None:
    response = emulator.app.test_client().post(f"/datastore/{DATASTORE}/imageSet/{SAMPLE}/listImageSetVersions")
    assert (response.status_code, len(response.json["imageSetPropertiesList"])) == (200, 4)  # type: ignore[index]


def test_flasks_test_client_gets_the_errors_of_the_service(emulator: Emulator) -> None:
    client = emulator.app.test_client()
    for method, target in (("GET", "/x/"), ("OPTIONS", "/"), ("PUT", "//a//b")):
        response = client.open(target, method=method)
        assert (response.status_code, response.headers["x-amzn-ErrorType"]) == (404, "UnknownOperationException")


SERVED = """
import sys
from urllib.request import urlopen
import healthimaging_emulator.cli
from healthimaging_emulator import Emulator

with Emulator.from_seed(cors_origins=["*"]).serve() as server:
    for path in ("/datastore", "/_emulator/calls", "/datastore"):
        print(path, urlopen(server.url + path).status, "flask" in sys.modules)
"""


def test_a_server_imports_flask_when_the_control_api_is_first_used() -> None:
    """Importing it takes a third of the start."""
    said = subprocess.run([sys.executable, "-c", SERVED], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["/datastore 200 False", "/_emulator/calls 200 True", "/datastore 200 True"]


def test_a_server_sends_every_request_through_an_app_that_was_used_before() -> None:
    emulator, seen = Emulator.from_seed(), []
    service = emulator.app.wsgi_app

    def middleware(environ: dict[str, Any], start_response: Any) -> Any:
        seen.append(environ["PATH_INFO"])
        return service(environ, start_response)

    emulator.app.wsgi_app = middleware  # type: ignore[method-assign]  # as Flask documents it
    with emulator.serve() as server:
        for path in ("/datastore", "/_emulator/calls"):
            urlopen(server.url + path).close()
    assert seen == ["/datastore", "/_emulator/calls"]


def test_every_public_name_is_loaded_and_no_other() -> None:
    for name in emulator_package.__all__:
        assert getattr(emulator_package, name).__name__ == name
    unknown = "Nothing"
    with pytest.raises(AttributeError) as raised:
        getattr(emulator_package, unknown)
    assert str(raised.value) == "module 'healthimaging_emulator' has no attribute 'Nothing'"


def test_threads_may_be_the_first_to_use_the_public_names() -> None:
    program = """
import threading
import healthimaging_emulator as emulator
start = threading.Barrier(4)
def use(name):
    start.wait()
    getattr(emulator, name)
names = ("Emulator", "Call", "Fault", "RemoteAccount")
threads = [threading.Thread(target=use, args=[name]) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    for _ in range(3):
        finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert finished.stderr == ""
    assert set(emulator_package.__all__) <= set(dir(emulator_package))


@pytest.mark.parametrize("seed", ["demo.json", {}, None])
def test_a_seed_that_is_not_loaded_is_refused_at_once(seed: Any) -> None:
    with pytest.raises(TypeError) as raised:
        Emulator(seed)
    assert str(raised.value) == f"expected a loaded seed, not {seed!r}: use Emulator.from_seed({seed!r})"
