"""What metrics do with maps before they measure anything."""

from torch import Tensor

from misure.errors import InputError
from misure.images.maps import fill_unknown


def positive_part(saliency_map: Tensor) -> Tensor:
    """The map (*spatial) float64 with negative values and NaN as 0, minus its smallest value.

    An offset does not count: a map that is large everywhere says as little as a flat one.
    """
    positive = fill_unknown(saliency_map, 0).double().clamp(min=0)
    return positive - positive.min()


def check_same_shape(a: Tensor, b: Tensor) -> None:
    """Raises an InputError if two tensors differ in shape."""
    if a.shape != b.shape:
        raise InputError(
            f"expected two tensors of one shape, got {tuple(a.shape)} and {tuple(b.shape)}."
        )
