"""The demo: held-out triangles, explained by the shipped network.

One corner item of each with pictures, then all of them as a run with its report.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from misure.datasets.triangle.dataset import TriangleDataset
from misure.explanation.explain import explain
from misure.explanation.presentation import make_presentation
from misure.explanation.probe import OnStep
from misure.images.regions import area_fraction
from misure.models.loaders import load_model
from misure.models.segmentation import segment
from misure.reports.folders import save_result
from misure.reports.page import write_report
from misure.runs.run import run

NUM_SAMPLES = 3


def run_demo(folder: Path, on_step: OnStep | None = None) -> list[dict[str, Any]]:
    """Explains the first corner of three held-out samples and writes a folder for each.

    All their items are explained by a run (`run`), which `report.html` shows.

    Args:
        folder: an existing folder.
        on_step: told of progress.

    Returns:
        For each sample its key, the growth in pixels, areas, Dice, passes, and how much of what is
        known to matter each region covers: of the other two corner items the sufficient region, of
        all three the minimally sufficient one.
    """
    model = load_model("triangle", device="cpu")
    dataset = TriangleDataset(NUM_SAMPLES)
    rows = []
    for sample in (dataset[i] for i in range(NUM_SAMPLES)):
        segmentation = segment(model, sample.image)
        target = segmentation.target(point=sample.corners[0])
        found = explain(model, sample.image, target, on_step=on_step)
        place = folder / sample.key
        place.mkdir()
        save_result(found, make_presentation(model, sample.image), segmentation, place)
        others = sample.relevance & ~found.target.region
        rows.append(
            {
                "sample": sample.key,
                "growth_px": found.growth_px,
                "sufficient_area": area_fraction(found.sufficient_region),
                "other_corners_covered": _covered(others, found.sufficient_region),
                "minimal_area": area_fraction(found.minimally_sufficient_region),
                "relevance_covered": _covered(sample.relevance, found.minimally_sufficient_region),
                "dice": found.dice,
                "silhouette_dice": found.silhouette_dice,
                "pass_equivalents": found.cost.pass_equivalents,
            }
        )
    run(dataset, model=model, out=folder / "run", instances=True)
    write_report([folder / "run"], folder / "report.html")
    return rows


def _covered(wanted: Tensor, region: Tensor) -> float:
    return int((wanted & region).sum()) / int(wanted.sum())
