"""`misure effects`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from misure._util.words import counted
from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.option_values import names_of_all
from misure.cli.commands.options import (
    complete_path,
    force_option,
    load_model_and_reading,
    out_option,
    quiet_option,
    seed_option,
    with_model,
)
from misure.cli.terminal import progress, say, table

if TYPE_CHECKING:
    from misure.metrics.effect_cells import EffectCell

_SHOWN = 20


@click.command(cls=FilledCommand)
@click.argument("source", shell_complete=complete_path)
@with_model()
@click.option(
    "--class",
    "classes",
    multiple=True,
    callback=names_of_all,
    metavar="NAME|INDEX",
    help="Classes whose objects are measured: repeated, or with commas.  [default: all but the "
    "background]",
)
@click.option(
    "--instances",
    is_flag=True,
    help="Measure each connected object by itself, not each class as a whole.",
)
@click.option(
    "--min-area",
    default=0.001,
    show_default=True,
    help="Area of the smallest object and hidden class, as a fraction of the image.",
)
@click.option(
    "--controls",
    "num_controls",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="Places elsewhere where the same form is hidden, for each hidden class.",
)
@click.option(
    "--baseline-image",
    default="mean",
    show_default=True,
    metavar="NAME",
    help="What stands where pixels are hidden: {baseline_images}. Several with commas: figures are "
    "means over them.",
)
@click.option(
    "--edge-px",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Width of the soft edge of what is hidden.",
)
@click.option("--limit", type=click.IntRange(1), help="Only the first N samples.", metavar="N")
@seed_option
@out_option("File to write to, as JSON.", "effects.json")
@force_option
@quiet_option
def effects(
    source: str,
    spec: str,
    model_options: dict[str, Any],
    device: str,
    slice_index: int | None,
    image_options: dict[str, Any],
    classes: tuple[str, ...],
    instances: bool,
    min_area: float,
    num_controls: int,
    baseline_image: str,
    edge_px: int,
    limit: int | None,
    seed: int,
    out: Path,
    force: bool,
    quiet: bool,
) -> None:
    """What objects lose without the classes around them: class by class, over a data set.

    SOURCE is a folder, a text file with one path a line, or a data set: {datasets}.

    Each other class that the network draws in an image is hidden, and as large a region elsewhere
    for comparison.
    """
    from misure._util.files import write_text
    from misure._util.folders import refuse_foreign_file
    from misure._util.records import encode
    from misure.datasets import open_dataset
    from misure.datasets.subset import Subset
    from misure.metrics.effect_matrix import context_effect_matrix

    refuse_foreign_file(out, b'"model"', force=force)
    model, reading = load_model_and_reading(spec, model_options, device, slice_index, image_options)
    dataset = open_dataset(source, reading)
    with progress(quiet) as on_step:
        matrix = context_effect_matrix(
            model,
            Subset(dataset, range(min(limit or len(dataset.keys), len(dataset.keys)))),
            classes=classes,
            instances=instances,
            min_area=min_area,
            num_controls=num_controls,
            baseline_image=baseline_image,
            edge_px=edge_px,
            seed=seed,
            on_step=on_step,
        )
    write_text(out, encode(matrix.record()).decode() + "\n")
    if quiet:
        return
    strongest = sorted(matrix.cells, key=lambda cell: -cell.effect)
    say(table(_HEADER, [_row(cell) for cell in strongest[:_SHOWN]]))
    say()
    for sentence in matrix.sentences():
        say(sentence)
    say(
        f"\n{counted(matrix.num_images, 'image')}, {counted(len(matrix.cells), 'pair')} of "
        f"classes, {counted(matrix.cost.forward_passes, 'forward pass')}; see {out}"
    )


_HEADER = ["object", "hidden", "effect", "95 % interval", "elsewhere", "objects", "images"]


def _row(cell: "EffectCell") -> list[str]:
    interval = "-"
    if cell.low is not None and cell.high is not None:
        interval = f"{cell.low:.2f} to {cell.high:.2f}"
    elsewhere = "-" if cell.control_effect is None else f"{cell.control_effect:.2f}"
    numbers = [str(cell.num_objects), str(cell.num_images)]
    return [
        cell.target_name, cell.hidden_name, f"{cell.effect:.2f}", interval, elsewhere, *numbers
    ]  # fmt: skip
