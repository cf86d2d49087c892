"""More than one question on Triangle, where it is known what matters.

    python benchmarks/triangle_questions.py corners [--limit 8]
    python benchmarks/triangle_questions.py disc --model trained:FOLDER [--limit 20]

`corners` asks about one corner of each canvas, with the shipped network: what is necessary around
it, by fill, and which of the lit pixels that are hidden belong to the two other items; and for a
region that suffices, and one that is necessary too (`max_hidden_dice`), how well they agree with
what is known to matter.

`disc` asks a network of `triangle-disc`, which draws nothing without a disc, what is necessary
around each item: how often it is the disc, and what is left when that part of it alone is hidden.
"""

import argparse
from collections.abc import Iterator
from statistics import mean, median
from typing import Any

import torch
from torch import Tensor

import misure
from misure.datasets import open_dataset
from misure.datasets.triangle import TriangleDataset
from misure.errors import InputError
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe
from misure.explanation.question import NECESSARY
from misure.explanation.show import try_regions
from misure.metrics.localisation import average_precision, iou, precision, recall

_LIT = 0.3
_SHOWN = {
    "suffices": {},
    "and is necessary": {
        "max_hidden_dice": 0.5,
        "hidden_baseline_image": "mean",
        "max_passes": 320,
    },
    "and loses all": {
        "max_hidden_dice": 0.0,
        "hidden_baseline_image": "mean",
        "max_passes": 480,
        "patience": 40,
    },
}
_HIDDEN: dict[str, dict[str, Any]] = {
    "mean, one fill": {"baseline_image": "mean", "num_draws": 0},
    "mean": {"baseline_image": "mean"},
    "filled, one fill": {"num_draws": 0},
    "filled": {},
}


def corners(arguments: argparse.Namespace) -> None:
    model = misure.load_model(arguments.model or "triangle", device="cpu")
    hidden: dict[str, list[tuple[float, ...]]] = {name: [] for name in _HIDDEN}
    shown: dict[str, list[tuple[float, ...]]] = {name: [] for name in _SHOWN}
    for image, relevance, target in _corners(model, arguments.limit):
        for name, options in _HIDDEN.items():
            found = misure.necessary_region(
                model, image, target, outside_target=True, num_minimality_tests=0, **options
            )
            lit = found.region & (image[0] > _LIT)
            others = relevance & ~target.region
            share = int((lit & others).sum()) / max(1, int(lit.sum()))
            hidden[name].append((found.is_found, float(found.region.float().mean()), share))
        for name, options in _SHOWN.items():
            explanation = misure.explain(
                model, image, target, preset="smallest", num_minimality_tests=0, **options
            )
            region = explanation.minimally_sufficient_region
            small = explanation.values.minimally_sufficient_region
            shown[name].append(
                (
                    small.area_fraction,
                    small.dice,
                    float("nan") if small.hidden_dice is None else small.hidden_dice,
                    iou(region, relevance),
                    precision(region, relevance),
                    recall(region, relevance),
                    average_precision(explanation.saliency_map.nan_to_num(-1), relevance),
                    explanation.cost.pass_equivalents,
                )
            )
    print("| fill | found | area | lit hidden pixels on the other two items |\n|---|---|---|---|")
    for name, rows in hidden.items():
        held = [row for row in rows if row[0]]
        figures = [f"{mean(row[i] for row in held):.3f}" for i in (1, 2)] if held else ["–"] * 2
        print(f"| {name} | {len(held)} of {len(rows)} | " + " | ".join(figures) + " |")
    print(
        "\n| region | area | Dice | Dice when hidden | IoU | precision | recall | average "
        "precision | passes |\n|" + "---|" * 9
    )
    for name, rows in shown.items():
        figures = [f"{mean(row[i] for row in rows):.3g}" for i in range(8)]
        print(f"| {name} | " + " | ".join(figures) + " |")


def _corners(
    model: misure.SegmentationModel, limit: int
) -> Iterator[tuple[Tensor, Tensor, misure.Target]]:
    """Image, relevance and one predicted corner of each canvas, if the network draws it."""
    dataset = TriangleDataset(limit)
    for number in range(len(dataset)):
        sample = dataset[number]
        try:
            point = tuple(sample.corners[0])
            target = misure.predicted_target(model, sample.image, class_index=1, point=point)
        except InputError:
            continue
        yield sample.image, sample.relevance, target


def disc(arguments: argparse.Namespace) -> None:
    model = misure.load_model(arguments.model, device="cpu")
    dataset = open_dataset("triangle-disc:100")
    rows: list[tuple[bool, bool, float, float, float, float]] = []
    for number in range(len(dataset.keys)):
        sample = dataset[number]
        if len(rows) == arguments.limit:
            break
        around = sample.relevance & (sample.annotation == 0)
        segmentation = misure.segment(model, sample.image)
        if not around.any() or not segmentation.class_region(1).any():
            continue
        target = segmentation.target(1, instance=0)
        found = misure.necessary_region(
            model,
            sample.image,
            target,
            outside_target=True,
            num_minimality_tests=0,
            **_HIDDEN[arguments.fill],
        )
        part = found.region & around
        (way,) = make_presentations(model, sample.image)
        probe = Probe(target, (way,), dice_threshold=0.5, question=NECESSARY)
        with model.borrowed():
            replies = try_regions(model, [(probe, one) for one in (part, around)])
        rows.append(
            (
                found.is_found,
                bool(part.any()),
                int(part.sum()) / max(1, int(found.region.sum())),
                float(found.region.float().mean()),
                replies[0].dice,
                replies[1].dice,
            )
        )
    held = [row for row in rows if row[0]]
    alone = sum(row[1] and row[4] <= 0.5 for row in rows)
    print(
        f"objects: {len(rows)}; found: {len(held)}; on the disc: {sum(row[1] for row in rows)}; "
        f"the part on the disc alone loses the item: {alone}\n"
        f"medians: area {median(row[3] for row in held):.4f}, part of it on the disc "
        f"{median(row[2] for row in held):.2f}; Dice with the whole disc hidden "
        f"{median(row[5] for row in rows):.2f}, chance: the disc is "
        f"{mean(_share(dataset[i]) for i in range(20)):.4f} of the image"
    )


def _share(sample: Any) -> float:
    return float((sample.relevance & (sample.annotation == 0)).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["corners", "disc"])
    parser.add_argument("--model", help="a network; by default the shipped one")
    parser.add_argument("--limit", type=int, default=8)
    parser.add_argument("--fill", choices=[*_HIDDEN], default="mean")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    {"corners": corners, "disc": disc}[arguments.what](arguments)


if __name__ == "__main__":
    main()
