"""Trains a sister network: as `misure train`, but on the same split of the cases for every seed.

    python benchmarks/sisters.py nifti:IMAGES,LABELS --seed 1 --steps 320 --out FOLDER

`misure train --seed 1` draws the split from the seed too, so the cases that one network is tested
on could be among those that another was trained on. Here all networks have the split of seed 0, and
their `test.txt` name the same cases, which `transfer.py` explains (`nifti:IMAGES,LABELS,test.txt`).
The canvases of Triangle are made, not split: `misure train triangle --seed 1` is all it takes.
"""

import argparse
from pathlib import Path
from unittest.mock import patch

import torch
from tqdm import tqdm

from misure.lab.training import train
from misure.lab.training.recipes import TrainingRecipe, recipe_of


def with_first_split(spec: str, *, num_steps: int | None, **_seed: int) -> TrainingRecipe:
    """The recipe whose split is that of seed 0."""
    return recipe_of(spec, num_steps=num_steps, seed=0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", help="as for `misure train`")
    parser.add_argument("--network", default="unet")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    bar = tqdm(disable=None)

    def on_step(doing: str, done: int, total: int | None) -> None:
        bar.desc, bar.total = doing, total
        bar.update(done - bar.n)

    with patch("misure.lab.training.trainer.recipe_of", with_first_split):
        result = train(
            arguments.dataset,
            network=arguments.network,
            num_steps=arguments.steps,
            seed=arguments.seed,
            device="cpu",
            out=arguments.out,
            on_step=on_step,
        )
    print(f"{arguments.out}: Dice on the test part {result.card.mean_test_dice:.3f}")


if __name__ == "__main__":
    main()
