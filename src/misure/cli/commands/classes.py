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

    If it reports instances by itself, each with its score. IMAGE may also be a folder of images, or
    of the channels of several cases: each of them.
    """
    from misure.datasets.image_files import ImageFiles, open_images
    from misure.models.segmentation import segment

    model, reading = load_model_and_reading(spec, model_options, device, slice_index, image_options)
    is_folder = image.is_dir()
    images = open_images(image, reading) if is_folder else ImageFiles([image], reading=reading)
    rows, instances = list[list[str]](), list[list[str]]()
    for index in range(len(images)):
        sample = images[index]
        found = segment(model, sample.image.to(model.device), affine=sample.affine)
        rows += [
            [sample.key, str(entry.class_index), entry.class_name, f"{entry.num_pixels:,}",
             f"{entry.area_fraction:.2%}", str(entry.num_objects)]
            for entry in found.found_classes()
        ]  # fmt: skip
        if found.objects:
            instances += [[sample.key, *row] for row in _instances(found)]
    if quiet:
        return
    first = 0 if len(images) > 1 else 1  # one image needs no name
    header = ["image", "class_index", "class_name", "pixels", "area", "objects"]
    say(table(header[first:], [row[first:] for row in rows]))
    if instances:
        header = ["image", "class_name", "N", "score", "pixels", "area", "inside"]
        say("\nInstances that the network reports (--class NAME --instance N):")
        say(table(header[first:], [row[first:] for row in instances]))


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
