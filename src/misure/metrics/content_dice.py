"""Whether a region speaks for the target by its content, or by its outline alone.

The same figures as in every explanation (see `misure.evidence`), for the region of any method.
"""

from collections.abc import Mapping

from torch import Tensor

from misure.errors import InputError
from misure.explanation.evidence import content_dices
from misure.explanation.probe import Probe
from misure.metrics.maps import check_same_shape
from misure.models.model import SegmentationModel


def silhouette_dice(
    model: SegmentationModel,
    probe: Probe,
    region: Tensor,
    *,
    dice_by_content: Mapping[str, float] | None = None,
) -> float:
    """Dice with the target when a region's content is replaced, in [0, 1]; the larger of two.

    By its mean colour, and by noise of its own mean and deviation.

    Args:
        model: the model that is shown it.
        probe: the target, how regions are shown, and the contents.
        region: (*spatial) bool.
        dice_by_content: what `find_dice_by_content` found, where that is known already.
    """
    dices = dice_by_content or find_dice_by_content(model, probe, region)
    return max(dices["mean_colour"], dices["noise"])


def transfer_dice(
    model: SegmentationModel,
    probe: Probe,
    region: Tensor,
    *,
    dice_by_content: Mapping[str, float] | None = None,
) -> float:
    """Dice with the target when another image fills the region, in [0, 1].

    Args:
        model, probe, region, dice_by_content: as in `silhouette_dice`.
    """
    dices = dice_by_content or find_dice_by_content(model, probe, region)
    return dices["other_image"]


def find_dice_by_content(
    model: SegmentationModel, probe: Probe, region: Tensor
) -> dict[str, float]:
    """Dice with the target for each content (see `contents`) that replaces the region's own.

    Raises:
        InputError: a probe without contents, or another shape.
    """
    check_same_shape("silhouette_dice", region, probe.target.region)
    if probe.content_controls is None:
        raise InputError(
            "silhouette_dice: expected a probe with contents, got one without. Make it with "
            "content_controls=make_content_controls(image)."
        )
    return content_dices(model, probe, region.to(model.device))
