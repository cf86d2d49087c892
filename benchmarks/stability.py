"""Whether a search finds the same region again after a small change of the image.

    python benchmarks/stability.py --model hf:FOLDER --data FOLDER --size 257 --rows ROWS.jsonl \\
        --limit 20 --searches paper readable smallest [--objects]

The changes: the image and the target are shifted by one pixel along the last axis (the first column
stays and is not compared); or Gaussian noise of 1 % of the image's range is added and the target
predicted anew. Printed per search, over the objects: the IoU of the region found anew with the one
found before, the IoU that two random regions of these areas have (by chance), and the Dice of the
old region, shifted with the image or on the noisy image. An object that the network does not draw
any more is left out of that change.

What is missing in ROWS (those of `search.py`, with a `change`) is computed and added; the same
command again prints the table alone. With `--shard I/N` several processes share the work.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

import torch
from torch import Tensor

import misure
from misure.errors import InputError
from misure.explanation.answers.stability import compare_regions, same_object
from misure.explanation.changes import Shift
from objects import FoundObject
from searches import (
    NamedSearch,
    Rows,
    make_parser,
    open_model,
    open_objects,
    shown_again,
    unpacked,
)

_NOISE = 0.01
_SHIFT = Shift(-1, 1)


@dataclass(frozen=True)
class Repeated:
    """How a region found after a change compares with the one found before.

    Attributes:
        iou: of both regions.
        by_chance: IoU of two random regions of these areas.
        old_dice: Dice of the old region on the changed image.
    """

    iou: float
    by_chance: float
    old_dice: float


def _shift(_model: misure.SegmentationModel, found: FoundObject) -> FoundObject:
    return replace(found, image=_SHIFT.region(found.image), target=_SHIFT.target(found.target))


def _add_noise(model: misure.SegmentationModel, found: FoundObject) -> FoundObject:
    image, generator = found.image, torch.Generator().manual_seed(0)
    noise = torch.randn(image.shape, generator=generator).to(image)
    noisy = image + _NOISE * (image.max() - image.min()) * noise
    target = same_object(model, noisy, found.target)
    if target is None:
        raise InputError("expected the object on the noisy image, got no pixel of it.")
    return replace(found, image=noisy, target=target)


CHANGES: dict[
    str,
    tuple[
        Callable[[misure.SegmentationModel, FoundObject], FoundObject], Callable[[Tensor], Tensor]
    ],
] = {"shift": (_shift, _SHIFT.region), "noise": (_add_noise, lambda region: region)}
"""Name -> (the changed object; where the pixels of a region lie afterwards)."""


def repeated(
    model: misure.SegmentationModel,
    found: FoundObject,
    search: NamedSearch,
    change: str,
    rows: Rows,
) -> Repeated | None:
    """How a search repeats its region after a change; None if the object is not drawn any more."""
    changed_by, moved = CHANGES[change]
    old = moved(unpacked(rows.find(model, found, search, with_regions=True)))
    try:
        changed = changed_by(model, found)
        new = unpacked(rows.find(model, changed, search, change, with_regions=True))
    except InputError as error:
        print(f"# {found.key}, {search.name}, {change}: {error}", flush=True)
        return None
    iou, by_chance = compare_regions(old, new, 1 if change == "shift" else 0)
    return Repeated(
        iou=iou,
        by_chance=by_chance,
        old_dice=shown_again(model, changed.image, changed.target, old),
    )


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--objects", action="store_true", help="print each object too")
    arguments = parser.parse_args()
    model, rows = open_model(arguments), Rows(arguments.rows)
    results: dict[tuple[str, str], dict[str, Repeated]] = {}
    for found in open_objects(model, arguments):
        for search in arguments.searches:
            for change in CHANGES:
                result = repeated(model, found, search, change, rows)
                if result:
                    results.setdefault((search.name, change), {})[found.key] = result
    print(
        "| search | change | objects | IoU, median | by chance | Dice of the old region, median |"
        " at least 0.9 |\n|" + "---|" * 7
    )
    for (name, change), by_key in results.items():
        each = by_key.values()
        dices = [one.old_dice for one in each]
        print(
            f"| {name} | {change} | {len(each)} | {median(one.iou for one in each):.2f} |"
            f" {median(one.by_chance for one in each):.2f} | {median(dices):.2f} |"
            f" {sum(dice >= 0.9 for dice in dices)} |"
        )
    if arguments.objects:
        print("\n| object | search | change | IoU | Dice of the old region |\n|" + "---|" * 5)
        for (name, change), by_key in results.items():
            for key, one in by_key.items():
                print(f"| {key} | {name} | {change} | {one.iou:.2f} | {one.old_dice:.2f} |")


if __name__ == "__main__":
    main()
