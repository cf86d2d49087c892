"""Whether a region speaks for the target by its content, or by its outline alone.

The same figures as in every explanation (see `misure.evidence`), for the region of any method.
"""

from torch import Tensor

from misure.evidence import content_dices
from misure.model import SegmentationModel
from misure.trial import Trial


def silhouette_dice(model: SegmentationModel, trial: Trial, region: Tensor) -> float:
    """Dice with the target when a region's content is replaced, in [0, 1]; the larger of two.

    By its mean colour, and by noise of its own mean and deviation.

    Args:
        model: the model that is shown it.
        trial: the target, how regions are shown, and the contents.
        region: (*spatial) bool.
    """
    dices = content_dices(model, trial, region)
    return max(dices["mean_colour"], dices["noise"])


def transfer_dice(model: SegmentationModel, trial: Trial, region: Tensor) -> float:
    """Dice with the target when another image fills the region, in [0, 1].

    Args:
        model, trial, region: as in `silhouette_dice`.
    """
    return content_dices(model, trial, region)["other_image"]
