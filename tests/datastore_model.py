"""A model of one data store, and a reader that compares every answer with it.

The model has the versions that writes were promised, and what answers have shown. A reader asks the model before its
request, since no answer may be older than that.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import islice
from random import Random
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from tests.demo import DATASTORE

UPDATING, COPYING = ("LOCKED", "UPDATING"), ("LOCKED", "COPYING")
COPYING_FROM = ("LOCKED", "COPYING_WITH_READ_ONLY_ACCESS")
DELETING, DELETED = ("LOCKED", "DELETING"), ("DELETED", "DELETED")
ENDED = {("ACTIVE", status) for status in ("CREATED", "COPIED", "COPY_FAILED", "UPDATED", "UPDATE_FAILED")}
PAIRS = ENDED | {UPDATING, ("LOCKED", "UPDATING_FOR_STUDY_CONSISTENCY"), COPYING, COPYING_FROM, DELETING, DELETED}
"""The states and workflow statuses to which updates, copies and deletions lead."""

Refusal = tuple[str, str]
"""The code and the message of an error."""

NOT_LATEST = ("ResourceNotFoundException", "Requested version(s) of ImageSet(s) is not the latest.")
NOT_CONSISTENT = (
    "ConflictException",
    "Requested ImageSet metadata is not consistent yet. Please retry after a few seconds.",
)


def not_found(id: str) -> Refusal:
    return "ResourceNotFoundException", f"ImageSet {id} was not found in Datastore {DATASTORE}."


def locked(id: str) -> Refusal:
    return "ConflictException", f"ImageSet {id} is LOCKED."


def refusal_of(error: ClientError) -> Refusal:
    return error.response["Error"]["Code"], error.response["Error"]["Message"]


class Place(NamedTuple):
    """A version of an image set."""

    id: str
    number: int

    def step(self, count: int) -> Place:
        """Return a later version, or an earlier one."""
        return self._replace(number=self.number + count)


class Known(NamedTuple):
    """What answers have shown of an image set: its latest version, when that changed, and whether it is deleted."""

    number: int = 0
    updated_at: datetime | None = None
    is_deleting: bool = False
    is_deleted: bool = False


class Model:
    """What all threads know together, and the breaches that they have found."""

    def __init__(self, ids: Collection[str]) -> None:
        """Begin with image sets of one version; the patient of each has its id."""
        self._lock = threading.Lock()
        self.breaches: list[str] = []
        self.writes: Counter[str] = Counter()
        """How many writes were accepted, by their kind."""
        self.ids: list[str] = []
        self.patients: dict[Place, str | Place] = {}
        """The patient of each version that a write was promised, or another version that has the same."""
        self.begun: dict[Place, datetime | None] = {}
        """When each of these versions began."""
        self.not_latest: list[list[Place]] = []
        """The versions that each write has named which was refused because one of them was not the latest."""
        self.doomed: Counter[str] = Counter()
        """How many deletions of an image set have begun and were not refused."""
        self.found: set[str] = set()
        """The ids that searches have found."""
        self._known: dict[str, Known] = {}
        self._seen: dict[Any, Any] = {}
        for id in ids:
            self.promise("seed", Place(id, 1), id)

    def expect(self, condition: object, breach: str) -> None:
        """Note a breach if a condition does not hold."""
        if not condition:
            self.breaches.append(breach)

    def expect_same(self, key: Any, value: Any) -> None:
        """Note a breach if a value was another one before."""
        before = self._seen.setdefault(key, value)
        self.expect(before == value, f"{key} was {before}, and then {value}")

    def known(self, id: str) -> Known:
        """Return what is known of an image set."""
        return self._known.get(id, Known())

    def all_known(self) -> dict[str, Known]:
        """Return what is known of all image sets."""
        with self._lock:
            return dict(self._known)

    @property
    def count(self) -> int:
        """How many image sets are neither deleted nor being deleted."""
        return sum(not known.is_deleting for known in self.all_known().values())

    def promise(self, kind: str, place: Place, patient: str | Place, updated_at: datetime | None = None) -> None:
        """Note the version that the answer to a write has named."""
        with self._lock:
            self.writes[kind] += 1
            self.expect(place not in self.patients, f"{place} was given twice")
            self.patients[place], self.begun[place] = patient, updated_at
            if place.number == 1:
                self.ids.append(place.id)
        self.see(place, updated_at)

    def see(self, place: Place, updated_at: datetime | None) -> None:
        """Note that an answer has shown a version; ``updated_at`` is None if it may go back."""
        with self._lock:
            known = self.known(place.id)
            if place.number > known.number:
                self._known[place.id] = known._replace(number=place.number, updated_at=updated_at)
            elif place.number == known.number and updated_at is not None:
                latest = updated_at if known.updated_at is None else max(known.updated_at, updated_at)
                self._known[place.id] = known._replace(updated_at=latest)

    def doom(self, id: str, count: int) -> None:
        """Note that a deletion begins (1), or that it was refused (-1)."""
        with self._lock:
            self.doomed[id] += count

    def delete(self, id: str) -> None:
        """Note that a deletion was accepted."""
        with self._lock:
            self.writes["delete"] += 1
            self.expect(not self.known(id).is_deleting, f"{id} was deleted twice")
            self._known[id] = self.known(id)._replace(is_deleting=True)

    def see_deleted(self, id: str) -> None:
        """Note that an answer has shown that an image set is deleted."""
        with self._lock:
            self.expect(self.doomed[id], f"{id} is deleted, which nobody has asked for")
            self._known[id] = self.known(id)._replace(is_deleted=True)

    def patient_of(self, place: Place) -> str:
        """Return the patient that a version must have, once all threads have ended."""
        patient = self.patients.get(place, f"the patient of {place}, which no answer has named")
        return self.patient_of(patient) if isinstance(patient, Place) else patient


class Reader:
    """Reads through boto3, and compares every answer with the model."""

    def __init__(self, model: Model, client: Any, random: Random) -> None:
        self._model, self._client, self._random = model, client, random
        self._expect = model.expect

    def pick(self, but: Collection[str] = ()) -> str:
        """Pick an image set, often one of the newest, for which all compete, and seldom one that is deleted."""
        while True:
            id = self._random.choice(self._model.ids[self._random.choice([0, -3]) :])
            if id not in but and (not self._model.known(id).is_deleting or self._random.random() < 0.05):
                return id

    def get(self, id: str, times: int = 1) -> Place:
        """Get the latest version, up to some times while it is LOCKED."""
        for _ in range(times):
            known = self._model.known(id)
            found = self._client.get_image_set(datastoreId=DATASTORE, imageSetId=id)
            latest = self._check_latest(id, found, found["imageSetWorkflowStatus"], known)
            if found["imageSetState"] != "LOCKED":
                break
        return latest

    def _check_latest(self, id: str, row: Mapping[str, Any], status: str, known: Known) -> Place:
        """Compare the latest version with what was known before, and return it."""
        place, pair, date = Place(id, int(row["versionId"])), (row["imageSetState"], status), row.get("updatedAt")
        self._expect(pair in PAIRS, f"{place} is {pair}")
        self._expect(place.number >= known.number, f"{place} comes after {known}")
        self._expect(pair in (DELETING, DELETED) or not known.is_deleting, f"{place} is {pair} after {known}")
        self._expect(pair == DELETED or not known.is_deleted, f"{place} is {pair} after {known}")
        goes_on = date is None or known.updated_at is None or date >= known.updated_at
        self._expect(goes_on, f"{place}, {pair}, has the date {date} after {known}")
        self._model.expect_same((id, "createdAt"), row["createdAt"])
        self._model.see(place, None if pair == COPYING_FROM else date)  # a copy that fails brings the date before back
        if pair == DELETED:
            self._model.see_deleted(id)
        return place

    def list_versions(self, id: str, most: int | None = None) -> list[dict[str, Any]]:
        """List versions, all or the latest ones."""
        known = self._model.known(id)
        pages = self._client.get_paginator("list_image_set_versions").paginate(
            datastoreId=DATASTORE, imageSetId=id, PaginationConfig={"PageSize": self._random.randint(10, 50)}
        )
        rows = list(islice((row for page in pages for row in page["imageSetPropertiesList"]), most))
        latest = self._check_latest(id, rows[0], rows[0]["ImageSetWorkflowStatus"], known)
        numbers = [int(row["versionId"]) for row in rows]
        self._expect(numbers == [*range(latest.number, 0, -1)][:most], f"{id} has the versions {numbers}")
        for row in rows[1:]:
            place, pair = Place(id, int(row["versionId"])), (row["imageSetState"], row["ImageSetWorkflowStatus"])
            self._expect(pair in ENDED, f"{place} is {pair}, and not the latest")
            self._model.expect_same(place, row)
            self._model.expect_same((id, "createdAt"), row["createdAt"])
        dates = [row.get("updatedAt", row["createdAt"]) for row in rows]
        self._expect(dates == sorted(dates, reverse=True), f"the dates of {id} go back: {dates}")
        return rows

    def read(self, place: Place) -> None:
        """Read the metadata of a version."""
        known, ids = self._model.known(place.id), {"datastoreId": DATASTORE, "imageSetId": place.id}
        try:
            answer = self._client.get_image_set_metadata(**ids, versionId=str(place.number))
        except ClientError as error:
            refusal = refusal_of(error)
            if refusal == not_found(place.id):
                self._model.see_deleted(place.id)
            else:
                may_be_written = place.number >= known.number and not known.is_deleted
                self._expect(refusal == NOT_CONSISTENT and may_be_written, f"{place} gets {refusal} after {known}")
            return
        self._expect(not known.is_deleted, f"{place} has metadata after {known}")
        content = json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))
        self._expect(content["ImageSetID"] == place.id, f"{place} has the metadata of {content['ImageSetID']}")
        self._model.expect_same((place, "patient"), content["Patient"]["DICOM"]["PatientID"])

    def search(self, *values: Any, size: int = 50) -> list[dict[str, Any]]:
        """Search in the order of creation, in which no image set changes its place."""
        known = self._model.all_known()
        filters = [{"operator": "EQUAL", "values": [value]} for value in values]
        criteria = {"sort": {"sortField": "createdAt", "sortOrder": "ASC"}} | ({"filters": filters} if values else {})
        pages = self._client.get_paginator("search_image_sets").paginate(
            datastoreId=DATASTORE, searchCriteria=criteria, PaginationConfig={"PageSize": size}
        )
        found = [summary for page in pages for summary in page["imageSetsMetadataSummaries"]]
        ids = [summary["imageSetId"] for summary in found]
        self._expect(len(ids) == len(set(ids)), f"a search finds {ids}")
        for summary in found:
            before = known.get(summary["imageSetId"], Known())
            self._expect(not before.is_deleted, f"a search finds {summary} after {before}")
            lowest = before.number - 1  # while a version is written, a search shows the one before
            self._expect(summary["version"] >= lowest, f"a search finds {summary} after {before}")
        self._model.found.update(ids)
        return found

    def search_all(self, size: int = 50) -> set[str]:
        """Search for all image sets, and return their ids."""
        known = set(self._model.ids)
        found = {summary["imageSetId"] for summary in self.search(size=size)}
        missing = [id for id in known - found if not self._model.doomed[id]]
        self._expect(not missing, f"a search does not find {missing}")
        return found

    def search_patient(self, patient: str) -> set[str]:
        """Search for the image sets of a patient, and return their ids."""
        found = self.search({"DICOMPatientId": patient})
        others = {summary["DICOMTags"]["DICOMPatientId"] for summary in found} - {patient}
        self._expect(not others, f"a search for {patient} finds {others}")
        return {summary["imageSetId"] for summary in found}

    def search_primary(self, ids: Collection[str]) -> None:
        """Search for the primary image sets, which are always the same."""
        found = {summary["imageSetId"] for summary in self.search({"isPrimary": True})}
        self._expect(found == set(ids), f"a search finds the primary image sets {found}")
