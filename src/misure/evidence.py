"""Evidence: whether a region speaks for the target by its content, or by its outline alone.

The region is shown as before, but with its content replaced (see `contents`): by its own mean
colour and by noise (*silhouette Dice*), and by another image (*transfer Dice*). A model that still
draws the target does not read what the region shows of the image, and the region is weak evidence.

An edge is not context, either: part of what stage 1 asks for only repairs the damage of a hard edge
and a flat colour. `sufficiency_by_presentation` grows the target in each of several presentations;
growth that another presentation does without was no context.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from misure.contents import CONTENTS
from misure.cost import Cost
from misure.model import SegmentationModel
from misure.presentation import make_presentation
from misure.region import area_fraction
from misure.showing import try_regions
from misure.sufficient_region import find_sufficient_regions
from misure.trial import OnStep, Trial


def content_dices(model: SegmentationModel, trial: Trial, region: Tensor) -> dict[str, float]:
    """Dice of the target for each of `CONTENTS`, in [0, 1], in the first presentation.

    An empty region has no content, so all are the Dice when the model sees nothing.

    Args:
        model: the model that is shown the region.
        trial: the target, how regions are shown, and the contents.
        region: (*spatial) bool.
    """
    if trial.contents is None:
        return {}
    dices = {}
    for content in CONTENTS:
        image = trial.contents.replace(content, region)
        shown = replace(trial, presentations=(replace(trial.presentations[0], image=image),))
        dices[content] = try_regions(model, [(shown, region)])[0].dice
    return dices


def dice_by_presentation(
    model: SegmentationModel, trial: Trial, region: Tensor
) -> dict[str, float]:
    """Dice of the target, in [0, 1], when the region is shown in each of the presentations."""
    return {
        presentation.name: try_regions(
            model, [(replace(trial, presentations=(presentation,)), region)]
        )[0].dice
        for presentation in trial.presentations
    }


COMPARED_BASELINE_IMAGES = ("mean", "blurred", "noise")
_COMPARED_EDGES = (0, 1 / 64)  # of the short side


@dataclass(frozen=True)
class PresentedSufficiency:
    """What a target needs to be shown when removed pixels are presented in one way.

    Attributes:
        baseline_image: name of what stands where pixels are removed.
        edge_px: width of the soft edge.
        growth_px, area_fraction, dice: of the sufficient region in this presentation.
        passes: forward passes that finding it took.
    """

    baseline_image: str
    edge_px: int
    growth_px: float
    area_fraction: float
    dice: float
    passes: int


def sufficiency_by_presentation(
    model: SegmentationModel,
    trials: Sequence[Trial],
    *,
    growth: str,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> list[list[PresentedSufficiency]]:
    """For each trial the sufficient regions that its target has in six presentations.

    Each of `COMPARED_BASELINE_IMAGES` with a hard edge, and a soft one of 1/64 of the short side.

    Args:
        model: the model to explain.
        trials: targets; their own presentations do not matter but for the image.
        growth: the search (see `find_sufficient_regions`).
        seed: of the baseline image `noise`.
        on_step: told of every round.
    """
    apart = []
    for trial in trials:
        image = trial.presentations[0].image
        for kind in COMPARED_BASELINE_IMAGES:
            for share in _COMPARED_EDGES:
                edge_px = round(share * min(image.shape[1:]))
                shown = make_presentation(
                    model, image, baseline_image=kind, edge_px=edge_px, seed=seed
                )
                apart.append(replace(trial, presentations=(shown,), controls=(), cost=Cost()))
    regions = find_sufficient_regions(model, apart, growth=growth, on_step=on_step)
    found = [
        PresentedSufficiency(
            baseline_image=trial.presentations[0].name,
            edge_px=trial.edge_px,
            growth_px=one.growth_px,
            area_fraction=area_fraction(one.region),
            dice=one.dice,
            passes=trial.cost.forward_passes,
        )
        for trial, one in zip(apart, regions, strict=True)
    ]
    num = len(COMPARED_BASELINE_IMAGES) * len(_COMPARED_EDGES)
    return [found[num * i : num * (i + 1)] for i in range(len(trials))]
