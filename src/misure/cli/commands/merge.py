"""`misure merge`."""

from pathlib import Path

import click

from misure._util.words import counted
from misure.cli.commands.options import complete_path, force_option
from misure.cli.terminal import say


@click.command()
@click.argument("run", shell_complete=complete_path)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .jsonl file.")
@force_option
def merge(run: str, out: Path, force: bool) -> None:
    """Write the records of all writers of a run as one file, one line an object, sorted by key.

    Copy shards that were run into folders of their own into one folder first.
    """
    from misure._util.folders import refuse_foreign_file
    from misure.runs.table import comparable_records, write_jsonl

    refuse_foreign_file(out, b'"status"', force=force)
    num_written = write_jsonl(comparable_records(run), out)
    say(f"{out}: {counted(num_written, 'object')}")
