"""Threads that write, read and search one data store, in process and over HTTP, compared with a model.

While they run, no answer may be older than an earlier one. Afterwards the data must be those that writes were promised.
This takes some seconds in every run, and ``SOAK`` seconds in ``make soak``.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from random import Random
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from healthimaging_emulator import Emulator
from healthimaging_emulator.settings import SettingsOptions
from healthimaging_emulator.transports.environment import make_endpoint
from tests.datastore_model import (
    COPYING,
    COPYING_FROM,
    DELETED,
    DELETING,
    ENDED,
    NOT_LATEST,
    UPDATING,
    Model,
    Place,
    Reader,
    locked,
    not_found,
    refusal_of,
)
from tests.demo import DATASTORE
from tests.healthimaging.documents import INSTANCE, SERIES, document
from tests.raw import HANG_SECONDS

SECONDS = float(os.environ.get("SOAK", "4")) / 4
"""For each of the four runs."""

THREADS, SERVED = 64, 16
"""All threads, and those of them that use HTTP."""

FEW, MANY = 8, 24
"""If so few image sets are there, none is deleted; if so many, none is added."""

FAMILY = [f"primary{number}".ljust(32, "0") for number in range(3)]
"""The primary image sets of one study. They are updated together, and nothing else is written to them."""

OTHERS = [f"other{number}".ljust(32, "0") for number in range(FEW)]


def image_set(id: str, number: int) -> dict[str, Any]:
    """Return an image set with one instance, whose patient has the image set's id."""
    content = document(PatientID=id)
    instances = content["Study"]["Series"][SERIES]["Instances"]
    content["Study"]["Series"][SERIES]["Instances"] = {f"{INSTANCE}.{number}": instances[INSTANCE]}
    version = {"versionId": "1", "imageSetState": "ACTIVE", "ImageSetWorkflowStatus": "CREATED", "createdAt": 1.5}
    return {"imageSetId": id, "versions": [version | {"isPrimary": id in FAMILY}], "metadata": content}


IMAGE_SETS = [image_set(id, number) for number, id in enumerate(FAMILY + OTHERS)]
SEED = {"datastores": [{"datastoreId": DATASTORE, "imageSets": IMAGE_SETS}]}


class Worker(threading.Thread):
    """Takes steps until the time is over, or until somebody has found a breach."""

    def __init__(self, model: Model, client: Any, number: int, end: float) -> None:
        super().__init__(name=f"worker {number}", daemon=True)
        self._model, self._client, self._number, self._end = model, client, number, end
        self._random = Random(number)
        self._reader = Reader(model, client, self._random)
        self._count = 0

    def weights(self) -> dict[Callable[[], object], int]:
        """Return the steps, and how often each is taken."""
        return {
            self.look: 2,
            self.read: 2,
            self.search: 2,
            self.update: 8,
            self.update_family: 4,
            self.revert: 3,
            self.copy: 4,
            self.delete: 3,
        }

    def take(self, step: Callable[[], object]) -> None:
        step()

    def run(self) -> None:
        weights = self.weights()
        steps, weighed = list(weights), list(weights.values())
        step = steps[self._number % len(steps)]  # so that each is taken, however slow the machine is
        try:
            while not self._model.breaches:
                self._count += 1
                self.take(step)
                if time.monotonic() >= self._end:
                    break
                (step,) = self._random.choices(steps, weighed)
        except Exception:
            self._model.breaches.append(traceback.format_exc())

    def look(self) -> None:
        self._reader.get(self._reader.pick())
        self._reader.list_versions(self._reader.pick(), most=100)

    def read(self) -> None:
        latest = self._reader.get(self._reader.pick())
        self._reader.read(latest)
        self._reader.read(Place(latest.id, self._random.randint(1, latest.number)))

    def search(self) -> None:
        patient = self._random.choice(list(self._model.patients.values()))
        self._reader.search_patient(patient if isinstance(patient, str) else self._reader.pick())
        self._reader.search_all(self._random.randint(10, 50))
        self._reader.search_primary(FAMILY)

    def latest_of(self, id: str) -> Place:
        """Return the latest version of an image set, LOCKED or not."""
        return self._reader.get(id, times=self._random.randint(1, 5))

    def write(self, operation: str, *named: Place, locks: list[str] | None = None, **arguments: Any) -> Any:
        """Make a write that names versions, 0 if only the image set. Return None if it is refused."""
        expect, ids = self._model.expect, [place.id for place in named]
        gone = [id for id in ids if self._model.known(id).is_deleted]
        try:
            answer = getattr(self._client, operation)(datastoreId=DATASTORE, **arguments)
        except ClientError as error:
            refusal = refusal_of(error)
            if refusal == NOT_LATEST:
                self._model.not_latest.append([*named])
            for id in ids:
                if refusal == not_found(id):
                    self._model.see_deleted(id)
            allowed = [] if gone else [NOT_LATEST, *map(locked, locks or ids)]
            allowed += map(not_found, ids)
            expect(refusal in allowed, f"{operation} of {named}, of which {gone} are deleted, gets {refusal}")
            return None
        expect(not gone, f"{operation} of {named} is accepted, although {gone} are deleted")
        return answer

    def promise(self, kind: str, place: Place, patient: str | Place, answer: Any, pair: tuple[str, str]) -> None:
        """Compare the answer to a write with the version that it must name, and note this version."""
        named = answer["imageSetId"], int(answer["latestVersionId"])
        self._model.expect(named == place, f"{kind}: the answer names {named}, not {place}")
        begun = answer["imageSetState"], answer["imageSetWorkflowStatus"]
        self._model.expect(begun == pair, f"{kind}: {place} is {begun}")
        self._model.expect_same((place.id, "createdAt"), answer["createdAt"])
        self._model.promise(kind, place, patient, answer["updatedAt"])

    def change(self, latest: Place, updates: Any, locks: list[str] | None = None, **options: bool) -> Any:
        return self.write(
            "update_image_set_metadata",
            latest,
            locks=locks,
            imageSetId=latest.id,
            latestVersionId=str(latest.number),
            updateImageSetMetadataUpdates=updates,
            **options,
        )

    def rename(self) -> tuple[str, Any]:
        """Return a new patient, and the updates that write it."""
        patient = f"{self.name}, step {self._count}"
        changes = json.dumps({"Patient": {"DICOM": {"PatientID": patient}}}).encode()
        return patient, {"DICOMUpdates": {"updatableAttributes": changes}}

    def update(self) -> None:
        latest = self.latest_of(self._reader.pick(but=FAMILY))
        patient, updates = self.rename()
        if latest.number > 1 and self._random.random() < 0.1:
            is_accepted = self.change(latest.step(-1), updates)
            self._model.expect(not is_accepted, f"an update of the version before {latest} is accepted")
        elif answer := self.change(latest, updates):
            self.promise("update", latest.step(1), patient, answer, UPDATING)
            self.copy_from(latest.step(1))  # without waiting

    def update_family(self) -> None:
        latest = self.latest_of(self._random.choice(FAMILY))
        patient, updates = self.rename()
        if answer := self.change(latest, updates, locks=FAMILY, includeStudyImageSets=True):
            self.promise("update of a study", latest.step(1), patient, answer, UPDATING)
            for id in FAMILY:
                if id != latest.id:
                    self._model.promise("update of a study", Place(id, latest.number + 1), latest.step(1))

    def revert(self) -> None:
        latest = self.latest_of(self._reader.pick(but=FAMILY))
        earlier = Place(latest.id, self._random.randint(1, latest.number))
        if answer := self.change(latest, {"revertToVersionId": str(earlier.number)}):
            self.promise("revert", latest.step(1), earlier, answer, UPDATING)

    def copy(self) -> None:
        self.copy_from(self.latest_of(self._reader.pick()))

    def copy_from(self, source: Place) -> None:
        information: dict[str, Any] = {"sourceImageSet": {"latestVersionId": str(source.number)}}
        named = [source]
        if self._model.count >= MANY or self._random.random() < 0.5:
            destination = self.latest_of(self._reader.pick(but=[*FAMILY, source.id]))
            latest = {"imageSetId": destination.id, "latestVersionId": str(destination.number)}
            information["destinationImageSet"] = latest
            named.append(destination)
        answer = self.write(
            "copy_image_set",
            *named,
            sourceImageSetId=source.id,
            copyImageSetInformation=information,
            force=self._random.random() < 0.5,
        )
        if not answer:
            return
        copied, begun = answer["sourceImageSetProperties"], answer["destinationImageSetProperties"]
        state = copied["latestVersionId"], copied["imageSetState"], copied["imageSetWorkflowStatus"]
        self._model.expect(state == (str(source.number), *COPYING_FROM), f"the source {source} of a copy is {state}")
        if len(named) == 1:
            self.promise("copy", Place(begun["imageSetId"], 1), source, begun, COPYING)
        else:  # which keeps its own patient, whether its series can be merged or not
            self.promise("copy to an image set", named[1].step(1), named[1], begun, COPYING)

    def delete(self) -> None:
        id = self._reader.pick(but=FAMILY)
        if self._model.count <= FEW:
            return
        self._model.doom(id, 1)
        answer = self.write("delete_image_set", Place(id, 0), imageSetId=id)
        if answer:
            begun = answer["imageSetState"], answer["imageSetWorkflowStatus"]
            self._model.expect(begun == DELETING, f"a deletion of {id} answers {begun}")
            self._model.delete(id)
        else:
            self._model.doom(id, -1)


def compare(model: Model, reader: Reader) -> None:
    """Compare all data with the model, when all threads have ended."""
    expect, latest = model.expect, {}
    expect(model.found <= set(model.ids), f"searches have found {model.found - set(model.ids)}, which nobody has made")
    for id in model.ids:
        rows = reader.list_versions(id)
        latest[id] = Place(id, len(rows))
        promised = sorted(place.number for place in model.patients if place.id == id)
        expect(promised == [*range(1, len(rows) + 1)], f"{id} has {len(rows)} versions, but {promised} were promised")
        for row in rows:
            begun, ended = model.begun.get(Place(id, int(row["versionId"]))), row.get("updatedAt")
            is_later = begun is None or ended is None or ended >= begun
            expect(is_later, f"version {row['versionId']} of {id} began at {begun}, but ended at {ended}")
        pair = rows[0]["imageSetState"], rows[0]["ImageSetWorkflowStatus"]
        is_deleted = model.known(id).is_deleting
        expect(pair == DELETED if is_deleted else pair in ENDED, f"{id} is {pair} at the end")
    for named in model.not_latest:
        is_true = any(place.number and place != latest[place.id] for place in named)
        expect(is_true, f"{named} were refused as not the latest")
    alive = [id for id in model.ids if not model.known(id).is_deleting]
    for place in model.patients:
        if place.id in alive:
            reader.read(place)
        model.expect_same((place, "patient"), model.patient_of(place))
    found = reader.search_all()
    expect(found == set(alive), f"{set(alive)} are there at the end, but a search finds {found}")
    patients = {id: model.patient_of(latest[id]) for id in alive}
    for patient in set(patients.values()):
        found, wanted = reader.search_patient(patient), {id for id in alive if patients[id] == patient}
        expect(found == wanted, f"{wanted} have the patient {patient} at the end, but a search finds {found}")


PACES: dict[str, SettingsOptions] = {
    "by reads": {"transition_reads": 1, "transition_seconds": None},
    "by reads or time": {"transition_reads": 3, "transition_seconds": 0.002},
}

SWITCHES = [pytest.param(1e-6, id="in any line"), pytest.param(0.005, id="for long")]
"""Seconds after which Python changes threads: often, so that a missing lock shows, or seldom, so that much happens
between two lines of another thread."""


@pytest.fixture(params=SWITCHES)
def _switches(request: pytest.FixtureRequest) -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(request.param)
    yield
    sys.setswitchinterval(before)


def start(model: Model, workers: Sequence[Worker], end: float) -> None:
    """Let threads run until all of them have ended."""
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(max(0.0, end + HANG_SECONDS - time.monotonic()))
        model.expect(not worker.is_alive(), f"{worker.name} hangs")


def connect(emulator: Emulator, closing: ExitStack) -> list[Any]:
    """Return a client for each thread, some of them over HTTP."""
    once = Config(retries={"total_max_attempts": 1})
    url = make_endpoint(closing.enter_context(emulator.serve()).url)
    clients: list[Any] = [emulator.client(config=once) for _ in range(THREADS - SERVED)]
    for _ in range(SERVED):
        client = boto3.client("medical-imaging", "us-east-1", None, None, None, url, "key", "secret", config=once)
        closing.callback(client.close)
        clients.append(client)
    return clients


def expect_none(breaches: list[str]) -> None:
    first = "\n".join(breaches[:5])
    assert not breaches, f"{len(breaches)} breaches, of which the first are:\n{first}"


@pytest.mark.newest_boto3
@pytest.mark.usefixtures("_switches")
@pytest.mark.parametrize("pace", PACES.values(), ids=PACES)
def test_the_data_are_those_that_writes_were_promised(pace: SettingsOptions) -> None:
    emulator, model = Emulator.from_seed(SEED, **pace), Model(FAMILY + OTHERS)
    with ExitStack() as closing:
        clients, end = connect(emulator, closing), time.monotonic() + SECONDS
        start(model, [Worker(model, client, number, end) for number, client in enumerate(clients)], end)
    emulator.account().finish_transitions()
    if not model.breaches:
        compare(model, Reader(model, emulator.client(), Random(0)))
    expect_none(model.breaches)
    assert len(model.patients) > len(FAMILY + OTHERS)
