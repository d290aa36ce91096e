"""An account in this process and one over HTTP have the same interface."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from healthimaging_emulator import (
    Account,
    AccountInterface,
    Clock,
    ConflictError,
    DatastoreHandle,
    Emulator,
    EmulatorError,
    Fault,
    Faults,
    ImageSetHandle,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    RemoteAccount,
)
from healthimaging_emulator.control.client import RemoteClock, RemoteDatastore, RemoteFaults, RemoteImageSet
from healthimaging_emulator.healthimaging.records import Version
from healthimaging_emulator.healthimaging.shapes.image_set import Overrides
from healthimaging_emulator.interfaces import ClockInterface, DatastoreInterface, FaultsInterface, ImageSetInterface
from healthimaging_emulator.seeds.loader import load_seed
from tests.conftest import DEMO
from tests.demo import DATASTORE, FIFTY, MANY, ONE, OTHER_DATASTORE, SAMPLE, UNKNOWN

NO_EFFECT = "a fault needs an effect: error, rateLimit, pagination, corrupt, connection, workflow, respond, latency"


@pytest.fixture
def emulator() -> Emulator:
    return Emulator.from_seed(DEMO, max_faults=2, max_versions=3, max_pending=1)


@pytest.fixture
def client(emulator: Emulator) -> Any:
    return emulator.client()


@pytest.fixture(params=["in process", "over HTTP"])
def account(request: pytest.FixtureRequest, emulator: Emulator) -> Iterator[AccountInterface]:
    if request.param == "in process":
        yield emulator.account()
    else:
        with emulator.serve() as server:
            yield RemoteAccount(server.url)


def check_types(account: Account, remote: RemoteAccount) -> tuple[AccountInterface, AccountInterface]:
    """Let mypy check that both are accounts; each part of an interface is checked with it."""
    return account, remote


@pytest.mark.parametrize(
    ("interface", "classes"),
    [
        (AccountInterface, (Account, RemoteAccount)),
        (FaultsInterface, (Faults, RemoteFaults)),
        (ClockInterface, (Clock, RemoteClock)),
        (DatastoreInterface, (DatastoreHandle, RemoteDatastore)),
        (ImageSetInterface, (ImageSetHandle, RemoteImageSet)),
    ],
)
def test_methods_have_the_same_names_and_parameters(interface: type, classes: tuple[type, ...]) -> None:
    for name, declared in vars(interface).items():
        if inspect.isfunction(declared) and (name[0] != "_" or name in ("__getitem__", "__iter__", "__len__")):
            wanted = list(inspect.signature(declared).parameters.values())
            for each in classes:
                assert list(inspect.signature(getattr(each, name)).parameters.values()) == wanted, (each, name)


def test_an_account_has_every_name_of_the_interface(account: AccountInterface) -> None:
    parts = (
        (AccountInterface, account),
        (FaultsInterface, account.faults),
        (ClockInterface, account.clock),
        (DatastoreInterface, account.datastore(DATASTORE)),
        (ImageSetInterface, account.image_set(DATASTORE, SAMPLE)),
    )
    for interface, part in parts:
        assert {name for name in vars(interface) if name[0] != "_"} <= set(dir(part))


@pytest.mark.parametrize(
    ("refused", "kind", "message"),
    [
        (lambda a: a.faults.add(Fault.latency(-1)), InvalidError, "$[0].latency.seconds: Expected `float` >= 0.0"),
        (lambda a: a.faults.add({}), InvalidError, f"$[0]: {NO_EFFECT}"),
        (
            lambda a: a.faults.add(Fault.latency(0, id="a"), Fault.latency(0, id="a")),
            ConflictError,
            "$[1].id: there is a fault a already",
        ),
        (
            lambda a: a.faults.add(*[Fault.latency(0)] * 3),
            LimitExceededError,
            "limit exceeded: 3 faults, but max_faults is 2",
        ),
        (lambda a: a.faults.remove("x"), NotFoundError, "there is no fault x"),
        (lambda a: a.faults["x y"], NotFoundError, "there is no fault x y"),
        (
            lambda a: a.clock.freeze(-1.5),
            InvalidError,
            "invalid time -1.5: expected a time in the years 1970 to 9999, in epoch seconds",
        ),
        (lambda a: a.clock.advance(-1.5), InvalidError, "invalid step -1.5: expected a number of seconds from 0"),
        (
            lambda a: a.image_set(DATASTORE, UNKNOWN).versions,
            NotFoundError,
            f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}.",
        ),
        (lambda a: a.image_set(UNKNOWN, SAMPLE).versions, NotFoundError, f"Datastore {UNKNOWN} was not found."),
        (
            lambda a: a.image_set(DATASTORE, SAMPLE).replace("9", image_set_state="ACTIVE"),
            NotFoundError,
            f"image set {SAMPLE} has no version 9",
        ),
        (
            lambda a: a.image_set(DATASTORE, SAMPLE).replace(4, image_set_state="ACTIVE"),
            InvalidError,
            "invalid version_id 4: expected a string of digits",
        ),
        (
            lambda a: a.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE", version_id="4"),
            InvalidError,
            "invalid version_id '4': expected more than 4",
        ),
        (
            lambda a: a.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE", metadata={"Study": 1}),
            InvalidError,
            "$.metadata.Study: expected an object",
        ),
        (
            lambda a: [a.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE") for _ in range(4)],
            LimitExceededError,
            "limit exceeded: 4 versions, but max_versions is 3",
        ),
        (
            lambda a: [a.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE", after=9) for _ in range(2)],
            LimitExceededError,
            "limit exceeded: 2 pending, but max_pending is 1",
        ),
        (
            lambda a: a.image_set(DATASTORE, SAMPLE).metadata("9"),
            NotFoundError,
            f"Version 9 of ImageSet {SAMPLE} was not found.",
        ),
        (
            lambda a: a.image_set(DATASTORE, SAMPLE).metadata("x/y"),
            NotFoundError,
            f"Version x/y of ImageSet {SAMPLE} was not found.",
        ),
        (
            lambda a: a.image_set(DATASTORE, SAMPLE).remove_version("9"),
            NotFoundError,
            f"image set {SAMPLE} has no version 9",
        ),
        (
            lambda a: a.image_set(DATASTORE, SAMPLE).remove_version(4),
            InvalidError,
            "invalid version_id 4: expected a string of digits",
        ),
        (
            lambda a: a.image_set(DATASTORE, SAMPLE).metadata(4),
            InvalidError,
            "invalid version_id 4: expected a string of digits",
        ),
        (
            lambda a: a.image_set(DATASTORE, ONE).remove_version("1"),
            InvalidError,
            "version 1 is the only one: remove the image set",
        ),
        (
            lambda a: a.image_set(DATASTORE, UNKNOWN).remove(),
            NotFoundError,
            f"ImageSet {UNKNOWN} was not found in Datastore {DATASTORE}.",
        ),
        (
            lambda a: a.image_set(UNKNOWN, SAMPLE).finish(),
            NotFoundError,
            f"Datastore {UNKNOWN} was not found.",
        ),
        (
            lambda a: list(a.datastore(UNKNOWN).image_sets),
            NotFoundError,
            f"Datastore {UNKNOWN} was not found.",
        ),
        (
            lambda a: a.datastore(DATASTORE).add_image_set(SAMPLE),
            ConflictError,
            f"image set {SAMPLE} is in data store {DATASTORE} already",
        ),
        (
            lambda a: a.add_image_set(DATASTORE, SAMPLE),
            ConflictError,
            f"image set {SAMPLE} is in data store {DATASTORE} already",
        ),
        (
            lambda a: a.add_image_set("x", UNKNOWN),
            InvalidError,
            "invalid data store id 'x': expected 32 digits or lower-case letters",
        ),
        (
            lambda a: a.datastore(DATASTORE).add_image_set("A" * 32),
            InvalidError,
            f"invalid image set id {'A' * 32!r}: expected 32 digits or lower-case letters",
        ),
        (
            lambda a: a.put_seed({"faults": [{}]}),
            InvalidError,
            f"document: $.faults[0]: {NO_EFFECT}",
        ),
        (lambda a: a.put_seed("nowhere.json"), InvalidError, "nowhere.json: No such file or directory"),
    ],
)
def test_refusals_are_of_the_same_kind_and_in_the_same_words(
    account: AccountInterface, refused: Callable[[Any], object], kind: type[EmulatorError], message: str
) -> None:
    with pytest.raises(EmulatorError) as raised:
        refused(account)
    assert (isinstance(raised.value, kind), str(raised.value)) == (True, message)


@pytest.mark.parametrize(
    "refused",
    [
        lambda a: a.clock.freeze(datetime(2024, 1, 1)),
        lambda a: a.clock.freeze("yesterday"),
        lambda a: a.clock.advance("1"),
        lambda a: a.reset("everything"),
        lambda a: a.image_set(DATASTORE, SAMPLE).append(),
        lambda a: a.image_set(DATASTORE, SAMPLE).append(image_set_state="GONE"),
        lambda a: a.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE", unknown=1),
        lambda a: a.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE", after=-1),
        lambda a: a.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE", version_id="9", after=1),
        lambda a: a.image_set(DATASTORE, SAMPLE).append(image_set_state="ACTIVE", metadata="metadata.json"),
        lambda a: a.add_image_set(DATASTORE, "X"),
        lambda a: a.add_image_set("X", SAMPLE),
        lambda a: a.add_image_set(DATASTORE, UNKNOWN, message="\u00e9"),
    ],
)
def test_mistakes_are_invalid_errors(account: AccountInterface, refused: Callable[[Any], object]) -> None:
    with pytest.raises(InvalidError):
        refused(account)
    assert len(account.image_set(DATASTORE, SAMPLE).versions) == 4


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"created_at": datetime(2024, 1, 1, tzinfo=timezone.utc), "image_set_workflow_status": "IMPORTED"},
        {"created_at": "2024-01-01T00:00:00Z", "version_id": "7", "is_primary": True},
        {"overrides": Overrides(forced=True)},
        {"created_at": 1704067200, "image_set_state": "LOCKED", "message": "m", "deleted_at": 5, "updated_at": 6},
    ],
)
def test_an_added_image_set_has_the_same_version(account: AccountInterface, members: Any) -> None:
    account.clock.freeze("2024-01-01T00:00:00Z")
    account.add_image_set(DATASTORE, UNKNOWN, **members)
    expected = Version(
        **{
            "version_id": "1",
            "image_set_state": "ACTIVE",
            "image_set_workflow_status": "CREATED",
            **members,
            "created_at": 1704067200.0,
        }
    )
    assert account.image_set(DATASTORE, UNKNOWN).versions == (expected,)


SMALL = {
    "datastores": [{"datastoreId": DATASTORE, "imageSets": [{"imageSetId": ONE, "generate": {"versions": 1}}]}],
    "faults": [{"id": "b", "latency": {"seconds": 0}}],
}


def test_the_state_of_an_account_is_the_same(account: AccountInterface) -> None:
    account.clock.freeze(1704067200)
    account.faults.add(Fault.error("ThrottlingException", id="a", times=2))
    image_set = account.image_set(DATASTORE, SAMPLE)
    assert image_set.append(image_set_state="LOCKED") == image_set.versions[0]
    assert image_set.replace("5", image_set_state="ACTIVE", after=3) is None
    account.clock.advance(3)
    assert (image_set.versions[0].image_set_state, image_set.versions[0].updated_at) == ("ACTIVE", 1704067203.0)
    assert (account.id, len(account.faults), account.faults["a"].times) == ("000000000000", 1, 2)
    exported = load_seed(json.loads(account.export_seed()))
    assert exported.baseline[DATASTORE][SAMPLE].history == image_set.versions[::-1]
    assert [fault.id for fault in exported.faults] == ["a"]
    account.put_seed(SMALL)
    assert load_seed(json.loads(account.export_seed())) == load_seed(SMALL)
    account.faults.clear()
    account.image_set(DATASTORE, ONE).append(image_set_state="LOCKED")
    account.reset("faults")
    assert ([fault.id for fault in account.faults], len(account.image_set(DATASTORE, ONE).versions)) == (["b"], 2)
    account.reset()
    assert len(account.image_set(DATASTORE, ONE).versions) == 1
    account.forget()
    account.finish_transitions()
    assert (len(account.faults), len(account.calls)) == (0, 0)


# Handles.


def test_data_stores_list_their_image_sets_in_the_order_of_the_ids(account: AccountInterface) -> None:
    first, second = account.datastores
    assert (first.datastore_id, second.datastore_id) == (DATASTORE, OTHER_DATASTORE)
    ids = [image_set.image_set_id for image_set in first.image_sets]
    assert (ids[0], SAMPLE in ids, len(ids)) == (ONE, True, 19)
    assert ids == sorted(ids)
    before = [image_set.image_set_id for image_set in second.image_sets]
    added = second.add_image_set(UNKNOWN)
    after = [image_set.image_set_id for image_set in account.datastore(OTHER_DATASTORE).image_sets]
    assert (len(before), after) == (9, sorted([*before, added.image_set_id]))
    assert {image_set.datastore_id for image_set in second.image_sets} == {OTHER_DATASTORE}


def test_a_handle_shows_the_state_and_the_metadata(account: AccountInterface) -> None:
    image_set = account.image_set(DATASTORE, SAMPLE)
    before = image_set.state
    patient = {"Patient": {"DICOM": {"PatientID": "P-1"}}}
    image_set.append(image_set_state="LOCKED", metadata=patient)
    assert (before, image_set.state) == ("ACTIVE", "LOCKED")
    assert image_set.metadata()["Patient"] == image_set.metadata("5")["Patient"] == patient["Patient"]
    assert image_set.metadata("4")["Patient"]["DICOM"]["PatientName"] is None
    assert image_set.metadata()["ImageSetID"] == SAMPLE


def test_finish_ends_the_write_of_one_image_set(account: AccountInterface, client: Any) -> None:
    account.faults.add(Fault.workflow(reads=None, seconds=None))
    for image_set_id in (SAMPLE, FIFTY):
        client.delete_image_set(datastoreId=DATASTORE, imageSetId=image_set_id)
    account.image_set(DATASTORE, SAMPLE).finish()
    account.image_set(DATASTORE, SAMPLE).finish()
    assert account.image_set(DATASTORE, SAMPLE).state == "DELETED"
    assert account.image_set(DATASTORE, FIFTY).state == "LOCKED"


def test_the_events_are_those_of_the_clients_writes(account: AccountInterface, client: Any) -> None:
    client.delete_image_set(datastoreId=DATASTORE, imageSetId=SAMPLE)
    account.finish_transitions()
    assert [(event["detail-type"], event["detail"]["imageSetId"]) for event in account.events] == [
        ("Image Set Deleting", SAMPLE),
        ("Image Set Deleted", SAMPLE),
    ]


def test_an_image_set_that_was_removed_is_found_by_nobody(account: AccountInterface, client: Any) -> None:
    ids = {"datastoreId": DATASTORE, "imageSetId": MANY}
    first = client.list_image_set_versions(**ids)
    account.image_set(DATASTORE, MANY).remove()
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.list_image_set_versions(**ids, nextToken=first["nextToken"])
    with pytest.raises(NotFoundError):
        _ = account.image_set(DATASTORE, MANY).state
    found = client.search_image_sets(datastoreId=DATASTORE)["imageSetsMetadataSummaries"]
    assert MANY not in {each["imageSetId"] for each in found}
    assert MANY not in {each.image_set_id for each in account.datastore(DATASTORE).image_sets}
    account.add_image_set(DATASTORE, MANY)
    assert len(account.image_set(DATASTORE, MANY).versions) == 1
    account.image_set(DATASTORE, MANY).remove()
    account.reset()
    assert len(account.image_set(DATASTORE, MANY).versions) == 137


def test_a_version_that_was_removed_is_missing_from_the_next_page(account: AccountInterface, client: Any) -> None:
    ids = {"datastoreId": DATASTORE, "imageSetId": MANY}
    first = client.list_image_set_versions(**ids)
    account.image_set(DATASTORE, MANY).remove_version("87")
    second = client.list_image_set_versions(**ids, nextToken=first["nextToken"])
    listed = [int(each["versionId"]) for each in second["imageSetPropertiesList"]]
    assert listed == [number for number in range(87, 36, -1) if number != 87]
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_image_set(**ids, versionId="87")


def test_removing_the_locked_version_ends_the_write(account: AccountInterface, client: Any) -> None:
    account.faults.add(Fault.workflow(reads=None, seconds=None))
    ids = {"datastoreId": DATASTORE, "imageSetId": SAMPLE}
    updates = {"DICOMUpdates": {"updatableAttributes": b'{"Patient": {"DICOM": {"PatientSex": "F"}}}'}}
    client.update_image_set_metadata(**ids, latestVersionId="4", updateImageSetMetadataUpdates=updates)
    account.image_set(DATASTORE, SAMPLE).remove_version("5")
    account.image_set(DATASTORE, SAMPLE).finish()
    assert [each.version_id for each in account.image_set(DATASTORE, SAMPLE).versions] == ["4", "3", "2", "1"]
    client.update_image_set_metadata(**ids, latestVersionId="4", updateImageSetMetadataUpdates=updates)


def test_what_was_to_appear_in_an_image_set_that_was_removed_does_not(account: AccountInterface) -> None:
    account.clock.freeze()
    image_set = account.image_set(DATASTORE, SAMPLE)
    image_set.append(image_set_state="LOCKED", after=5)
    image_set.remove()
    account.add_image_set(DATASTORE, SAMPLE)
    account.clock.advance(9)
    assert len(account.image_set(DATASTORE, SAMPLE).versions) == 1
    account.image_set(DATASTORE, SAMPLE).append(image_set_state="LOCKED", after=5)  # there is room for one


def test_versions_that_were_removed_make_room(account: AccountInterface) -> None:
    image_set = account.image_set(DATASTORE, SAMPLE)
    for _ in range(5):
        image_set.append(image_set_state="ACTIVE")
        image_set.remove_version("5")
    assert len(image_set.versions) == 4
