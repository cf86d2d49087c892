"""The objects of a segmentation drawn on the image, each with its number in its class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from misure._util.files import durable_file
from misure._util.folders import refuse_foreign_file
from misure._util.short_repr import one_line
from misure.errors import InputError
from misure.images.orientation import ViewingOrder
from misure.images.planes import as_colours, grey_range, viewing_plane
from misure.images.regions import innermost
from misure.models.listed_objects import ListedClass
from misure.reports.axes import CLASS_COLOURS, rgb, show_image
from misure.reports.canvas import Axes, Figure

_MARK = "misure classes"
_LONGER_SIDE_IN, _DPI = 8.0, 130
_LEGEND_COLUMNS = 3
_TINT = 0.4
_NAME, _LONGEST = 12, 40  # letters of a class on an object, and in the list


def check_picture(path: Path, *, force: bool) -> None:
    """Raises an InputError for a path that is no .png, or a picture of something else."""
    if path.suffix.lower() != ".png":
        raise InputError(f"expected a picture to write that ends with .png, got {path}.")
    refuse_foreign_file(path, _MARK.encode(), force=force)


def save_objects_picture(
    image: Tensor,
    classes: Sequence[ListedClass],
    path: Path,
    *,
    order: ViewingOrder,
    name: str,
) -> None:
    """Draws objects in the colours of their classes; where they overlap, smaller ones on top.

    The number on each is `ListedObject.instance`, as `--instance` takes it. If there are more
    classes than colours, the name of the class stands before it.

    A volume is shown by the axial slice that holds most of them.

    Args:
        image: (C, *spatial) float.
        classes: of it.
        path: of the PNG file.
        order: how to lay out a volume.
        name: of the image, for the title.
    """
    objects = [each for entry in classes for each in entry.objects]
    numbers = np.zeros(image.shape[1:], np.int32)
    for number in sorted(range(len(objects)), key=lambda i: -objects[i].num_pixels):
        numbers[objects[number].place][objects[number].mask] = number + 1
    drawn = torch.from_numpy(numbers)
    take, note = viewing_plane(drawn > 0, order)
    pixels, plane = as_colours(take(image.cpu()), *grey_range(image)), take(drawn).numpy()
    height, width = plane.shape
    scale = _LONGER_SIDE_IN / max(height, width)
    figure = Figure(figsize=(max(3.0, width * scale), max(2.0, height * scale) + 1.0))
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    show_image(axes, 0.75 * pixels + 0.25 * float(pixels.mean()))
    _draw(axes, classes, plane)
    seen = sum(bool((plane == number + 1).any()) for number in range(len(objects)))
    shown = "" if seen == len(objects) else f"; {seen} of {len(objects)} objects are in view"
    axes.set_title(f"{Path(name).name}{note}{shown}", fontsize=9, parse_math=False, wrap=True)
    axes.set_axis_off()
    with durable_file(path) as unfinished:
        figure.savefig(
            unfinished, format="png", dpi=_DPI, metadata={"Title": _MARK}, bbox_inches="tight"
        )


def _draw(axes: Axes, classes: Sequence[ListedClass], plane: np.ndarray) -> None:
    """The objects of a plane (H, W) of numbers, and below it what class has which numbers."""
    tint = np.zeros((*plane.shape, 4))
    colours, names, labels = dict[int, str](), list[str](), list[tuple[str, str]]()
    entries = [entry for entry in classes if entry.objects]
    for place, entry in enumerate(entries):
        colour = CLASS_COLOURS[place % len(CLASS_COLOURS)]
        shown = one_line(entry.found.class_name, _NAME) if len(entries) > len(CLASS_COLOURS) else ""
        names += [f"{shown} {each.instance}".lstrip() for each in entry.objects]
        colours |= dict.fromkeys(range(len(colours) + 1, len(names) + 1), colour)
        instances = [each.instance for each in entry.objects]
        first, last = min(instances), max(instances)
        span = f"{first}" if first == last else f"{first} to {last}"
        labels.append((f"{one_line(entry.found.class_name, _LONGEST)}: {span}", colour))
    places = ndimage.find_objects(plane, len(colours))
    for (number, colour), place_of in zip(colours.items(), places, strict=True):
        if place_of is not None:
            tint[plane == number] = (*rgb(colour), _TINT)
            _outline(axes, plane[place_of] == number, place_of, colour)
    axes.imshow(tint, interpolation="nearest")
    for number, place_of in enumerate(places, start=1):
        if place_of is not None:
            name, colour = names[number - 1], colours[number]
            _write_number(axes, name, colour, plane[place_of] == number, place_of)
    axes.set_xlim(-0.5, plane.shape[1] - 0.5)
    axes.set_ylim(plane.shape[0] - 0.5, -0.5)
    if labels:
        _write_legend(axes, labels)


def _outline(axes: Axes, mask: np.ndarray, place: tuple[slice, ...], colour: str) -> None:
    """The border of an object (h, w) bool that lies at a place, dark below its own colour."""
    padded = np.pad(mask, 1).astype(np.float32)
    rows, columns = (np.arange(side.start - 1, side.stop + 1) for side in place)
    for drawn, width in (("black", 2.4), (colour, 1.2)):
        axes.contour(columns, rows, padded, levels=[0.5], colors=[drawn], linewidths=width)


def _write_number(
    axes: Axes, name: str, colour: str, mask: np.ndarray, place: tuple[slice, ...]
) -> None:
    row, column = innermost(mask)
    axes.text(
        place[1].start + column,
        place[0].start + row,
        name,
        ha="center",
        va="center",
        fontsize=8,
        clip_on=True,
        bbox={
            "boxstyle": "round,pad=0.15",
            "facecolor": "white",
            "edgecolor": colour,
            "alpha": 0.85,
        },
    )


def _write_legend(axes: Axes, labels: Sequence[tuple[str, str]]) -> None:
    """Below the picture, which colour is which class, and its numbers."""
    handles = [axes.plot([], [], marker="s", linestyle="none", color=c)[0] for _, c in labels]
    legend = axes.legend(
        handles,
        [text for text, _ in labels],
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=min(_LEGEND_COLUMNS, len(labels)),
        frameon=False,
        fontsize=9,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
