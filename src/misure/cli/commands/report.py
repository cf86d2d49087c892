"""`misure report`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from misure.cli.commands.numbering import with_numbering
from misure.cli.commands.options import complete_path, force_option, out_option
from misure.cli.terminal import file_size, say


@click.command()
@click.argument("runs", nargs=-1, required=True, shell_complete=complete_path)
@click.option(
    "--reliability",
    "model",
    type=click.Path(path_type=Path),
    help="What misure reliability fit wrote: also list what to review, the worst first.",
)
@click.option(
    "--annotations",
    multiple=True,
    metavar="SPEC",
    help="Data set with annotations, e.g. coco:FOLDER, or a folder of them; one for all runs, or "
    "one for each: also show the annotated pixels of each object, and its Dice with them.",
)
@with_numbering
@click.option(
    "--picture-px",
    type=click.IntRange(16),
    metavar="N",
    help="Longer side of the pictures, at most.  [default: 384; less for more than 150 objects]",
)
@click.option(
    "--full-size",
    is_flag=True,
    help="Also write the pictures of each object at full size, in files beside the page.",
)
@out_option("The page to write.", "report.html")
@force_option
def report(
    runs: tuple[str, ...],
    model: Path | None,
    annotations: tuple[str, ...],
    numbering: dict[str, Any],
    picture_px: int | None,
    full_size: bool,
    out: Path,
    force: bool,
) -> None:
    """Write one run, or several side by side, as a page to look at; it needs no network."""
    from misure._util.folders import refuse_foreign_file
    from misure.reliability import ReliabilityModel
    from misure.reports.page import write_report

    refuse_foreign_file(out, b"<title>misure", force=force)
    reliability = ReliabilityModel.load(model) if model else None
    page, *pictures = write_report(
        runs,
        out,
        reliability=reliability,
        annotations=annotations,
        picture_px=picture_px,
        full_size=full_size,
        **numbering,
    )
    say(f"{page}: {_size([page])}")
    if pictures:
        say(f"{pictures[0].parent}: {_size(pictures)} of pictures, part of the page")


def _size(files: Sequence[Path]) -> str:
    return file_size(sum(file.stat().st_size for file in files))
