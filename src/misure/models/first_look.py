"""The first look at a network: whether it gives gradients, and the same answer to the same image.

Everything that misure says of a region supposes that the network is a function of the image alone.
The first image is therefore shown again, with gradients recorded, and once beside another one. What
is found is put right as far as possible, and told in one sentence (a `MisureWarning`):

- no gradients, though the logits depend on the image: the network counts as one without;
- other logits the second time: the random numbers of torch, NumPy and Python are fixed, and images
  are shown one by one;
- other logits beside another image: images are shown one by one.

A network that may be faster on images that lie by pixel in memory (see `memory_format`) is shown
the image in that form, too: if it fails, or answers otherwise, it gets images by channel. That is
no fault, and nothing is said.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from misure._util.words import share
from misure.errors import MisureError, MisureWarning, ModelError, reason_of
from misure.models.batches import is_out_of_memory
from misure.models.logits import all_finite

_TOLERANCE = 1e-3
_TOLERANCE_ON_A_GPU = 1e-2
_TOLERANCE_OF_HALF = 0.1


@dataclass(frozen=True)
class FirstLook:
    """What the first look found.

    Attributes:
        no_gradients: why the network gives none; empty: it does, or it was not asked for any.
        fixes_random: whether random numbers must be fixed in every pass.
        one_by_one: whether images must be shown one at a time.
        by_pixel: whether images are shown by pixel (see `memory_format`).
    """

    no_gradients: str = ""
    fixes_random: bool = False
    one_by_one: bool = False
    by_pixel: bool = False


Show = Callable[[Tensor, bool, bool], Tensor]
"""(images, whether random numbers are fixed, whether they lie by pixel) -> logits."""


def look(
    show: Show,
    image: Tensor,
    *,
    name: str,
    wants_gradients: bool,
    batches: bool,
    is_half: bool,
    by_pixel: bool = False,
) -> FirstLook:
    """What an image shows of a network, in at most eight passes; warns of what may be wrong.

    Args:
        show: shows images (N, C, *spatial) to the network; gradients flow where torch records them.
        image: (1, C, *spatial).
        name: of the network, for the sentences.
        wants_gradients: whether it is said to give gradients.
        batches: whether several images may be shown at a time.
        is_half: whether it computes in half precision.
        by_pixel: whether it may be faster on images that lie by pixel.

    Raises:
        ModelError: the network fails on the image.
    """
    looking = _Looking(show, image.detach().clone(), name, is_half)
    with torch.inference_mode(False), torch.random.fork_rng(devices=_devices(image)):
        looking.one = looking.logits(looking.image)
        fixes_random = looking.is_random()
        if by_pixel and not fixes_random:
            looking.turn_to_pixels()
        one_by_one = fixes_random or (batches and looking.depends_on_the_batch())
        no_gradients = looking.why_no_gradients(fixes_random) if wants_gradients else ""
    return FirstLook(no_gradients, fixes_random, one_by_one, looking.by_pixel)


def _devices(image: Tensor) -> list[torch.device]:
    return [image.device] if image.device.type == "cuda" else []


class _Looking:
    """A network and an image, while they are looked at."""

    one: Tensor  # the logits of the image
    by_pixel = False

    def __init__(self, show: Show, image: Tensor, name: str, is_half: bool) -> None:
        self.show, self.image, self.name = show, image, name
        axes = tuple(range(2, image.ndim))
        self.other = 0.5 * image.flip(axes)
        on_a_gpu = _TOLERANCE_ON_A_GPU if image.device.type == "cuda" else _TOLERANCE
        self.tolerance = _TOLERANCE_OF_HALF if is_half else on_a_gpu

    def logits(self, images: Tensor, *, fixed: bool = False) -> Tensor:
        with torch.no_grad():
            return self.show(images, fixed, self.by_pixel)

    def differ(self, a: Tensor, b: Tensor) -> bool:
        """Whether logits differ by more than the noise of floating-point numbers."""
        spread = float(a.std(correction=0)) + 1e-3 * float(a.abs().max())
        return float((a - b).abs().max()) > self.tolerance * spread

    def share(self, a: Tensor, b: Tensor) -> str:
        """On how many pixels the likeliest class is another, as a percentage."""
        changed = a.argmax(1) != b.argmax(1) if a.shape[1] > 1 else (a > 0) != (b > 0)
        return share(changed.float().mean().item())

    def is_random(self) -> bool:
        """Whether the same image gives other logits the second time; the first are then fixed."""
        again = self.logits(self.image)
        if not self.differ(self.one, again):
            return False
        share = self.share(self.one, again)
        self.one, again = (self.logits(self.image, fixed=True) for _ in range(2))
        cure = (
            "misure fixes them, so the result holds for one draw of them."
            if not self.differ(self.one, again)
            else "They cannot be fixed from outside: no Dice will come out again."
        )
        _warn(
            f"the network {self.name} draws random numbers: the same image, shown again, gets "
            f"another class on {share} of the pixels. {cure} Switch dropout and noise off, or "
            "export the network in evaluation mode."
        )
        return True

    def turn_to_pixels(self) -> None:
        """Shows images by pixel from now on, if the network can take them and answers the same."""
        by_channel, self.by_pixel = self.one, True
        try:
            self.one = self.logits(self.image)
        except MisureError:  # it asks for another view of memory than there is
            self.by_pixel = False
        else:
            self.by_pixel = not self.differ(by_channel, self.one)
        if not self.by_pixel:
            self.one = by_channel

    def depends_on_the_batch(self) -> bool:
        """Whether the image must be shown alone: else the batch fails, or changes its logits."""
        try:
            pair = self.logits(torch.cat([self.image, self.other]))[:1]
        except Exception as error:
            if is_out_of_memory(error):
                return False
            if not isinstance(error, ModelError):
                raise
            return self._takes_one_only()
        if not self.differ(self.one, pair):
            return False
        _warn(
            f"the network {self.name} gives an image other logits beside another image in the "
            f"batch, with another class on {self.share(self.one, pair)} of the pixels: it takes "
            "statistics of the batch, as batch norm in training mode does. misure shows images "
            "one by one; export or use the network in evaluation mode if that was not meant."
        )
        return True

    def _takes_one_only(self) -> bool:
        try:
            self.logits(torch.cat([self.image, self.image]))
        except MisureError:
            return True
        return False  # it is the other image that it cannot take

    def why_no_gradients(self, fixed: bool) -> str:
        """Why the network gives no gradients, as it reads after "none:"; empty if it does."""
        reason = self._fault_of_gradients(fixed)
        if not reason or not self._depends_on_the_image(fixed):
            return ""
        _warn(
            f"the network {self.name} gives no gradients: {reason}. It is explained without them "
            "(such as the preset readable), and methods that need them refuse it. Say "
            "differentiable=False if that is meant."
        )
        return reason

    def _fault_of_gradients(self, fixed: bool) -> str:
        leaf = self.image.clone().requires_grad_()
        try:
            with torch.enable_grad():
                logits = self.show(leaf, fixed, self.by_pixel)
                if not logits.requires_grad:
                    return (
                        "its logits do not record any, as under no_grad or inference_mode, after "
                        "detach, or by way of NumPy"
                    )
                weights = torch.sin(torch.arange(logits.numel(), device=logits.device) + 1.0)
                summed = (logits * weights.view_as(logits)).sum()
                (gradient,) = torch.autograd.grad(summed, leaf, allow_unused=True)
        except Exception as error:
            if is_out_of_memory(error):
                return ""  # not known; a search may show fewer images at a time
            return f"a pass that records them fails ({reason_of(error)[:200]})"
        if gradient is None or not bool(gradient.any()):
            return "they are zero for every pixel of the first image"
        return "" if all_finite(gradient) else "they are NaN or infinite for the first image"

    def _depends_on_the_image(self, fixed: bool) -> bool:
        try:
            other = self.logits(self.other, fixed=fixed)
        except MisureError:
            return True
        return self.differ(self.one, other)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, MisureWarning, stacklevel=2)
