"""What a minimal region owes to its baseline image, on objects that a network finds in photographs.

    python benchmarks/baselines.py run --model hf:FOLDER --photographs FOLDER --rows ROWS.jsonl
    python benchmarks/baselines.py table ROWS.jsonl...

`run` explains each object once for each of `--baseline-images` (names with semicolons between
them; commas within one ask for one region that suffices with each) and appends a line for what is
not there yet. `--preset NAME` and `--option KEY=VALUE` change the search; `--shard I/N` takes every
N-th object. `table` prints a Markdown table for each preset and its options: areas, also relative
to the first baseline image's; the Dice on each baseline image, and on how many objects it reaches
the threshold; how many regions lean on their own (on all others they fall clearly below the
threshold); and the Dice if image and region move by one pixel.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import misure
from misure.cli.commands.option_values import settings
from misure.explanation.evidence import COMPARED_BASELINE_IMAGES
from misure.explanation.presentation import make_presentations
from misure.explanation.record import CLEARLY
from objects import photographed_objects

Row = dict[str, Any]


def run(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    size = (arguments.size, arguments.size)
    model = misure.load_model(arguments.model, device=arguments.device, input_size=size)
    options = settings(None, None, tuple(arguments.option))
    rows, (index, num_shards) = arguments.rows, map(int, arguments.shard.split("/"))
    done = {_name(row) for row in _read([rows] if rows.exists() else [])}
    objects = photographed_objects(model, arguments.photographs, arguments.limit, size)
    for i, (key, image, target) in enumerate(objects):
        for kind in arguments.baseline_images.split(";") if i % num_shards == index else ():
            asked = {"key": key, "asked": [arguments.preset, options], "baseline_image": kind}
            if _name(asked) in done:
                continue
            start = time.perf_counter()
            found = misure.explain(
                model, image, target, preset=arguments.preset, baseline_image=kind, **options
            )
            seconds = time.perf_counter() - start
            row = found.record() | asked | {"moved": _moved(model, image, found)}
            row["cost"]["seconds"] = seconds
            with rows.open("a") as file:
                file.write(json.dumps(row) + "\n")


def _name(row: Row) -> str:
    return json.dumps([row["asked"], row["baseline_image"], row["key"]])


def _read(paths: list[Path]) -> list[Row]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def _moved(model: misure.SegmentationModel, image: Tensor, found: misure.Explanation) -> float:
    """The least Dice on the region's own baseline images when all is moved by one pixel."""
    device, target = model.device, found.target
    regions = (found.minimally_sufficient_region, target.region, target.ignored)
    region, wanted, ignored = (_by_one(one[None].float())[0].bool() for one in regions)
    ways = make_presentations(
        model, _by_one(image.to(device)), baseline_image=found.values.baseline_image,
        edge_px=found.settings["edge_px"], seed=found.values.seed,
    )  # fmt: skip
    moved = replace(target, region=wanted, ignored=ignored)
    with torch.no_grad():
        shown = torch.cat([way.show_regions([region.to(device)]) for way in ways])
        return min(moved.dice_of_logits(model(shown)))


def _by_one(image: Tensor) -> Tensor:
    """An image (C, H, W), moved by one pixel to the right and down; its first lines come twice."""
    return F.pad(image[None], (1, 0, 1, 0), mode="replicate")[0, :, :-1, :-1]


def table(arguments: argparse.Namespace) -> None:
    rows = _read(arguments.rows)
    for asked in dict.fromkeys(json.dumps(row["asked"]) for row in rows):
        by_kind: dict[str, dict[str, Row]] = {}
        for row in rows:
            if json.dumps(row["asked"]) == asked:
                by_kind.setdefault(row["baseline_image"], {})[row["key"]] = row
        preset, options = json.loads(asked)
        print(f"\nPreset {preset or 'by default'}, {options or 'as it is'}\n")
        _print_table(by_kind)
        if arguments.objects:
            _print_objects(by_kind)


def _print_table(by_kind: dict[str, dict[str, Row]]) -> None:
    on = [f"Dice on {kind}" for kind in COMPARED_BASELINE_IMAGES]
    head = [
        "baseline image", "objects", "sufficient region", "area", "relative", "larger", "parts",
        "pass equivalents", *on, "lean on it", "moved by 1 px", "seconds",
    ]  # fmt: skip
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    first = next(iter(by_kind.values()))
    for kind, found in by_kind.items():
        some = list(found.values())
        relative = [_area(found[key]) / _area(first[key]) for key in found if key in first]
        cells = [
            kind, f"{len(some)}",
            f"{median(row['sufficient_region']['area_fraction'] for row in some):.3f}",
            f"{median(map(_area, some)):.3f}", f"{median(relative):.2f}",
            f"{sum(ratio > 1 for ratio in relative)}",
            f"{median(_small(row)['num_parts'] for row in some):g}",
            f"{median(row['cost']['pass_equivalents'] for row in some):g}",
            *(_on(name, some) for name in COMPARED_BASELINE_IMAGES),
            f"{sum(_leans(row) for row in some)}",
            f"{median(row['moved'] for row in some):.2f}",
            f"{median(row['cost']['seconds'] for row in some):.0f}",
        ]  # fmt: skip
        print(f"| {' | '.join(cells)} |")


def _print_objects(by_kind: dict[str, dict[str, Row]]) -> None:
    print(f"\n| object | target | {' | '.join(by_kind)} |\n|{'---|' * (2 + len(by_kind))}")
    for key, row in next(iter(by_kind.values())).items():
        cells = [f"{row['target']['area_fraction']:.3f}"]
        for found in by_kind.values():
            dices = [f"{dice:.2f}" for dice in _dices(found[key]).values()] if key in found else []
            cells.append(f"{_area(found[key]):.3f} ({' '.join(dices)})" if dices else "")
        print(f"| {key} | {' | '.join(cells)} |")


def _small(row: Row) -> Row:
    small: Row = row["minimally_sufficient_region"]
    return small


def _area(row: Row) -> float:
    return float(_small(row)["area_fraction"])


def _dices(row: Row) -> dict[str, float]:
    """Dice on each of the compared baseline images, by its name."""
    known = _small(row)["dice_by_baseline_image"] | _small(row)["dice_on_other_baseline_images"]
    return {name: known[name] for name in COMPARED_BASELINE_IMAGES}


def _on(name: str, rows: list[Row]) -> str:
    """The median Dice on a baseline image, and on how many objects it reaches the threshold."""
    held = sum(_dices(row)[name] >= row["dice_threshold"] for row in rows)
    return f"{median(_dices(row)[name] for row in rows):.2f} ({held})"


def _leans(row: Row) -> bool:
    others = _small(row)["dice_on_other_baseline_images"].values()
    return bool(others) and max(others) < row["dice_threshold"] - CLEARLY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("--model", required=True)
    running.add_argument("--photographs", type=Path, required=True)
    running.add_argument("--rows", type=Path, required=True)
    running.add_argument("--size", type=int, default=257, help="side of the square images, in px")
    running.add_argument("--limit", type=int, default=8)
    running.add_argument("--shard", default="0/1")
    running.add_argument("--threads", type=int, default=1)
    running.add_argument("--device", default="cpu")
    running.add_argument("--preset", help="by default that of misure.explain")
    running.add_argument("--option", action="append", default=[], metavar="KEY=VALUE")
    running.add_argument("--baseline-images", default="mean;blurred;filled;mean,filled")
    tabling = commands.add_parser("table")
    tabling.add_argument("rows", nargs="+", type=Path)
    tabling.add_argument("--objects", action="store_true")
    arguments = parser.parse_args()
    {"run": run, "table": table}[arguments.command](arguments)


if __name__ == "__main__":
    main()
