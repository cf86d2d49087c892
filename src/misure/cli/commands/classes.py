"""`misure classes`."""

from pathlib import Path
from typing import Any

import click

from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.options import (
    image_argument,
    load_model_and_reading,
    quiet_option,
    with_model,
)
from misure.cli.terminal import say, table


@click.command(cls=FilledCommand)
@image_argument
@with_model()
@quiet_option
def classes(
    image: Path,
    spec: str,
    model_options: dict[str, Any],
    device: str,
    slice_index: int | None,
    image_options: dict[str, Any],
    quiet: bool,
) -> None:
    """What the network finds in an image: classes, areas, number of objects."""
    from misure.datasets.image_files import ImageFiles
    from misure.models.segmentation import segment

    model, reading = load_model_and_reading(spec, model_options, device, slice_index, image_options)
    sample = ImageFiles([image], reading=reading)[0]
    found = segment(model, sample.image.to(model.device), affine=sample.affine)
    classes = found.found_classes()
    if not quiet:
        rows = [
            [str(entry.class_index), entry.class_name, f"{entry.num_pixels:,}",
             f"{entry.area_fraction:.2%}", str(entry.num_objects)]
            for entry in classes
        ]  # fmt: skip
        say(table(["class_index", "class_name", "pixels", "area", "objects"], rows))
