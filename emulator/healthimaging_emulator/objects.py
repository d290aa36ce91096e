"""Objects in S3: a folder on disk that holds a folder for each bucket, or any S3 through a boto3 client.

Nothing here reaches AWS by itself: a client of boto3 is made only for an endpoint that the settings name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from .errors import EmulatorError, requires_extra

LARGEST_OBJECT = 512 * 1024 * 1024
"""Bytes of an object that is read; the emulator's own limit."""


class ObjectError(EmulatorError):
    """An object or a bucket cannot be read or written."""


class ObjectStore(Protocol):
    """Objects by bucket and key. Every method raises ``ObjectError``."""

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with a prefix, in their order."""
        ...

    def read(self, bucket: str, key: str) -> bytes:
        """Return the content of an object."""
        ...

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object."""
        ...


class FolderObjects:
    """Objects in a folder, which is made when something is written. Files whose name begins with a dot are none.

    A bucket that the folder does not have is read from ``shipped``, where nothing is written.
    """

    def __init__(self, folder: Path, shipped: Path | None = None) -> None:
        self._folder = folder
        self._shipped = shipped

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """See ``ObjectStore``."""
        folder = self._folder_of(bucket)
        if not folder.is_dir():
            raise ObjectError(f"there is no bucket {bucket} in {self._folder}")
        try:
            keys = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        except OSError as error:
            raise ObjectError(f"bucket {bucket}: {error.strerror or error}") from None
        yield from sorted(key for key in keys if key.startswith(prefix) and _is_key(key))

    def read(self, bucket: str, key: str) -> bytes:
        """See ``ObjectStore``."""
        return _read_file(_locate(self._folder_of(bucket), key, bucket), key)

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """See ``ObjectStore``."""
        path = _locate(self._folder / bucket, key, bucket)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise ObjectError(f"{key} in bucket {bucket}: {error.strerror or error}") from None

    def _folder_of(self, bucket: str) -> Path:
        """Return the folder of a bucket to read."""
        own = self._folder / bucket
        return own if self._shipped is None or own.is_dir() else self._shipped / bucket


def _locate(folder: Path, key: str, bucket: str) -> Path:
    """Return the path of an object, which must lie inside the folder of its bucket."""
    path = folder / key
    if "\0" in key or not path.resolve().is_relative_to(folder.resolve()):
        raise ObjectError(f"{key} is not inside bucket {bucket}")
    return path


def _is_key(key: str) -> bool:
    """Whether no part is hidden, and the name is UTF-8, as every key in S3 is."""
    is_hidden = any(part.startswith(".") for part in key.split("/"))
    return not is_hidden and not any("\ud800" <= character <= "\udfff" for character in key)


def _read_file(path: Path, key: str) -> bytes:
    try:
        if path.stat().st_size > LARGEST_OBJECT:
            raise ObjectError(f"{key} is too large: expected at most {LARGEST_OBJECT} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ObjectError(f"{key}: {error.strerror or error}") from None


class ClientObjects:
    """Objects behind a boto3 client for S3: of moto, MinIO, LocalStack, or any other."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """See ``ObjectStore``."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        try:
            for page in pages:
                yield from (each["Key"] for each in page.get("Contents", ()) if not each["Key"].endswith("/"))
        except self._errors() as error:
            raise ObjectError(f"bucket {bucket}: {error}") from None

    def read(self, bucket: str, key: str) -> bytes:
        """See ``ObjectStore``."""
        try:
            found = self._client.get_object(Bucket=bucket, Key=key)
            content = bytes(found["Body"].read(LARGEST_OBJECT + 1))
        except self._errors() as error:
            raise ObjectError(f"{key} in bucket {bucket}: {error}") from None
        if len(content) > LARGEST_OBJECT:
            raise ObjectError(f"{key} is too large: expected at most {LARGEST_OBJECT} bytes")
        return content

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """See ``ObjectStore``."""
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=content)
        except self._errors() as error:
            raise ObjectError(f"{key} in bucket {bucket}: {error}") from None

    @staticmethod
    def _errors() -> tuple[type[Exception], ...]:
        from botocore.exceptions import BotoCoreError, ClientError

        return BotoCoreError, ClientError


def open_objects(given: Any) -> ObjectStore | None:
    """Return the objects that a setting names: a folder, the URL of an endpoint, a boto3 client, or an object store.

    Raises ``ImportError`` for an endpoint if the extra ``boto3`` is not installed.
    """
    if given is None:
        return None
    if isinstance(given, str) and re.match("https?://", given):
        return ClientObjects(_make_client(given))
    if isinstance(given, (str, Path)):
        return FolderObjects(Path(given).absolute())
    return ClientObjects(given) if hasattr(given, "get_object") else given


def _make_client(url: str) -> Any:
    with requires_extra("boto3"):
        import boto3
        from botocore.config import Config

    session = boto3.Session()
    has_credentials = session.get_credentials() is not None
    dummies = {} if has_credentials else {"aws_access_key_id": "emulator", "aws_secret_access_key": "emulator"}
    config = Config(s3={"addressing_style": "path"}, retries={"mode": "standard"})
    region = session.region_name or "us-east-1"
    return session.client("s3", endpoint_url=url, region_name=region, config=config, **dummies)
