"""Compares saliency maps as rankings: insertion, deletion, necessity, average precision.

    python benchmarks/maps.py --data triangle:20 --rows FILE
    python benchmarks/maps.py --data PHOTOGRAPHS --model hf:FOLDER --limit 8 --rows FILE
    python benchmarks/maps.py --rows FILE...

The first two explain objects and append a line of JSON for each object and map to FILE; lines that
are there already are not made again. The last prints the table of all lines. `--methods` names
presets of misure and other methods; `--label` marks the rows of misure, so that those of another
version can stand beside them. Necessity is the Dice without the smallest sufficient top part of the
map, so that it says something of the map. In `triangle-disc` the rank of the disc is measured too.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

import misure
from disc import rank_of_disc
from misure.datasets import Sample, open_dataset
from misure.datasets.triangle.dataset import STROKE_GREY
from misure.explanation.presets import PRESETS
from misure.metrics import METRICS
from misure.metrics.comparison.relevance import relevance_of
from misure.metrics.measure import make_probe
from misure.metrics.sufficiency import deletion, insertion, necessity, sufficient_top
from objects import photographed_objects

METHODS = ("smallest", "forward_only", "rise", "seg_grad_cam", "guided_backprop")
MEASURES = {
    "insertion": "insertion ↑",
    "deletion": "deletion ↓",
    "necessity": "necessity ↓",
    "average_precision": "average precision ↑",
    "rank_of_disc": "rank of the disc ↑",
    "unknown": "share marked as not tried",
    "passes": "pass equivalents",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="triangle:N, triangle-disc:N or a folder of photographs")
    parser.add_argument("--model", default="triangle")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--limit", type=int, default=8, help="photographs")
    parser.add_argument("--size", type=int, default=257, help="of photographs")
    parser.add_argument("--label", default="")
    parser.add_argument("--rows", type=Path, nargs="+", required=True)
    arguments = parser.parse_args()
    if not arguments.data:
        print_table([row for path in arguments.rows for row in rows_of(path)])
        return
    (path,) = arguments.rows
    done = {(row["object"], row["map"]) for row in rows_of(path)}
    with path.open("a") as file:
        for model, key, image, target, sample in objects(arguments):
            for method in arguments.methods.split(","):
                name = f"{method} {arguments.label}".strip() if method in PRESETS else method
                if (key, name) not in done:
                    row = measured(method, model, image, target, sample)
                    file.write(json.dumps({"object": key, "map": name, **row}) + "\n")
                    file.flush()


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def objects(
    arguments: argparse.Namespace,
) -> Iterator[tuple[misure.SegmentationModel, str, Tensor, misure.Target, Sample | None]]:
    """(model, key, image, target, sample); photographs are no samples."""
    if Path(arguments.data).is_dir():
        size = (arguments.size, arguments.size)
        model = misure.load_model(arguments.model, device="cpu", input_size=size)
        folder = Path(arguments.data)
        for key, image, target in photographed_objects(model, folder, arguments.limit, size):
            yield model, key, image, target, None
        return
    model = misure.load_model(arguments.model, device="cpu")
    dataset = open_dataset(arguments.data)
    for number, key in enumerate(dataset.keys):
        sample = dataset[number]
        try:
            target = misure.predicted_target(model, sample.image, point=sample.point)
        except misure.InputError:
            continue
        if relevance_of(sample, target) is not None:  # else it is the background
            yield model, key, sample.image, target, sample


def measured(
    method: str,
    model: misure.SegmentationModel,
    image: Tensor,
    target: misure.Target,
    sample: Sample | None,
) -> dict[str, float]:
    if method in PRESETS:
        result = misure.METHODS["misure"](model, image, target, preset=method)
    else:
        result = misure.METHODS[method](model, image, target)
    ranking, probe = result.saliency_map, make_probe(model, image, target, 0.9, "mean", 0)
    with model.borrowed():
        values = {
            "insertion": insertion(model, probe, ranking),
            "deletion": deletion(model, probe, ranking),
            "necessity": necessity(model, probe, sufficient_top(model, probe, ranking)),
        }
    values["passes"] = result.cost.pass_equivalents
    values["unknown"] = float(ranking.isnan().float().mean())
    relevance = sample.relevance if sample else None
    if sample is not None and relevance is not None:
        precision = METRICS["average_precision"].function(ranking, relevance)
        values["average_precision"] = precision
        disc = relevance & (sample.annotation == 0)
        elsewhere = ~disc & (sample.image[0] <= STROKE_GREY)
        if bool(disc.any()):
            ranked = ranking.where(~ranking.isnan(), -torch.inf)
            values["rank_of_disc"] = rank_of_disc(ranked, disc, elsewhere)
    return values


def print_table(rows: list[dict[str, Any]]) -> None:
    names = dict.fromkeys(row["map"] for row in rows)
    used = [measure for measure in MEASURES if any(measure in row for row in rows)]
    header = ["map", *(MEASURES[measure] for measure in used), "objects"]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for name in names:
        own = [row for row in rows if row["map"] == name]
        cells = [cell([row[measure] for row in own if measure in row]) for measure in used]
        print(f"| `{name}` | {' | '.join(cells)} | {len(own)} |")


def cell(values: list[float]) -> str:
    return f"{mean(values):.3g}" if values else "–"


if __name__ == "__main__":
    main()
