"""64 clients that search, read, update, copy, delete and import while faults of every kind fire, against the model.

A client knows from the answer which faults it has met, so it knows which of its writes were carried out. No answer that
a fault has not changed may be wrong, and at the end the data must be those of the writes that were carried out.
This takes some seconds in every run, and ``SOAK`` seconds in ``make soak``.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from random import Random
from typing import Any, TypeVar, get_args

import pytest
from botocore.exceptions import HTTPClientError

from healthimaging_emulator import Emulator
from healthimaging_emulator.faults.corrupt import CorruptKind
from healthimaging_emulator.faults.pagination import PaginationKind
from tests.datastore_model import Model, Place, Reader
from tests.demo import DATASTORE
from tests.healthimaging.documents import SERIES, document
from tests.test_concurrency import FAMILY, MANY, OTHERS, SEED, Worker, compare, connect, expect_none, start

SECONDS = float(os.environ.get("SOAK", "3"))
PROBABILITY = 0.02

READS = ["GetImageSet", "GetImageSetMetadata", "ListImageSetVersions", "SearchImageSets"]
LOSABLE = ["UpdateImageSetMetadata", "DeleteImageSet"]
"""Writes whose answer a client can do without: it says itself which version it writes."""

PAGED = {"match": {"operation": ["ListImageSetVersions", "SearchImageSets"]}}
SPOILT = {"match": {"operation": ["GetImageSet", "ListImageSetVersions", "SearchImageSets", *LOSABLE]}}
FAULTS: list[dict[str, Any]] = [
    {"id": "late", "latency": {"seconds": 0.001, "jitter": 0.001}},
    {"id": "throttle", "error": {"code": "ThrottlingException"}},
    {"id": "rate", "rateLimit": {"perSecond": 1, "burst": 1}},
    {"id": "lost", "error": {"code": "Lost", "status": 503}, "when": "after", "match": {"operation": READS + LOSABLE}},
    {"id": "workflow", "workflow": {"outcome": "failed"}, "match": {"operation": "UpdateImageSetMetadata"}},
    {
        "id": "respond",
        "match": {"operation": "ListImageSetVersions"},
        "respond": {"imageSetPropertiesList": [{"imageSetId": "0" * 32, "versionId": "1", "imageSetState": "ACTIVE"}]},
    },
    *({"id": kind, "connection": kind} for kind in ("reset", "close")),
    {"id": "stall", "connection": {"kind": "stall", "seconds": 0.01}},
    {"id": "cut", "connection": "cut", "match": {"operation": READS}},
    *(PAGED | {"id": kind, "pagination": kind} for kind in get_args(PaginationKind)),
    *(SPOILT | {"id": kind, "corrupt": kind} for kind in get_args(CorruptKind)),
]
NOT_CARRIED_OUT = {"throttle", "rate", "respond"}
HARMLESS = {"late", "workflow"}
SILENT = {"late", "reset", "close", "stall", "cut"}
"""Faults that break the connection, so that no answer names them, or that come together with such a one."""

DELETING = {"imageSetState": "LOCKED", "imageSetWorkflowStatus": "DELETING"}
"""The answer to a deletion."""

IMPORTS = [f"s3://input/{number}/" for number in range(200)]


def imported(uri: str) -> dict[str, Any]:
    """Return an import of one image set, whose patient is the location; it conflicts with the study's primary sets."""
    content = document(PatientID=uri)
    series = content["Study"]["Series"].pop(SERIES)
    number = uri.split("/")[-2]
    instance = {"DICOM": {"SOPInstanceUID": f"1.2.9.{number}.1"}, "ImageFrames": []}
    content["Study"]["Series"][f"1.2.9.{number}"] = series | {"Instances": {f"1.2.9.{number}.1": instance}}
    return {"inputS3Uri": uri, "imageSets": [{"metadata": content}]}


class Disturbed(Exception):
    """A fault has refused a request, or changed its answer."""

    def __init__(self, ids: set[str]) -> None:
        self.is_carried_out = not ids & NOT_CARRIED_OUT
        super().__init__(", ".join(ids))


DISTURBANCES = (Disturbed, HTTPClientError)

T = TypeVar("T")


class Watch:
    """Stands behind a client: raises for an answer that a fault has changed, and notes the faults of the last one."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.met: Counter[str] = Counter()
        self.last: set[str] = set()
        client.meta.events.register("before-parse.medical-imaging", self._check)

    def _check(self, response_dict: dict[str, Any], **_: Any) -> None:
        names = response_dict["headers"].get("x-emulator-fault", "")
        self.last = {name for name in names.split(",") if name}
        self.met.update(self.last)
        if self.last - HARMLESS:
            raise Disturbed(self.last - HARMLESS)


class DisturbedWorker(Worker):
    """Takes the steps of a worker, and imports too. A step that meets a fault ends there."""

    def __init__(self, model: Model, watch: Watch, number: int, end: float, uris: list[str]) -> None:
        super().__init__(model, watch.client, number, end)
        self._watch = watch
        self._uris = uris
        self._is_lost = False

    def weights(self) -> dict[Callable[[], object], int]:
        return super().weights() | {self.start_import: 2}

    def take(self, step: Callable[[], object]) -> None:
        with suppress(*DISTURBANCES):
            step()

    def write(self, operation: str, *named: Place, locks: list[str] | None = None, **arguments: Any) -> Any:
        """Make a write. Return None if it is refused, and an answer of the worker's own if that of a write was lost."""
        self._is_lost = False
        try:
            return super().write(operation, *named, locks=locks, **arguments)
        except Disturbed as error:
            self._is_lost = True
            return DELETING if error.is_carried_out else None
        except HTTPClientError:
            return None

    def promise(self, kind: str, place: Place, patient: str | Place, answer: Any, pair: tuple[str, str]) -> None:
        patient = place.step(-1) if "workflow" in self._watch.last else patient
        if self._is_lost:
            self._model.promise(kind, place, patient)
        else:
            super().promise(kind, place, patient, answer, pair)

    def start_import(self) -> None:
        if not self._uris or self._model.count >= MANY:
            return
        try:
            uri = self._uris.pop()
        except IndexError:  # another thread was faster
            return
        job = self.persist(lambda: self._client.start_dicom_import_job(**make_job(uri)))["jobId"]
        status = ""
        while status not in ("COMPLETED", "FAILED"):
            got = self.persist(lambda: self._client.get_dicom_import_job(datastoreId=DATASTORE, jobId=job))
            status = got["jobProperties"]["jobStatus"]
        self._model.expect(status == "COMPLETED", f"the import of {uri} has {status}")
        (id,) = self.persist(lambda: self._reader.search_patient(uri))
        self._model.promise("import", Place(id, 1), uri)

    def persist(self, ask: Callable[[], T]) -> T:
        """Ask until no fault comes between."""
        while True:
            with suppress(*DISTURBANCES):
                return ask()


def make_job(uri: str) -> dict[str, Any]:
    """Return the arguments of an import; its client token lets it be started again if the answer was lost."""
    return {
        "datastoreId": DATASTORE,
        "clientToken": uri.split("/")[-2],
        "dataAccessRoleArn": "arn:aws:iam::000000000000:role/import",
        "inputS3Uri": uri,
        "outputS3Uri": "s3://output/",
    }


@pytest.mark.newest_boto3
def test_no_answer_is_wrong_while_faults_of_every_kind_fire() -> None:
    seed = SEED | {"imports": [imported(uri) for uri in IMPORTS]}
    emulator, model = Emulator.from_seed(seed, transition_seconds=None), Model(FAMILY + OTHERS)
    chances = {"probability": PROBABILITY}
    emulator.faults.add(*(fault | chances | {"seed": number} for number, fault in enumerate(FAULTS)))
    uris = list(IMPORTS)
    with ExitStack() as closing:
        watches, end = [Watch(client) for client in connect(emulator, closing)], time.monotonic() + SECONDS
        workers = [DisturbedWorker(model, watch, number, end, uris) for number, watch in enumerate(watches)]
        start(model, workers, end)
    fired = {str(fault.id): fault.fired for fault in emulator.faults}
    emulator.faults.clear()
    emulator.account().finish_transitions()
    if not model.breaches:
        compare(model, Reader(model, emulator.client(), Random(0)))
    expect_none(model.breaches)
    met = sum((watch.met for watch in watches), Counter[str]())
    assert {id: count for id, count in fired.items() if id not in SILENT} == {
        id: met[id] for id in fired.keys() - SILENT
    }
    assert model.writes.keys() >= {"update", "delete", "copy", "import"}
    quiet = {id for id, count in fired.items() if not count}
    assert len(quiet) < len(FAULTS) / 2 if SECONDS < 60 else not quiet
