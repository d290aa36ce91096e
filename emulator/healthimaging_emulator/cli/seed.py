"""``seed``: check and make seeds, and exchange them with a running emulator."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click
import msgspec

from ..errors import InvalidError
from ..seeds.document import DEFAULT_CREATED_AT, make_schema
from ..seeds.loader import load_seed
from ..seeds.mistakes import find_mistakes
from ..seeds.writer import write_seed
from ..server.access_log import to_printable
from .capture import capture
from .options import InvalidDocument, load, read_streams, summarize
from .output import output_option, write_output
from .remote import Running, for_running


@click.group()
def seed() -> None:
    """Check and make seeds, and exchange them with a running emulator."""


@seed.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(readable=False))
def check(sources: tuple[str, ...]) -> None:
    """Check files, folders, or standard input (-): exit code 0 if they are a seed, otherwise 2 and all mistakes.

    Example: healthimaging-emulator seed check my-seed.json
    """
    read = read_streams(sources)
    try:
        seed = load_seed(*read)
    except InvalidError as error:
        lines, count = find_mistakes(*read)
        if not lines:  # a rule of the loader alone, such as for the ids that it gives to faults
            lines, count = [str(error)], 1
        lines += [f"and {count - len(lines):,} more"] if count > len(lines) else []
        click.echo("\n".join(map(to_printable, lines)), err=True)
        raise InvalidDocument(f"{count:,} mistake{'' if count == 1 else 's'}") from None
    click.echo(f"ok: {summarize(seed.baseline)}")


@seed.command()
@click.option("--image-sets", type=int, help="Number of image sets, with metadata.  [default: one history]")
@click.option("--patients", type=int, help="Number of patients of these image sets.  [default: a quarter as many]")
@click.option("--versions", type=int, help="Number of versions; of image sets, the most.  [default: 137; 1]")
@click.option("--failed", type=int, help="Number of versions of the history that record a failed action.  [default: 0]")
@click.option("--seed", default=0, show_default=True, help="The same number gives the same seed.")
@click.option("--created-at", default=str(DEFAULT_CREATED_AT), show_default=True, help="Epoch seconds, or ISO 8601.")
@click.option("--datastore-id", default="1234567890" * 3 + "12", show_default=True)
@click.option("--image-set-id", default="0" * 31 + "1", show_default=True)
@output_option
def generate(datastore_id: str, image_set_id: str, image_sets: int | None, output: str, **numbers: Any) -> None:
    """Write a seed made from a few numbers: one image set with a long history, or many with metadata.

    Example: healthimaging-emulator seed generate --image-sets 1000 --patients 30 --output my-seed.json
    """
    if image_sets is not None and numbers["failed"] is not None:
        raise click.UsageError("--failed is for one history: leave out --image-sets")
    if image_sets is None and numbers["patients"] is not None:
        raise click.UsageError("--patients needs --image-sets")
    given = {name: value for name, value in numbers.items() if value is not None and name != "created_at"}
    given["createdAt"] = numbers["created_at"]
    with suppress(ValueError):  # then it is ISO 8601
        given["createdAt"] = float(numbers["created_at"])
    if image_sets is None:
        image_set = {"imageSetId": image_set_id, "generate": {"versions": 137} | given}
        datastore: dict[str, Any] = {"datastoreId": datastore_id, "imageSets": [image_set]}
    else:
        datastore = {"datastoreId": datastore_id, "generate": {"imageSets": image_sets} | given}
    write_output(write_seed(load([{"datastores": [datastore]}]).baseline), output)


@seed.command()
@for_running
@output_option
def export(running: Running, output: str) -> None:
    """Write the present state of a running emulator as a seed.

    Example: healthimaging-emulator seed export --output my-seed.json
    """
    write_output(running.account.export_seed(), output)


@seed.command("load")
@for_running
@click.option("--add", is_flag=True, help="Add its image sets and faults, instead of replacing the whole state.")
@click.argument("sources", nargs=-1, required=True, type=click.Path(readable=False))
def load_(running: Running, sources: tuple[str, ...], add: bool) -> None:
    """Let a running emulator begin again with a seed: files, folders, or standard input (-).

    Later resets return to it.

    Example: healthimaging-emulator seed load my-seed.json
    """
    loaded = load(read_streams(sources))
    if add:
        running.ask("POST", "seed", body=msgspec.Raw(write_seed(loaded.baseline, loaded.faults)))
    else:
        running.account.put(loaded)


@seed.command()
def schema() -> None:
    """Print the JSON Schema of a seed, for an editor.

    Example: healthimaging-emulator seed schema > seed.schema.json
    """
    click.echo(msgspec.json.format(msgspec.json.encode(make_schema()), indent=2))


seed.add_command(capture)
