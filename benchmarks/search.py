"""The searches of stage 2 compared, on objects that a real network finds in real photographs.

    python benchmarks/search.py run --model hf:FOLDER --photographs FOLDER --rows ROWS.jsonl
    python benchmarks/search.py table ROWS.jsonl... [--figure FIGURE.png]

`run` appends one line for each object and search that is not there yet; `--shard I/N` takes every
N-th object, so that several processes of one thread can share the work. `--implementation
FILE.py:FUNCTION` adds any other program: FUNCTION(model, image, target, class_index) gets the
model, a differentiable function of images (N, C, H, W), the image (C, H, W), the
target (H, W) bool and its class, and returns a map (H, W), larger for what matters more; the
smallest top part that suffices is its region, as for the preset `paper`, and the whole image where
none does; its time includes a stage 1 that its passes do not. Peak memory (Linux) is that of the
process, with what it had kept before. `table` prints Markdown
tables: areas relative to the preset `paper`, object by object, passes, Dice, and seconds as a ratio
to `paper`.
"""

import argparse
import json
import runpy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np
import torch
from matplotlib.figure import Figure

import misure
from misure.explanation.growth import SufficientRegion
from misure.explanation.presets import PRESETS, Preset
from misure.explanation.probe import Account, OnStep, Probe
from misure.explanation.reduction import MinimallySufficientRegion, top_region
from misure.explanation.run_searches import run_searches
from misure.images.grid import default_grain_px
from objects import photographed_objects

_PEAK_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")

# max_passes holds 16 regions for testing minimality besides what the name says
SEARCHES: dict[str, dict[str, Any]] = {
    "paper": {"preset": "paper"},
    "smallest 96": {"max_passes": 112},
    "smallest": {},
    "smallest 240": {"max_passes": 256},
    "smallest 320": {"max_passes": 336},
    "smallest, grain 1/64": {"grain": 2},
    "smallest, grain 1/32": {"grain": 4},
    "smallest, edge 4": {"edge_px": 4},
    "smallest, blurred": {"baseline_image": "blurred"},
    "smallest, mean+blurred+noise": {"baseline_image": "mean,blurred,noise", "max_passes": 348},
    "smallest, controls 0.5": {"max_content_dice": 0.5, "max_passes": 464},
    "smallest, 1-minimal": {"one_minimal": True},
    "forward_only": {"preset": "forward_only"},
    "implementation": {"preset": "implementation"},
}


@dataclass(frozen=True)
class ForeignReduction:
    """Stage 2 by another program, which gets no sufficient region and is not charged for one."""

    source: str
    needs_gradients: ClassVar[bool] = False

    def __call__(
        self,
        model: misure.SegmentationModel,
        probes: Sequence[Probe],
        sufficient: Sequence[SufficientRegion],
        accounts: Sequence[Account],
        on_step: OnStep | None = None,
    ) -> list[MinimallySufficientRegion]:
        file, name = self.source.rsplit(":", 1)
        function: Callable[..., torch.Tensor] = runpy.run_path(file)[name]
        searches = []
        for probe, large, account in zip(probes, sufficient, accounts, strict=True):
            whole = replace(large, region=torch.ones_like(large.region), dice=1.0)
            image, target = probe.presentations[0].image, probe.target
            with model.counting() as cost:
                saliency_map = function(model, image, target.region, target.class_index)
            account.cost.forward_passes = cost.forward_passes
            account.cost.backward_passes = cost.backward_passes
            searches.append(top_region(probe, saliency_map.detach().float().clamp(min=0), whole))
        return run_searches(
            model, probes, searches, doing="cutting", accounts=accounts, on_step=on_step
        )


def run(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    size = (arguments.size, arguments.size)
    model = misure.load_model(arguments.model, device="cpu", input_size=size)
    if arguments.implementation:
        foreign = ForeignReduction(arguments.implementation)
        PRESETS["implementation"] = Preset(
            name="implementation", growth="bracket", reduction=foreign
        )
    known = [name for name in SEARCHES if name != "implementation" or arguments.implementation]
    searches = arguments.searches.split(",") if arguments.searches else known
    if unknown := {name.replace(";", ",") for name in searches} - set(known):
        raise SystemExit(f"expected searches among {known}, got {sorted(unknown)}")
    index, num_shards = map(int, arguments.shard.split("/"))
    rows = Path(arguments.rows)
    objects = photographed_objects(model, arguments.photographs, arguments.limit, size)
    done = {(row["key"], row["search"]) for row in _read([rows] if rows.exists() else [])}
    for i, (key, image, target) in enumerate(objects):
        if i % num_shards != index:
            continue
        for name in searches:
            if (key, name.replace(";", ",")) in done:
                continue
            options = dict(SEARCHES[name.replace(";", ",")])
            if grain := options.pop("grain", None):
                options["grain_px"] = grain * default_grain_px(size)
            if _PEAK_RESET.exists():
                _PEAK_RESET.write_text("5")
            start = time.perf_counter()
            found = misure.explain(model, image, target, **options)
            seconds = time.perf_counter() - start
            row = found.record() | {"key": key, "search": name.replace(";", ",")}
            row["cost"]["seconds"] = seconds
            row["peak_bytes"] = _peak_bytes() if _STATUS.exists() else 0
            row["again"] = _shown_again(model, image, found)
            with rows.open("a") as file:
                file.write(json.dumps(row) + "\n")


def _peak_bytes() -> int:
    """The largest memory of this process since the last reset (Linux)."""
    (line,) = [one for one in _STATUS.read_text().splitlines() if one.startswith("VmHWM")]
    return 1024 * int(line.split()[1])


def _read(paths: list[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def _shown_again(
    model: misure.SegmentationModel, image: torch.Tensor, found: misure.Explanation
) -> float:
    """The Dice when the region is shown once more, on the plain mean colour, hard edge."""
    colour = torch.tensor(model.preprocessing.mean).view(-1, 1, 1)
    shown = torch.where(found.minimally_sufficient_region, image, colour)
    with torch.no_grad():
        return found.target.dice_of_logits(model(shown[None]))[0]


def table(arguments: argparse.Namespace) -> None:
    rows = _read(arguments.rows)
    by_search: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        by_search.setdefault(row["search"], {})[row["key"]] = row
    paper = by_search["paper"]
    print(
        "| search | objects | area, median | relative to paper: median | mean | larger than paper |"
        " pass equivalents: median | 95 % | Dice, least | silhouette Dice, median | transfer Dice,"
        " median | parts, median | removable blocks | time, ratio | peak memory, median |"
    )
    print("|" + "---|" * 15)
    points = []
    for name in [name for name in SEARCHES if name in by_search]:
        found = by_search[name]
        keys = [key for key in found if key in paper]
        areas = [_area(found[key]) for key in keys]
        relative = [_area(found[key]) / _area(paper[key]) for key in keys]
        passes = [found[key]["cost"]["pass_equivalents"] for key in keys]
        ratio = sum(found[k]["cost"]["seconds"] for k in keys) / sum(
            paper[k]["cost"]["seconds"] for k in keys
        )
        tests = [found[key]["minimality"] for key in keys if found[key]["minimality"]]
        tested = sum(test["cells_tested"] for test in tests)
        cells = [
            name, f"{len(keys)}", f"{median(areas):.3f}", f"{median(relative):.2f}",
            f"{np.mean(relative):.2f}", f"{sum(r > 1 for r in relative)}", f"{median(passes):g}",
            f"{np.quantile(passes, 0.95):.0f}", f"{min(_least_dice(found[k]) for k in keys):.3f}",
            f"{median(found[k]['silhouette_dice'] for k in keys):.2f}",
            f"{median(found[k]['transfer_dice'] for k in keys):.2f}",
            f"{median(found[k]['minimally_sufficient_region']['num_parts'] for k in keys):g}",
            f"{sum(test['removable'] for test in tests) / max(1, tested):.0%}", f"{ratio:.2f}",
            f"{median(found[k].get('peak_bytes', 0) for k in keys) / 1e9:.2f} GB",
        ]  # fmt: skip
        print(f"| {' | '.join(cells)} |")
        if not name.removeprefix("smallest").strip(" 0123456789"):
            points.append((median(passes), relative))
    if arguments.objects:
        _print_objects(by_search)
    if arguments.figure:
        paper_passes = median(row["cost"]["pass_equivalents"] for row in paper.values())
        _draw(points, paper_passes, arguments.figure)


def _area(row: dict[str, Any]) -> float:
    area: float = row["minimally_sufficient_region"]["area_fraction"]
    return area


def _least_dice(row: dict[str, Any]) -> float:
    plain = row["settings"]["baseline_image"] == "mean" and row["settings"]["edge_px"] == 0
    dice: float = row["minimally_sufficient_region"]["dice"]
    if plain and abs(row["again"] - dice) > 1e-9:
        raise SystemExit(f"{row['key']}: returned {dice}, shown again {row['again']}")
    return dice


def _print_objects(by_search: dict[str, dict[str, dict[str, Any]]]) -> None:
    names = [name for name in SEARCHES if name in by_search]
    print(f"\n| object | target | sufficient | {' | '.join(names)} |\n|{'---|' * (len(names) + 3)}")
    for key, row in by_search["paper"].items():
        cells = [f"{row[part]['area_fraction']:.3f}" for part in ("target", "sufficient_region")]
        cells += [f"{_area(by_search[n][key]):.3f}" if key in by_search[n] else "" for n in names]
        print(f"| {key} | {' | '.join(cells)} |")


def _draw(points: list[tuple[float, list[float]]], paper_passes: float, path: Path) -> None:
    points = sorted(points, key=lambda point: point[0])
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    passes = [point[0] for point in points]
    for quantile, style in ((0.25, ":"), (0.5, "-"), (0.75, ":")):
        values = [float(np.quantile(point[1], quantile)) for point in points]
        label = {0.25: "smallest, quartiles", 0.5: "smallest, median"}.get(quantile)
        axes.plot(passes, values, "ko" + style, markersize=4, label=label)
    axes.plot(paper_passes, 1, "ks", markersize=6, label="preset paper")
    axes.set_xlim(left=0)
    axes.set_xlabel("pass equivalents, median")
    axes.set_ylabel("area relative to the preset paper")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("--model", required=True)
    running.add_argument("--photographs", type=Path, required=True)
    running.add_argument("--rows", required=True)
    running.add_argument("--size", type=int, default=257, help="side of the square images, in px")
    running.add_argument("--limit", type=int, default=44)
    running.add_argument("--shard", default="0/1")
    running.add_argument("--threads", type=int, default=1)
    running.add_argument("--implementation", metavar="FILE.py:FUNCTION")
    running.add_argument("--searches", help="names with commas; ; stands for a comma in a name")
    tabling = commands.add_parser("table")
    tabling.add_argument("rows", nargs="+", type=Path)
    tabling.add_argument("--figure", type=Path)
    tabling.add_argument("--objects", action="store_true")
    arguments = parser.parse_args()
    {"run": run, "table": table}[arguments.command](arguments)


if __name__ == "__main__":
    main()
