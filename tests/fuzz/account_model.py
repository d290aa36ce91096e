"""A model of one account: what every write does to it, by the documentation, without a line of the emulator's.

A write returns the code of its refusal, or None; a refused write changes nothing. What a write begins ends after
``SECONDS`` of the account's clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

SECONDS = 2.0

NOT_FOUND, CONFLICT, INVALID = "ResourceNotFoundException", "ConflictException", "ValidationException"

Series = tuple[tuple[str, frozenset[str]], ...]
"""The SOP Instance UIDs of each series, in the order of the document."""


@dataclass(frozen=True)
class Content:
    """A metadata document: the study that it belongs to, the name of its patient, and its instances."""

    study: str
    patient: str
    series: Series

    @property
    def instances(self) -> frozenset[str]:
        return frozenset().union(*(instances for _, instances in self.series))

    def add(self, uid: str, instances: frozenset[str]) -> Content:
        """Add instances to a series, or to the first one if there is no such series."""
        present = dict(self.series)
        target = uid if uid in present else self.series[0][0]
        return replace(self, series=tuple({**present, target: present[target] | instances}.items()))


@dataclass(frozen=True)
class Row:
    """A version."""

    state: str
    status: str | None
    updated_at: float | None
    content: Content


@dataclass
class ImageSet:
    """An image set: its versions, oldest first."""

    datastore: str
    rows: list[Row]
    is_primary: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    transition: Transition | None = None

    @property
    def latest(self) -> Row:
        return self.rows[-1]

    @property
    def is_being_written(self) -> bool:
        return self.latest.status in ("UPDATING", "COPYING")

    @property
    def found(self) -> tuple[str, str]:
        """The version that a search finds, and the name of its patient."""
        number = len(self.rows) - (self.is_being_written and len(self.rows) > 1)
        return str(number), self.rows[number - 1].content.patient


@dataclass
class Datastore:
    """A data store."""

    status: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Transition:
    """What ends at a time: the rows that take the place of locked ones, or something else."""

    due: float
    end: Callable[[float], None]


class Account:
    """An account, and the writes of its users."""

    def __init__(self, now: float, datastores: dict[str, Datastore], image_sets: dict[str, ImageSet]) -> None:
        self.now = now
        self.datastores, self.image_sets = datastores, image_sets
        self.jobs: dict[str, str] = {}
        """The status of each import job."""
        self.transitions: list[Transition] = []
        self.tokens: dict[tuple[str, str], tuple[Any, str]] = {}
        """The input and the id of each request that had a client token."""

    # Time.

    def advance(self, seconds: float) -> None:
        self.now += seconds
        while due := [each for each in self.transitions if each.due <= self.now]:
            self._end(min(due, key=lambda each: each.due))

    def begin(self, end: Callable[[float], None], due: float | None = None) -> Transition:
        self.transitions.append(Transition(self.now + SECONDS if due is None else due, end))
        return self.transitions[-1]

    def _end(self, transition: Transition, at: float | None = None) -> None:
        self.transitions.remove(transition)
        transition.end(transition.due if at is None else at)

    # Checks, in the order in which the service makes them.

    def refuse_datastore(self, id: str) -> str | None:
        datastore = self.datastores.get(id)
        if datastore is None or datastore.status == "DELETED":
            return NOT_FOUND
        return None if datastore.status == "ACTIVE" else CONFLICT

    def refuse_read(self, datastore: str, id: str) -> str | None:
        """Refuse an image set that is not there, or is deleted."""
        refusal = self.refuse_datastore(datastore)
        found = self.image_sets.get(id)
        is_there = found is not None and found.datastore == datastore and found.latest.state != "DELETED"
        return refusal or (None if is_there else NOT_FOUND)

    def refuse_metadata(self, datastore: str, id: str) -> str | None:
        return self.refuse_read(datastore, id) or (CONFLICT if self.image_sets[id].is_being_written else None)

    def _refuse_write(self, datastore: str, *named: tuple[str, str | None]) -> str | None:
        """Refuse what is not there, then what is locked, then a version that is not the latest."""
        for id, _ in named:
            if refusal := self.refuse_read(datastore, id):
                return refusal
        if any(self.image_sets[id].latest.state == "LOCKED" for id, _ in named):
            return CONFLICT
        return (
            NOT_FOUND if any(number not in (None, str(len(self.image_sets[id].rows))) for id, number in named) else None
        )

    # Data stores.

    def recall(self, operation: str, token: str, input: Any) -> tuple[bool, str | None]:
        """Say whether a client token was used before, and return the code of the refusal if it had another input."""
        earlier = self.tokens.get((operation, token))
        return earlier is not None, CONFLICT if earlier is not None and earlier[0] != input else None

    def create_datastore(self, id: str, token: str, input: Any, tags: dict[str, str]) -> None:
        self.tokens["CreateDatastore", token] = input, id
        self.datastores[id] = Datastore("CREATING", dict(tags))
        self.begin(lambda _: self._set_status(id, "ACTIVE"))

    def delete_datastore(self, id: str) -> str | None:
        if refusal := self.refuse_datastore(id):
            return refusal
        alive = [each for each in self.image_sets.values() if each.datastore == id and each.latest.state != "DELETED"]
        if alive or any(job.startswith(f"{id}/") and status in UNDER_WAY for job, status in self.jobs.items()):
            return CONFLICT
        self._set_status(id, "DELETING")
        self.begin(lambda _: self._set_status(id, "DELETED"))
        return None

    def _set_status(self, id: str, status: str) -> None:
        self.datastores[id].status = status

    # Image sets.

    def update(self, datastore: str, id: str, number: str, content: Content | None) -> str | None:
        """Begin an update that ends with a content, or fails if there is none."""
        if refusal := self._refuse_write(datastore, (id, number)):
            return refusal
        found = self.image_sets[id]
        self._append(
            found, Row("LOCKED", "UPDATING", self.now, found.latest.content), "UPDATED", "UPDATE_FAILED", content
        )
        return None

    def _append(self, found: ImageSet, begun: Row, status: str, failed: str, content: Content | None) -> None:
        found.rows.append(begun)
        kept = found.latest.content if content is None else content
        found.transition = self.begin(
            lambda date: self._replace(found, Row("ACTIVE", failed if content is None else status, date, kept))
        )

    def _replace(self, found: ImageSet, row: Row) -> None:
        found.rows[-1] = row
        found.transition = None

    def delete(self, datastore: str, id: str) -> str | None:
        if refusal := self._refuse_write(datastore, (id, None)):
            return refusal
        found = self.image_sets[id]
        found.rows[-1] = replace(found.latest, state="LOCKED", status="DELETING", updated_at=self.now)
        deleted = replace(found.latest, state="DELETED", status="DELETED")
        found.transition = self.begin(lambda date: self._replace(found, replace(deleted, updated_at=date)))
        return None

    def copy(
        self, datastore: str, source: tuple[str, str], target: tuple[str, str] | None, *, force: bool
    ) -> str | None:
        """Begin a copy; ``add_copy`` adds the new image set if there is no target."""
        if target is not None and target[0] == source[0]:
            return INVALID
        if refusal := self._refuse_write(datastore, source, *([target] if target else [])):
            return refusal
        copied = self.image_sets[source[0]]
        before, content = copied.latest, copied.latest.content
        outcome = content if target is None else merge(content, self.image_sets[target[0]].latest.content, force=force)
        copied.rows[-1] = replace(before, state="LOCKED", status="COPYING_WITH_READ_ONLY_ACCESS", updated_at=self.now)
        transition = copied.transition = self.begin(
            lambda date: self._replace(copied, replace(before, status="COPIED", updated_at=date) if outcome else before)
        )
        if target is not None:
            into = self.image_sets[target[0]]
            begun = Row("LOCKED", "COPYING", self.now, into.latest.content)
            self._append(into, begun, "COPIED", "COPY_FAILED", outcome)
            self._join(transition, into)
        return None

    def add_copy(self, datastore: str, source: str, id: str) -> None:
        """Add the image set that a copy has begun."""
        made = self.image_sets[id] = ImageSet(datastore, [])
        content = self.image_sets[source].latest.content
        self._append(made, Row("LOCKED", "COPYING", self.now, content), "COPIED", "", content)
        transition = self.image_sets[source].transition
        assert transition is not None
        self._join(transition, made)

    def _join(self, transition: Transition, found: ImageSet) -> None:
        """Let the last transition that was begun be a part of another."""
        other, end = self.transitions.pop(), transition.end

        def end_both(date: float) -> None:
            end(date)
            other.end(date)

        transition.end = end_both
        found.transition = transition

    # Imports.

    def start_job(self, datastore: str, id: str, token: str, input: Any) -> None:
        self.tokens["StartDICOMImportJob", token] = input, id
        job = f"{datastore}/{id}"
        self.jobs[job] = "SUBMITTED"

        def start(date: float) -> None:
            self.jobs[job] = "IN_PROGRESS"
            self.begin(lambda _: self.jobs.update({job: "COMPLETED"}), date + SECONDS)

        self.begin(start)

    def find_primary(self, datastore: str, content: Content) -> ImageSet | None:
        """Return the primary image set that an import joins, and end what has locked it."""
        for found in self.image_sets.values():
            is_same = found.rows[0].content.study == content.study and found.is_primary
            if found.datastore == datastore and is_same and found.transition is not None:
                self._end(found.transition, self.now)
            if found.datastore == datastore and is_same and found.latest.state != "DELETED":
                return found
        return None

    def join(self, found: ImageSet, content: Content) -> None:
        """Add imported instances to a primary image set."""
        merged = found.latest.content
        for uid, instances in content.series:
            merged = merged.add(uid, instances)
        found.rows.append(Row("ACTIVE", "IMPORTED", self.now, merged))

    # Tags.

    def tags_of(self, datastore: str, id: str | None) -> dict[str, str] | None:
        """Return the tags of what is there."""
        store = self.datastores.get(datastore)
        if store is None or store.status == "DELETED":
            return None
        if id is None:
            return store.tags
        found = self.image_sets.get(id)
        is_there = found is not None and found.datastore == datastore and found.latest.state != "DELETED"
        return found.tags if found is not None and is_there else None


UNDER_WAY = ("SUBMITTED", "IN_PROGRESS")


def merge(source: Content, target: Content, *, force: bool) -> Content | None:
    """Return the content of a copy's destination, or None if the copy fails."""
    agrees = (source.study, source.patient) == (target.study, target.patient) and dict(source.series).keys() <= dict(
        target.series
    ).keys()
    if (not agrees and not force) or source.instances & target.instances:
        return None
    for uid, instances in source.series:
        target = target.add(uid, instances)
    return target
