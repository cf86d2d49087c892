"""What a model is made of and shown, checked at the entrance."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from misure._util.words import counted
from misure.errors import InputError
from misure.images.label_regions import read_regions, regions_by_class


def check_network(net: Any, call: Any) -> None:
    """Raises an InputError unless both are functions; `call` may be None."""
    if not callable(net):
        raise InputError(
            f"expected a network, got {type(net).__name__}. To load one from a file use load_model."
        )
    if call is not None and not callable(call):
        raise InputError(f"expected call as a function (net, images), got {type(call).__name__}.")


def check_numbers(batch_size: int | None, border_px: int) -> None:
    """Raises an InputError unless they are in their ranges."""
    if batch_size is not None and batch_size < 1:
        raise InputError(f"expected batch_size of 1 or more, got {batch_size}.")
    if not isinstance(border_px, int) or border_px < 0:
        raise InputError(f"expected border_px of 0 or more, got {border_px!r}.")


def check_images(images: Tensor, num_channels: int | None) -> None:
    """Raises an InputError unless images are (N, C, *spatial) floats of so many channels."""
    if not isinstance(images, Tensor):
        raise InputError(
            f"expected images (N, C, [D,] H, W) as a tensor, got {type(images).__name__}. "
            "segment and explain also take arrays and pictures."
        )
    if images.ndim not in (4, 5) or not images.is_floating_point() or 0 in images.shape:
        raise InputError(
            "expected images (N, C, [D,] H, W) of floats, got "
            f"{images.dtype} {tuple(images.shape)}. One image needs image[None]."
        )
    if num_channels not in (None, images.shape[1]):
        raise InputError(
            f"expected images with {counted(num_channels, 'channel')}, got "
            f"{images.shape[1]}: (C, *spatial) = {tuple(images.shape[1:])}."
        )


def read_label_regions(
    given: str | Mapping[str, int | Sequence[int]] | None,
    class_names: Sequence[str],
    *,
    multilabel: bool,
) -> dict[str, tuple[int, ...]] | None:
    """Class -> its numbers in annotations; None if that is not known.

    Raises:
        InputError: no such rule, other classes, or classes that exclude each other.
    """
    if given is None:
        return None
    regions = read_regions(given)
    if not multilabel:
        raise InputError(
            "expected multilabel=True with label_regions, which are for classes that overlap, got "
            "multilabel=False. Leave one out."
        )
    regions_by_class(regions, class_names)
    return regions
