"""Whether a region is evidence for the target by its content, or by its outline alone.

Every explanation holds these values for its own region (see `misure.explanation.evidence`); here
they are measured for the region of any method.
"""

from collections.abc import Mapping

from torch import Tensor

from misure.errors import InputError
from misure.explanation.evidence import content_dices
from misure.explanation.probe import Probe
from misure.metrics.maps import check_same_shape
from misure.metrics.metric import metric
from misure.models.model import SegmentationModel


@metric(
    group="evidence",
    unit="Dice",
    better="lower",
    formula="the larger Dice when R is filled with its mean colour, or with noise of its kind",
)
def silhouette_dice(
    model: SegmentationModel,
    probe: Probe,
    region: Tensor,
    *,
    dice_by_content: Mapping[str, float] | None = None,
) -> float:
    """Dice with the target when a region's content is replaced, in [0, 1]; the larger of two.

    The content is replaced by its mean colour, and by noise of its own mean and deviation.

    Args:
        model: the model that is shown the region.
        probe: the target, how regions are shown, and the content controls.
        region: (*spatial) bool.
        dice_by_content: the result of `find_dice_by_content`, if it is known already.
    """
    dices = dice_by_content or find_dice_by_content(model, probe, region)
    return max(dices["mean_colour"], dices["noise"])


@metric(
    group="evidence",
    unit="Dice",
    better="lower",
    formula="Dice when R is filled with another image: of the next sample, else the image turned",
)
def transfer_dice(
    model: SegmentationModel,
    probe: Probe,
    region: Tensor,
    *,
    dice_by_content: Mapping[str, float] | None = None,
) -> float:
    """Dice with the target when another image fills the region, in [0, 1].

    In a comparison it is the image of another sample of the data set (see `OtherImages`); where
    there is none, the image itself turned by half a turn.

    Args:
        model: the model that is shown the region.
        probe: the target, how regions are shown, and the content controls.
        region: (*spatial) bool.
        dice_by_content: the result of `find_dice_by_content`, if it is known already.
    """
    dices = dice_by_content or find_dice_by_content(model, probe, region)
    return dices["other_image"]


def find_dice_by_content(
    model: SegmentationModel, probe: Probe, region: Tensor
) -> dict[str, float]:
    """Dice with the target for each content control that replaces the region's own content.

    Args:
        model: the model that is shown the region.
        probe: the target, how regions are shown, and the content controls.
        region: (*spatial) bool.

    Raises:
        InputError: a probe without content controls, or another shape.
    """
    check_same_shape(region, probe.target.region)
    if probe.content_controls is None:
        raise InputError(
            "expected a probe with content controls, got one without. Make it with "
            "content_controls=make_content_controls(image)."
        )
    return content_dices(model, probe, region.to(model.device))
