"""Whether the maps of `misure experiment triangle-disc` find the disc.

    python benchmarks/disc.py FOLDER

FOLDER is the experiment's. Of every object and method, without a pass: the share of the disc's
pixels in the top of the map, as large as what is known to matter, and the mean rank of the disc's
pixels among all that belong to no item (0.5 by chance, 1 first). Of misure's regions: how many show
some of the disc, and the Dice when just that is taken out of them.
"""

import argparse
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

import misure
from misure.datasets import open_dataset
from misure.datasets.triangle.dataset import STROKE_GREY
from misure.explanation.show import try_regions
from misure.metrics.measure import make_probe
from misure.metrics.sufficiency import top_fraction
from misure.runs.folder import RunFolder
from misure.runs.maps import read_result


def rank_of_disc(saliency_map: Tensor, disc: Tensor, elsewhere: Tensor) -> float:
    """The chance that a pixel of the disc is above one elsewhere, equal ones counted half."""
    low, high = saliency_map[elsewhere].sort().values, saliency_map[disc].contiguous()
    below = torch.searchsorted(low, high).float()
    not_above = torch.searchsorted(low, high, right=True).float()
    return float((below + not_above).mean() / 2 / len(low))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    part = arguments.folder.absolute() / "runs" / "cnn"
    model = misure.load_model(f"trained:{arguments.folder}/networks/cnn", device="cpu")
    dataset = open_dataset("triangle-disc:100")
    samples = dict(zip(dataset.keys, map(dataset.__getitem__, range(len(dataset))), strict=True))
    print(
        "| method | share of the disc in the top | rank of the disc | objects |\n|---|---|---|---|"
    )
    shown, before, after = [], [], []
    for run in sorted(part.iterdir()):
        folder = RunFolder(run)
        settings, shares, ranks = folder.settings(), [], []
        for record in folder.records():
            sample = samples[record["sample"]]
            if record["status"] != "done" or not sample.relevance.any():
                continue
            result = read_result(folder, record, settings)
            if not (result.target.region & sample.relevance).any():
                continue
            disc = sample.relevance & (sample.annotation == 0)
            elsewhere = ~disc & (sample.image[0] <= STROKE_GREY)
            top = top_fraction(result.saliency_map, float(sample.relevance.float().mean()))
            shares.append(float(top[disc].float().mean()))
            ranks.append(rank_of_disc(result.saliency_map, disc, elsewhere))
            if settings["method"] == "misure":
                region = result.explanation.minimally_sufficient_region
                probe = make_probe(model, sample.image, result.target, 0.9, "mean", 0)
                with model.borrowed():
                    (answer,) = try_regions(model, [(probe, region & ~disc)])
                shown.append(bool((region & disc).any()))
                before.append(result.explanation.dice)
                after.append(answer.dice)
        print(f"| `{run.name}` | {mean(shares):.2f} | {mean(ranks):.2f} | {len(shares)} |")
    print(
        f"\nmisure's regions: {sum(shown)} of {len(shown)} show some of the disc; "
        f"mean Dice {mean(before):.3f}, without these pixels {mean(after):.3f}."
    )


if __name__ == "__main__":
    main()
