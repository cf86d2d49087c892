"""What metrics do with maps before they measure anything."""

from torch import Tensor

from misure.errors import InputError


def positive_part(saliency_map: Tensor) -> Tensor:
    """The map (*spatial) float64, negative values as 0, and its least value subtracted.

    So an offset does not count: a map that is large everywhere says as little as a flat one.
    """
    positive = saliency_map.double().clamp(min=0)
    return positive - positive.min()


def check_same_shape(metric: str, a: Tensor, b: Tensor) -> None:
    """Raises an InputError where two tensors have not the same shape."""
    if a.shape != b.shape:
        raise InputError(
            f"{metric}: expected two tensors of one shape, got {tuple(a.shape)} and "
            f"{tuple(b.shape)}."
        )
