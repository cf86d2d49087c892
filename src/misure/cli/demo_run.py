"""The demo: held-out triangles, explained with the shipped network.

It needs neither optional libraries nor a network connection: weights and digits ship with misure.
One corner of each triangle is explained with pictures, then all corners as a run with its report.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from misure._util.progress import OnStep
from misure.datasets.triangle.dataset import TriangleDataset
from misure.explanation.explain import explain
from misure.explanation.presentation import make_presentation
from misure.images.regions import area_fraction
from misure.models.loaders import load_model
from misure.models.segmentation import segment
from misure.reports.folders import save_result
from misure.reports.page import write_report
from misure.runs.other_images import OtherImages
from misure.runs.plan import RunPlan
from misure.runs.run import run

NUM_SAMPLES = 3


def run_demo(folder: Path, on_step: OnStep | None = None) -> list[dict[str, Any]]:
    """The numbers of three held-out samples, whose first corner is explained in a folder each.

    A run over the same samples explains every corner; `report.html` shows that run.

    Args:
        folder: an existing folder.
        on_step: called with each step of a search.

    Returns:
        A row for each sample: key, growth in pixels, areas, Dice, pass equivalents, and the
        fraction of the relevant glyphs that each region covers (`other_corners_covered`: the two
        other corners by the sufficient region; `relevance_covered`: all three corners by the
        minimally sufficient region).
    """
    model = load_model("triangle", device="cpu")
    dataset = TriangleDataset(NUM_SAMPLES)
    rows = []
    for number in range(NUM_SAMPLES):
        sample = dataset[number]
        segmentation = segment(model, sample.image)
        target = segmentation.target(point=sample.corners[0])
        other, name = OtherImages(dataset).of(number, sample.image) or (None, "")
        explanation = explain(
            model,
            sample.image,
            target,
            other_image=other,
            other_image_name=name,
            on_step=on_step,
        )
        sample_folder = folder / sample.key
        sample_folder.mkdir()
        save_result(
            explanation, make_presentation(model, sample.image), segmentation, sample_folder
        )
        others = sample.relevance & ~explanation.target.region
        rows.append(
            {
                "sample": sample.key,
                "growth_px": explanation.growth_px,
                "sufficient_area": area_fraction(explanation.sufficient_region),
                "other_corners_covered": _covered(others, explanation.sufficient_region),
                "minimal_area": area_fraction(explanation.minimally_sufficient_region),
                "relevance_covered": _covered(
                    sample.relevance, explanation.minimally_sufficient_region
                ),
                "dice": explanation.dice,
                "silhouette_dice": explanation.silhouette_dice,
                "pass_equivalents": explanation.cost.pass_equivalents,
            }
        )
    run(dataset, model, folder / "run", RunPlan(instances=True))
    write_report([folder / "run"], folder / "report.html")
    return rows


def _covered(wanted: Tensor, region: Tensor) -> float:
    return int((wanted & region).sum()) / int(wanted.sum())
