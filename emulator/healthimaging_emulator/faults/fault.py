"""The fault language: which requests a fault is for, when it fires, and its effect.

Seeds, files, Python and HTTP use the same language. The effect of a ``Fault`` is the member named after its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, overload

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..aws.members import pattern
from ..errors import suggestion
from ..healthimaging.operations import OPERATIONS_BY_NAME
from ..healthimaging.shapes.identifiers import Arn, DatastoreId, ImageFrameId, ImageSetId, JobId
from .connection import ConnectionEffect, ConnectionKind
from .corrupt import CorruptEffect, CorruptKind
from .effect import Effect
from .error import ErrorEffect
from .latency import Latency
from .pagination import PaginationEffect, PaginationKind
from .rate_limit import AwsRateLimitEffect, RateLimitEffect, RateLimitPreset
from .respond import RespondEffect
from .workflow import WorkflowEffect

if TYPE_CHECKING:
    from typing_extensions import Unpack

Count = Annotated[int, Meta(ge=1)]
Counts = Annotated[list[Count], Meta(min_length=1, max_length=1000)]
Names = Annotated[list[str], Meta(min_length=1, max_length=100)]


class Match(
    Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
    omit_defaults=True,
    repr_omit_defaults=True,
):
    """The requests that a fault is for. A member that is left out matches all.

    ``image_set_id`` is also the source or the destination of a copy. ``page`` counts from 1, ``attempt`` is the SDK's
    own count.
    """

    operation: Annotated[str, Meta(examples=list(OPERATIONS_BY_NAME))] | Names | None = None
    datastore_id: DatastoreId | None = None
    image_set_id: ImageSetId | None = None
    image_frame_id: ImageFrameId | None = None
    job_id: JobId | None = None
    resource_arn: Arn | None = None
    page: Count | Counts | None = None
    attempt: Count | Counts | None = None

    @property
    def identifiers(self) -> dict[str, str]:
        """The identifiers that a request must have, in the wire's spelling."""
        return {wire: value for attribute, wire in IDENTIFIERS.items() if (value := getattr(self, attribute))}


IDENTIFIERS = {
    "datastore_id": "datastoreId",
    "image_set_id": "imageSetId",
    "image_frame_id": "imageFrameId",
    "job_id": "jobId",
    "resource_arn": "resourceArn",
}


class FaultOptions(TypedDict, total=False):
    """When a fault fires, and for which requests: members of ``Fault`` and ``Match`` as keyword arguments."""

    id: str
    operation: str | list[str]
    datastore_id: str
    image_set_id: str
    image_frame_id: str
    job_id: str
    resource_arn: str
    page: int | list[int]
    attempt: int | list[int]
    skip: int
    every: int
    times: int
    probability: float
    seed: int
    expires_after: float
    when: Literal["before", "after"]
    first: bool
    latency: Latency


class Fault(
    Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
    omit_defaults=True,
    repr_omit_defaults=True,
):
    """One fault: when it fires, and its one effect. ``latency`` may stand alone or with any effect.

    With n the number of the matching request, from 1, a fault may fire if n > ``skip`` and n - ``skip`` - 1 is a
    multiple of ``every``: at most ``times``, within ``expires_after`` seconds of the account's clock, and with a
    ``probability`` from a generator of its own that ``seed`` makes repeatable. With ``when="after"`` the operation is
    carried out, but the client gets the fault instead of its answer. With ``first``, it is tried before all faults that
    were added earlier, also those of the seed; otherwise after them.
    """

    id: Annotated[str, pattern("[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")] | None = None
    match: Match = Match()
    skip: Annotated[int, Meta(ge=0)] = 0
    every: Count = 1
    times: Count | None = None
    probability: Annotated[float, Meta(ge=0, le=1)] = 1.0
    seed: int = 0
    expires_after: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    when: Literal["before", "after"] | None = None
    first: bool = False
    error_effect: ErrorEffect | None = msgspec.field(default=None, name="error")
    rate_limit_effect: RateLimitPreset | RateLimitEffect | None = msgspec.field(default=None, name="rateLimit")
    pagination_effect: PaginationKind | None = msgspec.field(default=None, name="pagination")
    corrupt_effect: CorruptKind | None = msgspec.field(default=None, name="corrupt")
    connection_effect: ConnectionKind | ConnectionEffect | None = msgspec.field(default=None, name="connection")
    workflow_effect: WorkflowEffect | None = msgspec.field(default=None, name="workflow")
    respond_effect: dict[str, Any] | None = msgspec.field(default=None, name="respond")
    latency_effect: Latency | None = msgspec.field(default=None, name="latency")

    @property
    def effects(self) -> dict[str, Effect]:
        """The effects that are given, by the name of their kind; a valid fault has one, or only latency."""
        connection = self.connection_effect
        found: dict[str, Effect | None] = {
            "error": self.error_effect,
            "rateLimit": AwsRateLimitEffect() if self.rate_limit_effect == "aws" else self.rate_limit_effect,
            "pagination": PaginationEffect(kind=self.pagination_effect) if self.pagination_effect else None,
            "corrupt": CorruptEffect(kind=self.corrupt_effect) if self.corrupt_effect else None,
            "connection": ConnectionEffect(kind=connection) if isinstance(connection, str) else connection,
            "workflow": self.workflow_effect,
            "respond": None if self.respond_effect is None else RespondEffect(output=self.respond_effect),
        }
        return {name: effect for name, effect in found.items() if effect is not None}

    @staticmethod
    def error(
        code: str,
        message: str | None = None,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        **options: Unpack[FaultOptions],
    ) -> Fault:
        """Return a fault that answers with an error; see ``ErrorEffect``."""
        effect = ErrorEffect(code=code, message=message, status=status, retry_after=retry_after)
        return _make(options, error_effect=effect)

    @overload
    @staticmethod
    def rate_limit(per_second: RateLimitPreset, **options: Unpack[FaultOptions]) -> Fault: ...
    @overload
    @staticmethod
    def rate_limit(per_second: float, burst: int, **options: Unpack[FaultOptions]) -> Fault: ...
    @staticmethod
    def rate_limit(
        per_second: RateLimitPreset | float, burst: int | None = None, **options: Unpack[FaultOptions]
    ) -> Fault:
        """Return a fault that throttles requests beyond a rate; see ``RateLimitEffect``.

        ``rate_limit("aws")`` gives each operation the quota that it has at AWS; see ``AWS_RATES``.
        """
        if isinstance(per_second, str):
            return _make(options, rate_limit_effect=per_second)
        if burst is None:
            raise TypeError("a rate needs a burst")
        return _make(options, rate_limit_effect=RateLimitEffect(per_second=per_second, burst=burst))

    @staticmethod
    def pagination(kind: PaginationKind, **options: Unpack[FaultOptions]) -> Fault:
        """Return a fault that changes the entries or the token of a page; see ``PaginationEffect``."""
        return _make(options, pagination_effect=kind)

    @staticmethod
    def corrupt(kind: CorruptKind, **options: Unpack[FaultOptions]) -> Fault:
        """Return a fault that spoils the body of an answer; see ``CorruptEffect``."""
        return _make(options, corrupt_effect=kind)

    @staticmethod
    def connection(kind: ConnectionKind, *, seconds: float | None = None, **options: Unpack[FaultOptions]) -> Fault:
        """Return a fault that breaks the connection; ``seconds`` is how long a stall lasts."""
        return _make(
            options, connection_effect=ConnectionEffect(kind=kind, seconds=seconds) if seconds is not None else kind
        )

    @staticmethod
    def workflow(
        outcome: Literal["succeeded", "failed"] = "succeeded",
        message: str | None = None,
        *,
        reads: int | UnsetType | None = UNSET,
        seconds: float | UnsetType | None = UNSET,
        failed_files: float | None = None,
        **options: Unpack[FaultOptions],
    ) -> Fault:
        """Return a fault that changes how an operation goes on and ends; see ``WorkflowEffect``."""
        effect = WorkflowEffect(
            outcome=outcome, message=message, reads=reads, seconds=seconds, failed_files=failed_files
        )
        return _make(options, workflow_effect=effect)

    @staticmethod
    def respond(output: Mapping[str, Any], **options: Unpack[FaultOptions]) -> Fault:
        """Return a fault that answers with an output of the test's own; see ``RespondEffect``."""
        return _make(options, respond_effect=dict(output))

    @staticmethod
    def latency(seconds: float, jitter: float = 0.0, **options: Unpack[FaultOptions]) -> Fault:
        """Return a fault that only delays the answer; a later fault may fire for the same request."""
        return _make(options, latency_effect=Latency(seconds, jitter))


def _make(options: Mapping[str, Any], **effect: Any) -> Fault:
    known = FaultOptions.__annotations__
    for name in options.keys() - known.keys():
        raise TypeError(f"unexpected keyword argument {name!r}{suggestion(name, known)}")
    match = {name: value for name, value in options.items() if name in Match.__struct_fields__}
    rest = {
        "latency_effect" if name == "latency" else name: value
        for name, value in options.items()
        if name not in Match.__struct_fields__
    }
    return Fault(match=Match(**match), **(rest | effect))


msgspec.json.Decoder(Fault)  # two threads that prepare a type at the same time crash Python (msgspec 0.22)
