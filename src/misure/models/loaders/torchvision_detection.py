"""Mask R-CNN of torchvision: lists of images in, per image boxes, labels, scores and masks out.

The network resizes and normalises images itself, drops boxes (NMS), and pastes masks to the pixels
of the image. All of that is its own here, so what is reported is what it returns, from a score on.
Gradients flow through scores and masks; boxes have none in torchvision.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from misure.errors import InputError, ModelError, entrance
from misure.models.instances import Detections, instance_settings
from misure.models.instances.readers import ThresholdReader
from misure.models.model import SegmentationModel
from misure.models.outputs import describe

MIN_SCORE = 0.5
"""Score from which an object is reported, as in the examples of torchvision.

The networks list boxes from a score of 0.05 on.
"""

MAX_SIZE = 1333
"""The most that the long side of a resized image has in torchvision, unless said otherwise."""

_MOST_OTHERS = 20
_KEYS = ("labels", "scores", "masks")


def call_with_list(net: nn.Module, images: Tensor) -> Any:
    """What a detection network returns for images (N, C, H, W)."""
    return net(list(images))


class MaskRcnnInstances:
    """Proposals of what a Mask R-CNN returns.

    Args:
        num_classes: K, with the background, which is class 0.
        min_score: score from which an object is reported.
    """

    def __init__(self, num_classes: int, min_score: float) -> None:
        self._num_classes, self._min_score = num_classes, min_score

    def __call__(self, output: Any) -> list[Detections]:
        """The proposals on each image; of those that are not reported, the best alone.

        Raises:
            ModelError: the output has no masks.
        """
        if not isinstance(output, list) or not all(
            isinstance(each, dict) and all(key in each for key in _KEYS) for each in output
        ):
            raise ModelError(
                f"expected {', '.join(_KEYS)} for each image, the network returned "
                f"{describe(output)}."
            )
        return [self._of_image(each) for each in output]

    def _of_image(self, each: dict[str, Tensor]) -> Detections:
        scores = each["scores"].float()
        number = int((scores >= self._min_score).sum()) + _MOST_OTHERS
        best = scores.detach().sort(descending=True, stable=True).indices[:number]
        return Detections.of(
            each["labels"][best],
            scores[best],
            each["masks"][best, 0],
            self._num_classes,
            probabilities=True,
        )


def checked_sizes(sizes: Mapping[str, Any]) -> dict[str, int]:
    """Options of a Mask R-CNN about the sizes of its input and the numbers of its proposals.

    Args:
        sizes: name -> value.

    Raises:
        InputError: one that is no whole number from 1 on.
    """
    for name, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(f"expected {name} as a whole number from 1 on, got {value!r}.")
    if sizes.get("max_size", MAX_SIZE) < sizes.get("min_size", 1):
        raise InputError(
            f"expected max_size of at least min_size ({sizes['min_size']}), got "
            f"{sizes.get('max_size', MAX_SIZE)}."
        )
    return dict(sizes)


def mask_rcnn_settings(
    net: Any, class_names: Sequence[str], min_score: float = MIN_SCORE, name: str = "Mask R-CNN"
) -> dict[str, Any]:
    """Arguments of SegmentationModel for a Mask R-CNN of torchvision.

    Args:
        net: the network.
        class_names: K names; the first is that of the background.
        min_score: score from which an object is reported.
        name: of the network, for messages.

    Raises:
        InputError: it has no masks or draws keypoints, too, or min_score is below what it lists.
    """
    heads = getattr(net, "roi_heads", None)
    if heads is None or not heads.has_mask():
        raise InputError(no_masks(name, ["a Mask R-CNN"]))
    if min_score < heads.score_thresh:
        raise InputError(
            f"expected min_score from {heads.score_thresh:g} on, got {min_score:g}: {name} lists "
            "no box below (box_score_thresh)."
        )
    reader = ThresholdReader(
        MaskRcnnInstances(len(class_names), min_score), len(class_names), min_score
    )
    return {
        "call": call_with_list,
        "class_names": class_names,
        "num_channels": len(net.transform.image_mean),
        **instance_settings(reader, name),
    }


@entrance("mask_rcnn_model")
def mask_rcnn_model(
    net: nn.Module,
    class_names: str | Sequence[str],
    *,
    min_score: float = MIN_SCORE,
    **options: Any,
) -> SegmentationModel:
    """A Mask R-CNN of torchvision with weights of yours, ready to be explained object by object.

    Args:
        net: the network; images are prepared by its own transform.
        class_names: K names, or one text with commas; the first is that of the background, class 0.
        min_score: score from which an object is reported.
        options: of SegmentationModel.

    Raises:
        InputError: the network has no masks, or min_score is below what it lists.
    """
    names = class_names.split(",") if isinstance(class_names, str) else list(class_names)
    settings = mask_rcnn_settings(net, names, min_score, options.get("name") or type(net).__name__)
    return SegmentationModel(net, **settings | options)


def no_masks(name: str, masked: Sequence[str]) -> str:
    """The sentence for a detection network without masks."""
    draws = "keypoints" if name.startswith("keypoint") else "boxes"
    return (
        f"expected a network that draws masks, {name} draws {draws} alone: there are no pixels of "
        f"an object to explain. Use {' or '.join(masked)}."
    )
