"""Evidence: whether a region speaks for the target by its content, or by its outline alone.

The region is shown as before, but with its content replaced (see `contents`): by its own mean
colour and by noise (*silhouette Dice*), and by another image (*transfer Dice*). A model that still
draws the target does not read what the region shows of the image, and the region is weak evidence.
"""

from dataclasses import replace

from torch import Tensor

from misure.contents import CONTENTS
from misure.model import SegmentationModel
from misure.showing import try_regions
from misure.trial import Trial


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
