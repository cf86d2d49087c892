"""Stage 1: the three searches compared, on objects that a real network finds in photographs.

    python benchmarks/growth.py --model hf:FOLDER --photographs FOLDER [--limit 24]

Prints a Markdown table: for each presentation and search the area of the sufficient region, the
forward passes (the last check included), and how often the region is larger than that of `first`.
"""

import argparse
from pathlib import Path
from statistics import median

from tqdm import tqdm

import misure
from misure.presentation import make_presentation
from misure.region import area_fraction
from misure.sufficient_region import SEARCHES, find_sufficient_regions
from misure.trial import Trial
from objects import photographed_objects

PRESENTATIONS = [("mean", 0), ("mean", 8), ("blurred", 0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=24)
    arguments = parser.parse_args()
    model = misure.load_model(arguments.model)
    rows: dict[tuple[str, int, str], list[tuple[float, int]]] = {}
    objects = photographed_objects(model, arguments.photographs, arguments.limit)
    for key, image, target in tqdm(objects, total=arguments.limit, disable=None):
        for baseline_image, edge_px in PRESENTATIONS:
            presentation = make_presentation(
                model, image, baseline_image=baseline_image, edge_px=edge_px
            )
            for search in SEARCHES:
                trial = Trial(target, presentation, 0.9)
                (found,) = find_sufficient_regions(model, [trial], search=search)
                result = (area_fraction(found.region), trial.cost.forward_passes)
                rows.setdefault((baseline_image, edge_px, search), []).append(result)
                print(
                    "#", key, baseline_image, edge_px, search, *result, found.growth_px, flush=True
                )
    print(
        "| baseline image | edge_px | search | area, median | area, mean | passes, median | "
        "passes, largest | larger than `first` by over 1 % of the image |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for (baseline_image, edge_px, search), results in rows.items():
        areas, passes = zip(*results, strict=True)
        first = [area for area, _ in rows[baseline_image, edge_px, "first"]]
        worse = sum(area > other + 0.01 for area, other in zip(areas, first, strict=True))
        print(
            f"| {baseline_image} | {edge_px} | {search} | {median(areas):.3f} | "
            f"{sum(areas) / len(areas):.3f} | {median(passes):g} | {max(passes)} | "
            f"{worse} of {len(areas)} |"
        )


if __name__ == "__main__":
    main()
