"""Outputs of windows, kept while a network is borrowed: the same content gives the same output.

While a region is searched for, most windows of an image come again and again: those where nothing
is shown, and those that no change has touched. They are known by their content, not by their place,
so all windows of one colour are one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

_IMAGES_KEPT = 8
"""After this number of images that did not use an output, it may go."""


@dataclass
class _Kept:
    output: Tensor
    last_image: int

    @property
    def num_bytes(self) -> int:
        return self.output.numel() * self.output.element_size()


class KeptWindows:
    """Outputs (1, K, *any) of windows (1, C, *window) by their content, in bounded memory.

    Windows come in turns, image by image; the least recently used would always be the next one
    needed. So a new output takes the place of one that the last images have not used; if there is
    none, it is not kept.

    Args:
        most_mb: memory for outputs, in 10^6 bytes; 0 keeps none.

    Attributes:
        num_shown: windows whose output was asked for.
        num_computed: how many of them the network has computed.
    """

    def __init__(self, most_mb: float) -> None:
        self._most_bytes = most_mb * 1e6
        self._kept: dict[bytes, _Kept] = {}
        self._num_bytes = self._image = 0
        self.num_shown = self.num_computed = 0

    def begin_image(self) -> None:
        """Says that windows of the next image follow."""
        self._image += 1

    def forget(self) -> None:
        """Frees all outputs."""
        self._kept, self._num_bytes = {}, 0

    def output(self, window: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """The output of a window: the one kept for its content, or a new one.

        Args:
            window: (1, C, *window); with gradients, its output is a new one and is not kept.
            compute: from a window to its output; its result may depend on nothing else.
        """
        self.num_shown += 1
        if not self._most_bytes or (torch.is_grad_enabled() and window.requires_grad):
            return self.computed(window, compute)
        content = _content(window)
        found = self._kept.get(content)
        if found is None:
            output = self.computed(window, compute)
            self._keep(content, output)
            return output
        found.last_image = self._image
        self._kept[content] = self._kept.pop(content)  # the dictionary lies in order of last use
        return found.output

    def computed(self, window: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """The output of a window, computed."""
        self.num_computed += 1
        return compute(window)

    def _keep(self, content: bytes, output: Tensor) -> None:
        new = _Kept(output.detach().clone(), self._image)
        while self._kept and self._num_bytes + new.num_bytes > self._most_bytes:
            oldest = next(iter(self._kept))
            if self._kept[oldest].last_image > self._image - _IMAGES_KEPT:
                return
            self._num_bytes -= self._kept.pop(oldest).num_bytes
        if self._num_bytes + new.num_bytes <= self._most_bytes:
            self._kept[content] = new
            self._num_bytes += new.num_bytes


def _content(window: Tensor) -> bytes:
    numbers = window.detach().contiguous().cpu()
    told = blake2b(f"{tuple(numbers.shape)}{numbers.dtype}".encode(), digest_size=16)
    told.update(numbers.numpy().reshape(-1).view("uint8").data)
    return told.digest()
