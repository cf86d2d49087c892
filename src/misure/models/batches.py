"""Work done in batches that shrink when memory runs out."""

from collections.abc import Callable
from typing import TypeVar

import torch

from misure.errors import ModelError

T = TypeVar("T")

_BATCH_PIXELS = {"cpu": 300_000}
_BATCH_PIXELS_ELSEWHERE = 4_000_000
_BATCH_LIMIT = 16


def batch_size_for(num_pixels: int, device: torch.device) -> int:
    """How many images of so many pixels a network is shown at a time, if nobody said."""
    most_pixels = _BATCH_PIXELS.get(device.type, _BATCH_PIXELS_ELSEWHERE)
    return max(1, min(_BATCH_LIMIT, most_pixels // num_pixels))


def in_batches(work: Callable[[slice], T], num_images: int, size: int) -> tuple[list[T], int]:
    """The results of `work` for consecutive slices that cover range(num_images), and the last size.

    If memory runs out for a slice, it is halved and tried again, and later ones are as small.

    Args:
        work: called with a slice; it must change nothing before it succeeds.
        num_images: number of images to show; 0 gives no result.
        size: images at a time to begin with, 1 or more.

    Raises:
        ModelError: memory runs out for a single image.
    """
    results: list[T] = []
    start = 0
    while start < num_images:
        stop = min(start + size, num_images)
        try:
            results.append(work(slice(start, stop)))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if stop - start == 1:
                raise ModelError(
                    "a single image does not fit into memory. Shrink it, or use a device with more."
                ) from error
            size = (stop - start + 1) // 2
        else:
            start = stop
            continue
        if torch.cuda.is_available():  # only here is nothing left that refers to the failed batch
            torch.cuda.empty_cache()
    return results, size


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of torch, numpy or onnxruntime says that memory ran out."""
    message = str(error).lower()
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in message or "allocate memory" in message)
    )
