"""``seed``: check, make and fetch seeds."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import click
import msgspec

from healthimaging_emulator.accounts import DEFAULT_ACCOUNT
from healthimaging_emulator.cli import settings
from healthimaging_emulator.cli.settings import BadSeed, load, setting, summary
from healthimaging_emulator.seeds import loader as seeds
from healthimaging_emulator.seeds.generate import DEFAULT_CREATED_AT
from healthimaging_emulator.seeds.reader import SeedError

output_option = click.option(
    "--output", default="-", type=click.File("wb", lazy=True), help="A file.  [default: standard output]"
)


@click.group()
def seed() -> None:
    """Check, make and fetch seeds."""


@seed.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(readable=False))
def check(sources: tuple[str, ...]) -> None:
    """Say whether files or folders are a seed: exit code 0, or 2 and what is wrong.

    Example: healthimaging-emulator seed check my-seed.json
    """
    click.echo(f"ok: {summary(load(sources).baseline)}")


@seed.command()
@click.option("--versions", default=137, show_default=True, help="How many.")
@click.option("--failed", default=0, show_default=True, help="How many of them record a failed action.")
@click.option("--seed", default=0, show_default=True, help="The same number gives the same history.")
@click.option("--created-at", default=str(DEFAULT_CREATED_AT), show_default=True, help="Epoch seconds, or ISO 8601.")
@click.option("--datastore-id", default="1234567890" * 3 + "12", show_default=True)
@click.option("--image-set-id", default="0" * 31 + "1", show_default=True)
@output_option
def generate(datastore_id: str, image_set_id: str, output: Any, **numbers: Any) -> None:
    """Write a seed with one image set and a history made from a few numbers.

    Example: healthimaging-emulator seed generate --versions 1000 --failed 20 --output my-seed.json
    """
    renamed = {"createdAt" if name == "created_at" else name: value for name, value in numbers.items()}
    with suppress(ValueError):  # then it is ISO 8601
        renamed["createdAt"] = float(renamed["createdAt"])
    image_set = {"imageSetId": image_set_id, "generate": renamed}
    made = load([{"datastores": [{"datastoreId": datastore_id, "imageSets": [image_set]}]}])
    _write(seeds.dump(made.baseline), output)


@seed.command()
@click.option("--datastore-id", required=True, help="The image sets' data store.")
@click.option("--image-set-id", multiple=True, help="Repeatable; needed unless there is an --input.")
@click.option("--profile", help="Of the AWS credentials.  [default: what boto3 finds]")
@click.option("--region", help="[default: what boto3 finds]")
@click.option("--endpoint-url", help="Ask there instead of AWS; an emulator, say.")
@click.option("--input", "saved", type=click.File("rb"), help="Read what the AWS CLI saved; - is standard input.")
@output_option
def capture(
    datastore_id: str, image_set_id: tuple[str, ...], saved: Any, output: Any, **reached_by: str | None
) -> None:
    """Write a seed of the versions that real image sets have: through boto3, or from what the AWS CLI saved.

    Example: healthimaging-emulator seed capture --datastore-id 12345678901234567890123456789012
    --image-set-id ea92b0d8838c72a3f25d00d13616f87e --output my-seed.json
    """
    from healthimaging_emulator.cli import capture as capturing

    if not (saved or image_set_id):
        raise click.UsageError("give an --image-set-id, or an --input")
    try:
        if saved:
            entries = capturing.saved(saved.read())
            entries = [entry for entry in entries if not image_set_id or entry.get("imageSetId") in image_set_id]
        else:
            ids = dict.fromkeys(image_set_id)
            entries = [entry for id in ids for entry in _listed(datastore_id, id, **reached_by)]
        document = capturing.document(datastore_id, entries)
    except SeedError as error:
        raise BadSeed(str(error)) from None
    if not entries:
        raise click.ClickException("no versions were found")
    captured = load([document])
    click.echo(f"captured {summary(captured.baseline)}", err=True)
    _write(seeds.dump(captured.baseline), output)


def _listed(datastore_id: str, image_set_id: str, **reached_by: Any) -> list[dict[str, Any]]:
    from healthimaging_emulator.cli import capture as capturing

    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise click.ClickException("boto3 is needed: pip install boto3") from None

    def progress(count: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{image_set_id}: {count:,} versions", nl=False, err=True)

    try:
        return capturing.listed(datastore_id, image_set_id, on_entries=progress, **reached_by)
    except (BotoCoreError, ClientError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    except (KeyError, TypeError, AttributeError, OverflowError) as error:  # of boto3, too
        raise click.ClickException(f"an answer came that is no page, or was cut on its way: {error!r}") from None
    finally:
        if sys.stderr.isatty():
            click.echo(err=True)


@seed.command()
@click.argument("url")
@click.option("--account", default=DEFAULT_ACCOUNT, show_default=True, callback=settings.account, help="Whose view.")
@setting("--control-token", help="What the emulator asks for.  [default: none]")
@output_option
def export(url: str, account: str, control_token: str | None, output: Any) -> None:
    """Write a seed of what a running emulator holds.

    Example: healthimaging-emulator seed export http://127.0.0.1:4580 --output my-seed.json
    """
    from healthimaging_emulator.control.client import Remote  # whose HTTP client the other commands need not wait for

    try:
        exported = Remote(url, account, control_token=control_token).seed()
    except ValueError as error:
        hint = "; give it with --control-token" if getattr(error, "code", None) == "Forbidden" else ""
        raise click.ClickException(f"{error}{hint}") from None
    except OSError as error:
        hint = "; AWS_CA_BUNDLE names the authority to trust" if "CERTIFICATE_VERIFY_FAILED" in str(error) else ""
        raise click.ClickException(f"cannot reach {url}: {error.strerror or error}{hint}") from None
    _write(exported, output)


@seed.command()
def schema() -> None:
    """Print the JSON Schema of a seed, for an editor.

    Example: healthimaging-emulator seed schema > seed.schema.json
    """
    click.echo(msgspec.json.format(msgspec.json.encode(seeds.schema()), indent=2))


def _write(document: bytes, output: Any) -> None:
    try:
        output.write(msgspec.json.format(document, indent=2) + b"\n")
        output.flush()
    except OSError as error:
        raise click.ClickException(f"cannot write {output.name}: {error.strerror}") from None
