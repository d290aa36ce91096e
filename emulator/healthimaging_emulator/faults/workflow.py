"""``workflow``: change the end of an operation that continues after its answer, and when it comes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from ..aws.operation import Operation
from ..healthimaging.context import Workflow
from ..healthimaging.shapes.identifiers import Message
from ..healthimaging.transitions import Pace
from .effect import Effect

DEFAULT_MESSAGE = "INVALID_REQUEST:  The request could not be completed."


class WorkflowEffect(Effect, frozen=True, kw_only=True):
    """The end of the workflow: its ``outcome``, and a ``message`` if the outcome is ``failed``.

    ``failed_files`` is the share of an import's files that fail: each does with this probability, from a generator of
    its own, so the same ones in every run.

    The end comes after ``reads`` requests or after ``seconds``, whichever is first. null switches one off; by default
    both are those of the settings. For an import, they are how long it is IN_PROGRESS.
    """

    outcome: Literal["succeeded", "failed"] = "succeeded"
    message: Message | None = None
    reads: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET
    seconds: Annotated[float, Meta(ge=0, le=1000000000.0)] | UnsetType | None = UNSET
    failed_files: Annotated[float, Meta(gt=0, le=1)] | None = None

    @property
    def is_random(self) -> bool:
        return self.failed_files is not None

    def objection(self, operation: Operation[Any, Any]) -> str | None:
        if not operation.is_asynchronous:
            return f"{operation.name} does not continue after its answer"
        if self.failed_files is not None and operation.name != "StartDICOMImportJob":
            return f"{operation.name} imports no files"
        return None

    def workflow(self, default: Workflow, seed: float) -> Workflow:
        pace = Pace(
            default.pace.reads if self.reads is UNSET else self.reads,
            default.pace.seconds if self.seconds is UNSET else self.seconds,
        )
        failure = (self.message or DEFAULT_MESSAGE) if self.outcome == "failed" else None
        return Workflow(pace, failure, self.failed_files or 0.0, seed)
