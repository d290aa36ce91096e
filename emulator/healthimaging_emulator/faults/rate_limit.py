"""``rateLimit``: throttle requests that exceed a rate, by a token bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from ..aws.errors import ThrottlingException
from .effect import Effect, Target

RateLimitPreset = Literal["aws"]


class Rate(NamedTuple):
    """Requests per second, and how many may come at once."""

    per_second: float
    burst: int


AWS_RATES = {
    "CreateDatastore": Rate(0.085, 1),
    "DeleteDatastore": Rate(0.085, 1),
    "UpdateImageSetMetadata": Rate(0.25, 1),
    "CopyImageSet": Rate(0.25, 1),
    "DeleteImageSet": Rate(0.25, 1),
    "StartDICOMImportJob": Rate(1, 2),
    "ListDatastores": Rate(5, 10),
    "GetDatastore": Rate(10, 20),
    "ListDICOMImportJobs": Rate(10, 20),
    "TagResource": Rate(10, 20),
    "UntagResource": Rate(10, 20),
    "ListTagsForResource": Rate(10, 20),
    "GetDICOMImportJob": Rate(25, 50),
    "SearchImageSets": Rate(25, 50),
    "GetImageSet": Rate(25, 50),
    "ListImageSetVersions": Rate(25, 50),
    "GetImageSetMetadata": Rate(50, 100),
    "GetImageFrame": Rate(1000, 2000),
}
"""The default quotas of an account (https://docs.aws.amazon.com/healthimaging/latest/devguide/endpoints-quotas.html)."""


class Bucket:
    """A token bucket, full at the start."""

    def __init__(self, rate: Rate, elapsed: float) -> None:
        self._per_second, self._burst = rate.per_second, float(rate.burst)
        self._level, self._filled_at = self._burst, elapsed

    def take(self, elapsed: float) -> bool:
        """Take a token. Return False if there is none."""
        passed = round(elapsed - self._filled_at, 3)
        self._level = min(self._burst, self._level + passed * self._per_second)
        self._filled_at += passed  # less than a millisecond counts for the next request
        if self._level < 1 - 1e-9:  # 0.04 s at 25 a second are a whole token, whatever the floats say
            return False
        self._level -= 1
        return True


class Throttle:
    """Fires while a bucket is empty: the one of the operation, or the one that all operations share."""

    def __init__(self, buckets: Mapping[str, Bucket], shared: Bucket | None = None) -> None:
        self._buckets, self._shared = buckets, shared

    def fires(self, operation: str, elapsed: float) -> bool:
        """Take a token. Return True if there is none."""
        return not (self._shared or self._buckets[operation]).take(elapsed)


class RateLimitEffect(Effect, frozen=True, kw_only=True):
    """A rate in requests per second, and a burst. Requests beyond them get ThrottlingException."""

    per_second: Annotated[float, Meta(gt=0, le=1e6)]
    burst: Annotated[int, Meta(ge=1, le=2**63 - 1)]

    def make_trigger(self, elapsed: float) -> Throttle:
        return Throttle({}, Bucket(Rate(self.per_second, self.burst), elapsed))

    def act(self, target: Target) -> Iterator[float]:
        raise ThrottlingException


class AwsRateLimitEffect(Effect, frozen=True, kw_only=True):
    """The rates of AWS: each operation has a quota of its own."""

    def make_trigger(self, elapsed: float) -> Throttle:
        return Throttle({operation: Bucket(rate, elapsed) for operation, rate in AWS_RATES.items()})

    def act(self, target: Target) -> Iterator[float]:
        raise ThrottlingException
