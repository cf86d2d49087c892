"""`misure merge`."""

from pathlib import Path

import click

from misure.cli.commands.options import force_option
from misure.cli.terminal import counted


@click.command()
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .jsonl file.")
@force_option
def merge(run: str, out: Path, force: bool) -> None:
    """Write the records of all writers of a run as one file, one line an object, sorted by key.

    Copy shards that were run into folders of their own into one folder first.
    """
    from misure._util.folders import refuse_foreign_file
    from misure.runs.run import read_run
    from misure.runs.table import write_jsonl

    refuse_foreign_file(out, b'"status"', force=force)
    records = read_run(run)
    write_jsonl(records, out)
    click.echo(f"{out}: {counted(len(records), 'object')}")
