"""`misure classes`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from misure.cli.commands.filled_help import FilledCommand
from misure.cli.commands.options import (
    image_argument,
    load_model_and_reading,
    quiet_option,
    with_model,
)
from misure.cli.terminal import say, table

if TYPE_CHECKING:
    from misure.models.segmentation import Segmentation


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
    """What the network finds in an image: classes, areas, number of objects.

    If it reports instances by itself, each with its score.
    """
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
        if found.objects:
            say("\nInstances that the network reports (--class NAME --instance N):")
            say(table(["class_name", "N", "score", "pixels", "area", "inside"], _instances(found)))


def _instances(found: "Segmentation") -> list[list[str]]:
    """A row for each reported instance, by class, the largest first; a pixel inside names it."""
    rows = []
    for entry in found.found_classes():
        for number, instance in enumerate(found.instances_of(entry.class_index)):
            num_pixels = int(instance.region.sum())
            row, column = instance.region.nonzero()[num_pixels // 2].tolist()[-2:]
            rows.append([
                entry.class_name, str(number), f"{instance.score:.3f}", f"{num_pixels:,}",
                f"{num_pixels / instance.region.numel():.2%}", f"{row},{column}",
            ])  # fmt: skip
    return rows
