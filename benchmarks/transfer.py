"""Whether regions found on one network suffice for sister networks that draw the same object.

    python benchmarks/transfer.py --model triangle --sisters trained:FOLDER trained:FOLDER \\
        --data triangle:100 --rows ROWS.jsonl --limit 20 --searches readable paper smallest

Sisters are networks for the same task, trained with other seeds or of another architecture. A
sister counts for an object if it draws it too: the Dice of what both predict there (agreement) is
at least `--agreement`. It is then shown, on its own mean colour with a hard edge: the regions of
all searches, the sufficient region of the first, and two random parts of that region, as large as
the minimal region of the first search: in blocks of 1/32 of the short side, and pixel by pixel.
Printed: the median Dice with what the sister itself predicts when it sees the whole image, and how
many regions reach 0.9. `itself` is the network that they were found on.

What is missing in ROWS (those of `search.py`) is computed and added. With `--shard I/N` several
processes share the work; the same command without it prints the table of all.
"""

from pathlib import Path
from statistics import median

import torch
from torch import Tensor

import misure
from misure.explanation.answers.stability import same_object
from misure.images.regions import dice
from objects import FoundObject
from searches import (
    NamedSearch,
    Rows,
    load_network,
    make_parser,
    open_model,
    open_objects,
    shown_again,
    unpacked,
)

_BLOCKS = 32
"""Random blocks on the short side of an image."""


def random_part(region: Tensor, num_pixels: int, side_px: int, seed: int = 0) -> Tensor:
    """Random blocks of a region (*spatial) bool; of the last one only as many pixels as fit.

    Args:
        region: they lie inside.
        num_pixels: of them together; no more than the region has.
        side_px: side of a block.
        seed: which blocks.
    """
    cells = [side // side_px + 1 for side in region.shape]
    places = torch.rand(cells, generator=torch.Generator().manual_seed(seed))
    for axis, side in enumerate(region.shape):
        places = places.repeat_interleave(side_px, axis).narrow(axis, 0, side)
    order = torch.where(region, places, torch.inf).flatten().argsort(stable=True)
    part = torch.zeros(region.numel(), dtype=torch.bool)
    part[order[:num_pixels]] = True
    return part.view_as(region) & region


def regions_of(
    model: misure.SegmentationModel, found: FoundObject, searches: list[NamedSearch], rows: Rows
) -> dict[str, Tensor]:
    """Name -> region (*spatial) bool: of each search, and what they are compared with."""
    by_search = {
        search.name: rows.find(model, found, search, with_regions=True) for search in searches
    }
    first = next(iter(by_search.values()))
    sufficient, num_pixels = unpacked(first, "sufficient"), int(unpacked(first).sum())
    block_px = max(1, round(min(sufficient.shape) / _BLOCKS))
    return {
        **{name: unpacked(row) for name, row in by_search.items()},
        "sufficient region": sufficient,
        "random blocks": random_part(sufficient, num_pixels, block_px),
        "random pixels": random_part(sufficient, num_pixels, 1),
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--sisters", nargs="+", required=True, help="networks, as for --model")
    parser.add_argument("--agreement", type=float, default=0.9)
    parser.add_argument("--objects", action="store_true", help="print each object too")
    arguments = parser.parse_args()
    model, rows = open_model(arguments), Rows(arguments.rows)
    sisters = {Path(spec).name: load_network(spec, arguments) for spec in arguments.sisters}
    agreements: dict[str, list[float]] = {spec: [] for spec in sisters}
    dices: dict[str, dict[str, dict[str, float]]] = {}
    for found in open_objects(model, arguments):
        regions = regions_of(model, found, arguments.searches, rows)
        drawn: dict[str, tuple[misure.SegmentationModel, misure.Target]] = {}
        for spec, sister in sisters.items():
            target = same_object(sister, found.image, found.target)
            agreements[spec].append(dice(found.target.region, target.region) if target else 0.0)
            if target and agreements[spec][-1] >= arguments.agreement:
                drawn[spec] = sister, target
        for name, region in regions.items():
            for spec, (network, target) in {"itself": (model, found.target), **drawn}.items():
                shown = shown_again(network, found.image, target, region)
                dices.setdefault(name, {}).setdefault(spec, {})[found.key] = shown
    _print(dices, agreements, arguments.objects)


def _print(
    dices: dict[str, dict[str, dict[str, float]]], agreements: dict[str, list[float]], each: bool
) -> None:
    print("| sister | objects | agreement, median | drawn alike |\n|---|---|---|---|")
    some = next(iter(dices.values()))
    for spec, values in agreements.items():
        print(f"| {spec} | {len(values)} | {median(values):.3f} | {len(some.get(spec, {}))} |")
    specs = ["itself", *(spec for spec in agreements if spec in some)]
    print(f"\n| region | {' | '.join(specs)} | all sisters | at least 0.9 |")
    print("|" + "---|" * (len(specs) + 3))
    for name, by_sister in dices.items():
        pooled = [dice for spec in specs[1:] for dice in by_sister[spec].values()]
        cells = [f"{median(by_sister[spec].values()):.2f}" for spec in specs]
        if pooled:
            held = sum(dice >= 0.9 for dice in pooled)
            cells += [f"{median(pooled):.2f}", f"{held} of {len(pooled)}"]
        print(f"| {name} | {' | '.join(cells)} |")
    if each:
        print(f"\n| object | sister | {' | '.join(dices)} |\n|{'---|' * (len(dices) + 2)}")
        for spec in specs:
            for key in some[spec]:
                shown = " | ".join(f"{by_sister[spec][key]:.2f}" for by_sister in dices.values())
                print(f"| {key} | {spec} | {shown} |")


if __name__ == "__main__":
    main()
