"""Explains objects that a real network finds in real photographs, and prints one table.

    python benchmarks/real_objects.py --model hf:FOLDER --photographs FOLDER --out FOLDER

Writes a folder of pictures for each object into --out; the table goes to the standard output.
"""

import argparse
from pathlib import Path
from statistics import median

from tqdm import tqdm

import misure
from misure.presentation import make_presentation
from misure.region import area_fraction
from misure.result_folder import save_result
from objects import photographed_objects

HEADER = (
    "| object | target area | growth_px | sufficient area | Dice | minimal area | relative area | "
    "outside target | Dice | silhouette Dice | pass equivalents |"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=24)
    parser.add_argument("--preset", default="paper")
    arguments = parser.parse_args()
    model = misure.load_model(arguments.model)
    print(HEADER)
    print("|---" * (HEADER.count("|") - 1) + "|")
    found = []
    objects = photographed_objects(model, arguments.photographs, arguments.limit)
    for key, image, target in tqdm(objects, total=arguments.limit, disable=None):
        explanation = misure.explain(model, image, target, preset=arguments.preset)
        found.append(explanation)
        print(f"| {key} | {_row(explanation)} |", flush=True)
        folder = arguments.out / key.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        presentation = make_presentation(model, image)
        save_result(explanation, presentation, misure.segment(model, image), folder)
    for word, take in (
        ("sufficient", "sufficient_region"),
        ("minimal", "minimally_sufficient_region"),
    ):
        areas = [area_fraction(getattr(explanation, take)) for explanation in found]
        print(f"\nmedian {word} area {median(areas):.3f} of the image")
    print(f"median relative area {median(one.relative_area for one in found):.2f}")
    print(f"median silhouette Dice {median(one.silhouette_dice for one in found):.2f}")
    print(f"median pass equivalents {median(one.cost.pass_equivalents for one in found):g}")


def _row(one: misure.Explanation) -> str:
    cells = [
        f"{area_fraction(one.target.region):.3f}",
        f"{one.growth_px:g}",
        f"{area_fraction(one.sufficient_region):.3f}",
        f"{one.sufficient_dice:.3f}",
        f"{area_fraction(one.minimally_sufficient_region):.3f}",
        f"{one.relative_area:.2f}",
        f"{one.outside_target_fraction:.2f}",
        f"{one.dice:.3f}",
        f"{one.silhouette_dice:.2f}",
        f"{one.cost.pass_equivalents}",
    ]
    return " | ".join(cells)


if __name__ == "__main__":
    main()
