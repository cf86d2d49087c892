"""`misure merge`."""

from pathlib import Path

import click

from misure.cli.terminal import counted, say


@click.command()
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .jsonl file.")
def merge(run: str, out: Path) -> None:
    """Write the records of all writers of a run as one file, one line an object, sorted by key.

    Copy shards that were run into folders of their own into one folder first.
    """
    from misure.runs.run import read_run
    from misure.runs.table import write_jsonl

    records = read_run(run)
    write_jsonl(records, out)
    say(f"{out}: {counted(len(records), 'object')}")
