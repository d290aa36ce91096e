"""``seed capture``: make a seed of real image sets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ..errors import InvalidError, requires_extra
from ..seeds.capture import Reader, connect
from ..seeds.captured import Captured, build_baseline, list_frame_files, read_saved
from ..seeds.writer import write_seed
from .options import InvalidDocument, summarize
from .output import is_replaceable, name_files, open_output, output_option

PROTECTED = "warning: metadata and frames may hold protected health information; keep this seed safe"


@click.command()
@click.option("--datastore-id", required=True, help="The image sets' data store.")
@click.option("--image-set-id", multiple=True, help="Repeatable.  [default: all image sets of the data store]")
@click.option("--metadata", is_flag=True, help="Capture the metadata of every version too.")
@click.option("--frames", is_flag=True, help="Capture metadata and frames; the frames become files beside --output.")
@click.option(
    "--max-image-sets",
    default=1000,
    show_default=True,
    type=click.IntRange(min=1),
    help="Image sets to capture of a whole data store, the last updated first.",
)
@click.option("--profile", help="Profile of the AWS credentials.  [default: as boto3 finds it]")
@click.option("--region", help="[default: as boto3 finds it]")
@click.option("--endpoint-url", help="Read from this endpoint instead of AWS, an emulator for example.")
@click.option("--input", "saved", type=click.File("rb"), help="Read saved output of the AWS CLI; - is standard input.")
@output_option
def capture(
    datastore_id: str,
    image_set_id: tuple[str, ...],
    metadata: bool,
    frames: bool,
    saved: Any,
    output: str,
    max_image_sets: int,
    profile: str | None,
    region: str | None,
    endpoint_url: str | None,
) -> None:
    """Write a seed of real image sets, read through boto3 or from output of the AWS CLI.

    Without --image-set-id and --input, it captures a whole data store.

    Example: healthimaging-emulator seed capture --datastore-id 12345678901234567890123456789012
    --image-set-id ea92b0d8838c72a3f25d00d13616f87e --output my-seed.json
    """
    _check_options(saved, output, metadata=metadata, frames=frames)
    if metadata or frames:
        click.echo(PROTECTED, err=True)
    with open_output(output) as target, _report_mistakes():
        if saved:
            captured = _read_saved(saved.read(), image_set_id)
        else:
            with _report_errors_of_boto3():
                folder = target.files if frames else None
                client = connect(profile=profile, region=region, endpoint_url=endpoint_url)
                reader = Reader(client, datastore_id, has_metadata=metadata or frames, frames_folder=folder)
                captured = _read(reader, image_set_id, max_image_sets)
        baseline = build_baseline(datastore_id, captured)
        target.write(write_seed(baseline, frame_files=list_frame_files(captured)))
    click.echo(f"captured {summarize(baseline)}", err=True)


def _check_options(saved: Any, output: str, *, metadata: bool, frames: bool) -> None:
    if saved and (metadata or frames):
        raise click.UsageError("--metadata and --frames cannot be combined with --input, which has versions only")
    if not frames:
        return
    if not is_replaceable(output):
        raise click.UsageError("--frames needs an --output that is a file, since the frames become files beside it")
    folder = name_files(Path(output))
    if folder.exists():
        raise click.UsageError(f"{folder} is there already: remove it, or choose another --output")


def _read_saved(content: bytes, image_set_ids: tuple[str, ...]) -> list[Captured]:
    (only,) = image_set_ids if len(image_set_ids) == 1 else (None,)
    captured = [each for each in read_saved(content, only) if not image_set_ids or each.image_set_id in image_set_ids]
    if not captured:
        raise click.ClickException("no versions were found")
    return captured


def _read(reader: Reader, image_set_ids: tuple[str, ...], limit: int) -> list[Captured]:
    """Read some image sets, or a whole data store."""
    if image_set_ids:
        with _progress() as show:
            return [reader.read(id, show) for id in dict.fromkeys(image_set_ids)]
    ids = reader.find_image_sets(limit + 1)
    if len(ids) > limit:
        only = "only those updated last are captured; see --max-image-sets"
        click.echo(f"warning: there are more than {limit:,} image sets: {only}", err=True)
    with _progress() as show:
        return reader.read_all(ids[:limit], show)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows a text on a terminal, in the place of the text before."""
    is_terminal = sys.stderr.isatty()

    def show(text: str) -> None:
        if is_terminal:
            click.echo(f"\r{text}", nl=False, err=True)

    try:
        yield show
    finally:
        if is_terminal:
            click.echo(err=True)


@contextmanager
def _report_mistakes() -> Iterator[None]:
    try:
        yield
    except InvalidError as error:
        raise InvalidDocument(str(error)) from None


@contextmanager
def _report_errors_of_boto3() -> Iterator[None]:
    """Report in one line that boto3 is missing, or why it or the service refused."""
    try:
        with requires_extra("boto3"):
            from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    try:
        yield
    except InvalidError:
        raise
    except (BotoCoreError, ClientError, ValueError) as error:
        raise click.ClickException(str(error)) from None
