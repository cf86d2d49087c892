"""Stage 1: its searches compared, on objects that a real network finds in photographs.

    python benchmarks/growth.py --model hf:FOLDER --photographs FOLDER [--limit 24]

Prints a Markdown table: for each presentation and growth the area of the sufficient region and the
forward passes, the last check included.
"""

import argparse
from pathlib import Path
from statistics import mean, median

from tqdm import tqdm

import misure
from misure.explanation.growth import GROWTHS, find_sufficient_regions
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Account, Probe
from misure.images.regions import area_fraction
from objects import photographed_objects

PRESENTATIONS = "mean:0,mean:8,blurred:0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=24)
    parser.add_argument("--growths", default=",".join(GROWTHS))
    parser.add_argument("--presentations", default=PRESENTATIONS, help="BASELINE_IMAGE:EDGE_PX,...")
    parser.add_argument("--size", type=int, help="side of square images, in px")
    arguments = parser.parse_args()
    size = (arguments.size, arguments.size) if arguments.size else None
    model = misure.load_model(arguments.model, input_size=size)
    ways = [way.split(":") for way in arguments.presentations.split(",")]
    rows: dict[tuple[str, int, str], list[tuple[float, int, bool]]] = {}
    objects = photographed_objects(model, arguments.photographs, arguments.limit, size)
    for key, image, target in tqdm(objects, total=arguments.limit, disable=None):
        for baseline_image, edge_px in ((kind, int(edge)) for kind, edge in ways):
            presentations = make_presentations(
                model, image, baseline_image=baseline_image, edge_px=edge_px
            )
            for growth in arguments.growths.split(","):
                probe, account = Probe(target, presentations, 0.9), Account()
                (found,) = find_sufficient_regions(
                    model, [probe], growth=growth, accounts=[account]
                )
                grown = found.growth_px > edge_px
                result = (area_fraction(found.region), account.cost.forward_passes, grown)
                rows.setdefault((baseline_image, edge_px, growth), []).append(result)
                print(
                    "#", key, baseline_image, edge_px, growth, *result, found.growth_px, flush=True
                )
    print(
        "| baseline image | edge_px | growth | no growth | area, median | area, mean | "
        "passes, median | passes, mean | passes, largest |"
    )
    print("|" + "---|" * 9)
    for (baseline_image, edge_px, growth), results in rows.items():
        areas, passes, grown = zip(*results, strict=True)
        cells = [f"{grown.count(False)}", f"{median(areas):.3f}", f"{mean(areas):.3f}"]
        cells += [f"{median(passes):g}", f"{mean(passes):.1f}", f"{max(passes)}"]
        print(f"| {baseline_image} | {edge_px} | {growth} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
