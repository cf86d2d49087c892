"""`misure classes`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from misure._util.words import counted, share
from misure.cli.commands.inputs import check_inputs
from misure.cli.commands.options import (
    force_option,
    image_argument,
    load_model_and_reading,
    out_option,
    quiet_option,
    with_model,
)
from misure.cli.terminal import say, table
from misure.cli.typed import RememberingCommand, same_with
from misure.errors import InputError

if TYPE_CHECKING:
    from misure.datasets.image_files import ImageFiles
    from misure.models.listed_objects import ListedClass, ListedObject
    from misure.models.model import SegmentationModel

_BESIDES = ("out", "as_json", "force", "quiet", "image")


@click.command(cls=RememberingCommand)
@image_argument
@with_model()
@out_option("Picture to draw: the objects with their numbers N, as .png.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead: a list of images.")
@force_option
@quiet_option
@click.pass_context
def classes(
    ctx: click.Context,
    image: Path,
    spec: str,
    model_options: dict[str, Any],
    device: str,
    slice_index: int | None,
    image_options: dict[str, Any],
    out: Path | None,
    as_json: bool,
    force: bool,
    quiet: bool,
) -> None:
    """List what the network finds in an image, one object a line, and how to explain one.

    Objects are those that the network reports, each with its score, or else connected parts; the
    largest 20 of each class. N is the number for --instance, centre a pixel inside for --point.
    IMAGE may also be a folder of images, or of the channels of several cases: each of them.
    """
    from misure.datasets.image_files import ImageFiles, open_images
    from misure.models.listed_objects import list_objects
    from misure.models.segmentation import segment
    from misure.reports.objects_picture import check_picture, save_objects_picture

    is_folder = image.is_dir()
    if out is not None:
        check_picture(out, force=force)
    check_inputs(image, spec, takes_folder=True)
    model, reading = load_model_and_reading(spec, model_options, device, slice_index, image_options)
    images = open_images(image, reading) if is_folder else ImageFiles([image], reading=reading)
    if out is not None and len(images) > 1:
        raise InputError(
            f"expected one image with --out, got a folder of {len(images)}. Name one of them."
        )
    rows, more, explained = list[list[str]](), list[str](), ""
    records: list[dict[str, Any]] = []
    for index in range(len(images)):
        sample = images[index]
        found = segment(model, sample.image.to(model.device), affine=sample.affine)
        listed = list_objects(found)
        if out is not None:
            save_objects_picture(sample.image, listed, out, order=sample.order, name=sample.key)
        records.append({"image": sample.key, "classes": [_record(entry) for entry in listed]})
        rows += [[sample.key, *row] for row in _rows(listed)]
        more += [
            _more(entry, sample.key if len(images) > 1 else "")
            for entry in listed
            if entry.num_more
        ]
        explained = explained or _next(ctx, listed, model, _path_of(images, index, image))
    if as_json:
        say(json.dumps(records, indent=2))
        return
    if quiet:
        return
    unit = "voxels" if sample.image.ndim == 4 else "pixels"
    say(_as_table(rows, unit, named=len(images) > 1))
    for line in more:
        say(line)
    if out is not None:
        say(
            f"\nThe objects are drawn in {out}, each with its number N, in the colour of its class."
        )
    if explained:
        say(f"\nTo explain one of them, such as the first:\n  {explained}")
    else:
        say("\nThe network finds nothing but the background; --class 0 explains that.")


def _as_table(rows: list[list[str]], unit: str, *, named: bool) -> str:
    """The table, without columns in which nothing stands; one image needs no name."""
    header = ["image", "class_index", "class_name", "N", "score", unit, "area", "centre"]
    filled = [
        column
        for column in range(len(header))
        if (column or named) and any(row[column] for row in rows)
    ]
    return table([header[i] for i in filled], [[row[i] for i in filled] for row in rows])


def _rows(listed: "list[ListedClass]") -> list[list[str]]:
    """A line for each object, and one for a background."""
    rows: list[list[str]] = []
    for entry in listed:
        kind = [str(entry.found.class_index), entry.found.class_name]
        if not entry.objects:
            area = share(entry.found.area_fraction)
            rows.append([*kind, "", "", f"{entry.found.num_pixels:,}", area, ""])
        rows += [[*kind, *_cells(each)] for each in entry.objects]
    return rows


def _record(entry: "ListedClass") -> dict[str, Any]:
    """A class and its objects as plain values."""
    found = entry.found
    return {
        "class_index": found.class_index,
        "class_name": found.class_name,
        "num_pixels": found.num_pixels,
        "area_fraction": found.area_fraction,
        "num_objects": found.num_objects,
        "objects": [
            {
                "instance": each.instance,
                "score": each.score,
                "num_pixels": each.num_pixels,
                "area_fraction": each.area_fraction,
                "centre": each.centre,
            }
            for each in entry.objects
        ],
    }


def _cells(each: "ListedObject") -> list[str]:
    return [
        str(each.instance),
        "" if each.score is None else f"{each.score:.3f}",
        f"{each.num_pixels:,}",
        share(each.area_fraction),
        "covered" if each.centre is None else ",".join(map(str, each.centre)),
    ]


def _more(entry: "ListedClass", key: str) -> str:
    """The sentence that says how many objects are not listed."""
    where = f" in {key}" if key else ""
    return (
        f"{entry.found.class_name}{where}: the largest {len(entry.objects)} of "
        f"{counted(entry.found.num_objects, 'object')} are listed, {entry.num_more:,} more have "
        "the next numbers N."
    )


def _path_of(images: "ImageFiles", index: int, image: Path) -> str:
    """What to call one of the images on the command line."""
    return str(image) if not image.is_dir() else ",".join(map(str, images.paths(index)))


def _next(
    ctx: click.Context, listed: "list[ListedClass]", model: "SegmentationModel", image: str
) -> str:
    """The command that explains the first object; empty if there is none."""
    from misure.models.names import typed_class

    for entry in listed:
        if entry.objects:
            said = typed_class(entry.found.class_index, model.class_names)
            added = ["--class", said, "--instance", str(entry.objects[0].instance)]
            return same_with(ctx, "explain", image, without=_BESIDES, added=added)
    return ""
