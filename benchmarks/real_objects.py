"""Explains objects that a real network finds in real photographs, and prints one table.

    python benchmarks/real_objects.py --model hf:FOLDER --photographs FOLDER --out FOLDER

Writes a folder of figures and pictures for each object into --out.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

import misure
import tables
from misure.explanation.presentation import make_presentation
from misure.reports.folders import save_result
from objects import photographed_objects


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=24)
    parser.add_argument("--preset", default="smallest")
    arguments = parser.parse_args()
    model = misure.load_model(arguments.model)
    print(tables.header())
    records = []
    objects = photographed_objects(model, arguments.photographs, arguments.limit)
    for key, image, target in tqdm(objects, total=arguments.limit, disable=None):
        explanation = misure.explain(model, image, target, preset=arguments.preset)
        explanation = explanation.with_values(image=key)
        records.append(explanation.record())
        print(tables.row(key, records[-1]), flush=True)
        folder = arguments.out / key.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        presentation = make_presentation(model, image)
        save_result(explanation, presentation, misure.segment(model, image), folder)
    print(tables.medians(records))


if __name__ == "__main__":
    main()
