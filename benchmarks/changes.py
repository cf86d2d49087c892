"""What becomes of regions under small changes of what is shown, and what asking for it costs.

    python benchmarks/changes.py --model hf:FOLDER --data FOLDER --size 257 --rows ROWS.jsonl \\
        --limit 8 --searches smallest@160 smallest@160,num_changes=4 [--objects]

Two tables: the area, passes and parts of each search; and the share of small changes under which a
region holds (see `misure.explanation.changes`), by kind. The shift goes in every direction, the
noise has three samples, the edge three widths; most of these a search may have seen. `held out` are
those that it has not: of the explanation's own evidence. The whole image and the sufficient region
of the first search stand beside. What is missing in ROWS (those of `search.py`) is computed and
added. With `--shard I/N` several processes share the work.
"""

from collections.abc import Iterator
from statistics import median
from typing import Any

import torch
from torch import Tensor

import misure
from misure.explanation.changes import Change, Noise, OtherPresentation, Shift, SoftEdge
from misure.explanation.evidence import other_baseline_images
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe
from misure.explanation.show import try_regions
from misure.images.regions import area_fraction
from objects import FoundObject
from searches import Rows, make_parser, open_model, open_objects, search_passes, unpacked

_EDGES_PX = (1, 2, 3)
_NUM_NOISES = 3


def changes_of(probe: Probe) -> Iterator[tuple[str, Change]]:
    """Name of a column and a change, for all that are tried."""
    for axis in range(-1, -1 - probe.target.region.ndim, -1):
        yield from (("shift", Shift(axis, step)) for step in (1, -1))
    yield from (("noise", Noise(seed)) for seed in range(_NUM_NOISES))
    yield from ((f"edge {px} px", SoftEdge(px)) for px in _EDGES_PX)
    yield from ((f"on {way.name}", OtherPresentation(way)) for way in probe.other_presentations)


def probe_of(model: misure.SegmentationModel, found: FoundObject) -> Probe:
    """An object on the mean colour, with the other baseline images."""

    def present(kind: str) -> Any:
        return make_presentations(
            model, found.image, baseline_image=kind, spacing_mm=found.spacing_mm
        )

    others = ",".join(other_baseline_images(["mean"]))
    return Probe(
        found.target,
        present("mean"),
        spacing_mm=found.spacing_mm,
        other_presentations=present(others),
    )


def dices_under(
    model: misure.SegmentationModel, probe: Probe, region: Tensor
) -> list[tuple[str, float]]:
    """Name of a column and the Dice of a region, for each change."""
    changes = [*changes_of(probe)]
    shown = [(probe.under(change), change.region(region)) for _, change in changes]
    replies = try_regions(model, shown)
    return [(kind, reply.dice) for (kind, _), reply in zip(changes, replies, strict=True)]


def is_lost(row: dict[str, Any]) -> bool:
    """Whether the region of a row misses what is asked for under a held-out change."""
    small = row["minimally_sufficient_region"]
    of_whole_image = small["whole_image_under_small_changes"]
    return any(
        dice < row["dice_threshold"] * of_whole_image.get(kind, 1.0) - 0.1
        for kind, dice in small["dice_under_small_changes"].items()
    )


def print_costs(by_search: dict[str, list[dict[str, Any]]]) -> None:
    first = next(iter(by_search.values()))
    print(
        "| search | objects | area | relative | larger | not reduced | passes | parts |"
        " held-out shift | noise | soft edge | said not to hold |\n|" + "---|" * 12
    )
    for name, rows in by_search.items():
        small = [row["minimally_sufficient_region"] for row in rows]
        areas = [one["area_fraction"] for one in small]
        before = [row["minimally_sufficient_region"]["area_fraction"] for row in first]
        relative = [a / b for a, b in zip(areas, before, strict=True) if b]
        dices = [
            f"{median(one['dice_under_small_changes'][kind] for one in small):.2f}"
            for kind in ("shift", "noise", "soft_edge")
        ]
        print(
            f"| {name} | {len(rows)} | {median(areas):.3f} | {median(relative):.2f} |"
            f" {sum(one > 1.02 for one in relative)} |"
            f" {sum(not one['is_reduced'] for one in small)} |"
            f" {median(map(search_passes, rows)):g} |"
            f" {median(one['num_parts'] for one in small):g} | {' | '.join(dices)} |"
            f" {sum(map(is_lost, rows))} |"
        )


def print_shares(shares: dict[str, dict[str, list[bool]]]) -> None:
    kinds = next(iter(shares.values()))
    print(f"\n| region | {' | '.join(kinds)} |\n|{'---|' * (len(kinds) + 1)}")
    for name, by_kind in shares.items():
        print(f"| {name} | {' | '.join(f'{sum(v) / len(v):.2f}' for v in by_kind.values())} |")


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--objects", action="store_true", help="print each object too")
    arguments = parser.parse_args()
    model, rows = open_model(arguments), Rows(arguments.rows)
    by_search: dict[str, list[dict[str, Any]]] = {}
    shares: dict[str, dict[str, list[bool]]] = {}
    each: list[str] = []
    for found in open_objects(model, arguments):
        probe = probe_of(model, found)
        regions = {"whole image": torch.ones_like(found.target.region)}
        for search in arguments.searches:
            row = rows.find(model, found, search, with_regions=True)
            by_search.setdefault(search.name, []).append(row)
            regions.setdefault("sufficient region", unpacked(row, "sufficient"))
            regions[search.name] = unpacked(row)
        of_whole_image: list[tuple[str, float]] = []
        for name, region in regions.items():
            dices = dices_under(model, probe, region)
            of_whole_image = of_whole_image or dices
            own = shares.setdefault(name, {})
            for (kind, dice), (_, whole) in zip(dices, of_whole_image, strict=True):
                own.setdefault(kind, []).append(probe.holds(dice, whole))
            said = " ".join(f"{dice:.2f}" for _, dice in dices)
            each.append(f"| {found.key} | {name} | {area_fraction(region):.3f} | {said} |")
    print_costs(by_search)
    print_shares(shares)
    if arguments.objects:
        print("\n| object | region | area | Dice under each change |\n|" + "---|" * 4)
        print("\n".join(each))


if __name__ == "__main__":
    main()
