"""Compares methods on objects that a real network finds in real photographs.

    python benchmarks/compared_methods.py --model hf:FOLDER --photographs FOLDER --out FOLDER

As `misure compare PHOTOGRAPH... --instance 0` does, but photographs are resized first, so that a
pass is cheap, and those without an object of fitting size are left out.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

import misure
from misure.datasets import Sample
from misure.metrics.comparison.compare import DEFAULT_METRICS, compare
from misure.metrics.comparison.tables import as_markdown
from misure.reports.folders import save_comparison
from objects import photographed_objects


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--size", type=int, default=257)
    parser.add_argument("--methods", default="all")
    parser.add_argument("--metrics", default=",".join(DEFAULT_METRICS))
    parser.add_argument("--baseline-image", default="mean")
    arguments = parser.parse_args()
    size = (arguments.size, arguments.size)
    model = misure.load_model(arguments.model, device="cpu", input_size=size)
    objects = photographed_objects(model, arguments.photographs, arguments.limit, size)
    samples = [Sample(key, image) for key, image, _ in objects]
    bar = tqdm(disable=None)

    def on_step(doing: str, done: int, total: int | None) -> None:
        bar.desc, bar.total = doing, total
        bar.update(done - bar.n)

    found = compare(
        model,
        samples,
        methods=arguments.methods.split(","),
        metrics=arguments.metrics.split(","),
        instance=0,
        baseline_image=arguments.baseline_image,
        on_step=on_step,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    save_comparison(found, arguments.out)
    print(as_markdown(found))


if __name__ == "__main__":
    main()
