"""SegmentationModel: any network as a function from images to logits, both in the user's pixels.

    images (N, C, *spatial) -> Preprocessing -> network -> find_tensor, to_classes -> resized back
    -> logits (N, K, *spatial)

The network is borrowed: after use it is exactly as it was. Its passes are counted, and a batch that
does not fit into memory is halved and tried again.
"""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from math import prod
from typing import Any, TypeVar

import torch
from torch import Tensor

from misure.errors import InputError, MisureError, ModelError, entrance
from misure.images.intensity import check_rule
from misure.models.batches import in_batches, is_out_of_memory
from misure.models.borrowed import borrowed
from misure.models.cost import Cost
from misure.models.device import autocast_type, device_and_dtype
from misure.models.logits import (
    all_finite,
    class_probability,
    class_region,
    find_tensor,
    look_like_probabilities,
    to_classes,
)
from misure.models.preprocessing import Preprocessing, make_preprocessing

T = TypeVar("T")
Shape = Sequence[int]

_BATCH_PIXELS = 4_000_000
_BATCH_LIMIT = 16


class SegmentationModel:
    """Any segmentation network, ready to be explained.

    Args:
        net: a torch module, or any function of an image batch (N, C, *spatial).
        mean, std: a number for each channel, or one for all, in the units of the images; images
            are normalised with them. None: the network takes images as they are.
        input_size: exact size (*spatial) of the network's input, or the length of its short side.
        size_divisor: every side of the input is padded to a multiple of it.
        preprocessing: what holds where mean, std, input_size and size_divisor are not given.
        output: key or index of the logits within the network's output (see `find_tensor`).
        multilabel: whether each class has a sigmoid of its own; else classes exclude each other.
        probabilities: True: the network returns probabilities; False: it returns logits; None:
            logits, with an error if the first output looks like probabilities.
        class_names: K names; may be empty.
        num_channels: C; None: the length of `mean`, if it has more than one number.
        intensity: the rule that scales NIfTI volumes when they are read for this network,
            `window:LOW:HIGH` or `percentiles:LOW:HIGH`; images that are passed in are not scaled.
        label_offset: what to add to the numbers of annotations made for this network to get class
            indices; -1 where its annotations begin at 1 and 0 is "other" (`do_reduce_labels`).
        device: where a function computes; a module computes where its parameters are.
        autocast: `bfloat16` or `float16`: torch may compute in this type.
        batch_size: images at a time; None: at most 16, and about 4 million pixels.
        differentiable: whether gradients flow through `net`.
        name: of the network in results; None: the name of its type.

    Raises:
        InputError: arguments that contradict each other.
    """

    @entrance("SegmentationModel")
    def __init__(
        self,
        net: Callable[[Tensor], Any],
        *,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        input_size: int | Sequence[int] | None = None,
        size_divisor: int = 1,
        preprocessing: Preprocessing | None = None,
        output: str | int | None = None,
        multilabel: bool = False,
        probabilities: bool | None = None,
        class_names: Sequence[str] = (),
        num_channels: int | None = None,
        intensity: str = "",
        label_offset: int = 0,
        device: str | torch.device | None = None,
        autocast: torch.dtype | str | None = None,
        batch_size: int | None = None,
        differentiable: bool = True,
        name: str | None = None,
    ) -> None:
        if not callable(net):
            raise InputError(
                f"expected a network, got {type(net).__name__}. To load one "
                "from a file use load_model."
            )
        if batch_size is not None and batch_size < 1:
            raise InputError(f"expected batch_size of 1 or more, got {batch_size}.")
        self.net = net
        self.preprocessing = make_preprocessing(
            mean, std, input_size, size_divisor, known=preprocessing
        )
        self.output, self.multilabel, self.probabilities = output, multilabel, probabilities
        self.class_names = tuple(class_names)
        num_means = len(self.preprocessing.mean or ())
        if num_channels is None and num_means > 1:
            num_channels = num_means
        self.num_channels = num_channels
        self.intensity = intensity
        if intensity:
            check_rule(intensity)
        self.label_offset = label_offset
        self.device, self.dtype = device_and_dtype(net, device)
        self.autocast, self.batch_size = autocast_type(autocast), batch_size
        self.differentiable = differentiable
        self.name = name or type(net).__name__
        self._counters: list[Cost] = []
        self._fitting: dict[tuple[int, ...], int] = {}
        self._is_borrowed = False

    @entrance("SegmentationModel")
    def __call__(self, images: Tensor) -> Tensor:
        """Logits (N, K, *spatial) float32, at the images' own pixels, on the model's device.

        Gradients flow to the images where torch records them. One channel becomes two classes.

        Args:
            images: (N, C, *spatial) float, in the user's units.

        Raises:
            InputError: not such images, or a network without gradients that is asked for them.
            ModelError: the network raised, or gave no finite logits.
        """
        if images.ndim not in (4, 5) or not images.is_floating_point() or 0 in images.shape:
            raise InputError(
                "expected images (N, C, [D,] H, W) of floats, got "
                f"{images.dtype} {tuple(images.shape)}. One image needs image[None]."
            )
        if self.num_channels not in (None, images.shape[1]):
            raise InputError(
                f"expected images with {self.num_channels} channels, got "
                f"{images.shape[1]}: (C, *spatial) = {tuple(images.shape[1:])}."
            )
        if images.requires_grad and torch.is_grad_enabled() and not self.differentiable:
            raise InputError(
                f"expected a network with gradients, {self.name} gives none. "
                "Use a preset that needs none (forward_only, sufficient_region)."
            )
        with self.borrowed():
            inputs = self.preprocessing.to_input(images.to(self.device, torch.float32))
            output = self._run(inputs.to(self.dtype))
            logits = self._read(output, inputs)
        self._count(forward=len(images))
        logits = self.preprocessing.to_image(logits, images.shape[2:])
        if logits.requires_grad:
            logits.register_hook(self._count_backward)  # type: ignore[no-untyped-call]
        return logits

    def with_network(self, net: Callable[[Tensor], Any]) -> "SegmentationModel":
        """A model that uses another network in the same way; both count their passes together."""
        other = copy.copy(self)
        other.net, other._fitting = net, dict(self._fitting)
        other._is_borrowed = False
        return other

    def settings(self) -> dict[str, Any]:
        """How the network is used, as plain values: enough to use it in the same way again."""
        used, size = self.preprocessing, self.preprocessing.input_size
        return {
            "mean": list(used.mean) if used.mean else None,
            "std": list(used.std) if used.std else None,
            "input_size": list(size) if isinstance(size, tuple) else size,
            "size_divisor": used.size_divisor,
            "interpolation": used.interpolation,
            "channels": list(used.channels) if used.channels else None,
            "processor": dict(used.processor) if used.processor else None,
            "output": self.output,
            "multilabel": self.multilabel,
            "probabilities": bool(self.probabilities),
            "intensity": self.intensity,
            "label_offset": self.label_offset,
            "autocast": str(self.autocast).removeprefix("torch.") if self.autocast else None,
            "device": str(self.device),
        }

    def class_region(self, logits: Tensor, class_index: int) -> Tensor:
        """Pixels (N, *spatial) bool that logits (N, K, *spatial) give to a class."""
        return class_region(logits, class_index, self.multilabel)

    def class_probability(self, logits: Tensor, class_index: int) -> Tensor:
        """Probability (N, *spatial) in [0, 1] of a class by logits (N, K, *spatial)."""
        return class_probability(logits, class_index, self.multilabel)

    def is_background(self, class_index: int) -> bool:
        """Whether a class is class 0 of exclusive classes, which is usually the background."""
        return class_index == 0 and not self.multilabel

    def class_name(self, class_index: int) -> str:
        """The name of a class; its number as text if it has no name."""
        has_name = class_index < len(self.class_names)
        return self.class_names[class_index] if has_name else str(class_index)

    @entrance("SegmentationModel.find_class")
    def find_class(self, name_or_index: str | int) -> int:
        """The class_index of a class name, or of a number, which may be text.

        Raises:
            InputError: no class has this name; the message holds the names.
        """
        if isinstance(name_or_index, int):
            return name_or_index
        if name_or_index in self.class_names:
            return self.class_names.index(name_or_index)
        if name_or_index.isdecimal():
            return int(name_or_index)
        names = ", ".join(self.class_names) or "none, only numbers"
        raise InputError(
            f"expected a class of {self.name}, got {name_or_index!r}. It has: {names}."
        )

    @contextmanager
    def counting(self) -> Iterator[Cost]:
        """A context that counts the passes made and the seconds spent inside it."""
        cost = Cost()
        self._counters.append(cost)
        start = time.perf_counter()
        try:
            yield cost
        finally:
            cost.seconds = time.perf_counter() - start
            self._counters[:] = [counter for counter in self._counters if counter is not cost]

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """A context in which the network stays borrowed, instead of for each pass on its own."""
        if self._is_borrowed:
            yield
            return
        with borrowed(self.net, self.device):
            self._is_borrowed = True
            try:
                yield
            finally:
                self._is_borrowed = False

    @entrance("SegmentationModel.in_batches")
    def in_batches(self, work: Callable[[slice], T], num_images: int, spatial: Shape) -> list[T]:
        """The results of `work` for slices that cover range(num_images), as large as memory allows.

        Args:
            work: called with a slice, shows these images to the model; it must change nothing
                before it succeeds, since it is called again if memory runs out.
            num_images: number of images to show.
            spatial: (*spatial) of one image.

        Raises:
            ModelError: memory runs out for a single image.
        """
        num_pixels = max(prod(spatial), self.preprocessing.placement(spatial).num_pixels)
        size = self.batch_size or max(1, min(_BATCH_LIMIT, _BATCH_PIXELS // num_pixels))
        size = min(size, self._fitting.get(tuple(spatial), size))
        results, size_left = in_batches(work, num_images, size)
        if size_left < size:  # do not run out of memory again on the next images of this shape
            self._fitting[tuple(spatial)] = size_left
        return results

    def _run(self, inputs: Tensor) -> Any:
        kind = self.device.type
        cast = torch.autocast(kind, self.autocast) if self.autocast else nullcontext()
        try:
            with cast:
                return self.net(inputs)
        except Exception as error:
            if is_out_of_memory(error) or isinstance(error, MisureError):  # raised by a hook
                raise
            raise ModelError(
                f"the network {self.name} raised {type(error).__name__} on an input of shape "
                f"{tuple(inputs.shape)}: {error}"
            ) from error

    def _read(self, output: Any, inputs: Tensor) -> Tensor:
        tensor = find_tensor(output, inputs.ndim - 2, self.output)
        if len(tensor) != len(inputs):
            raise ModelError(
                f"expected one output for each of {len(inputs)} images, "
                f"{self.name} returned {tuple(tensor.shape)}."
            )
        if not all_finite(tensor):
            raise ModelError(
                f"expected finite logits, {self.name} returned NaN or infinity "
                f"for an input between {inputs.min():g} and {inputs.max():g}. Check its weights "
                "and the scale of the image."
            )
        if self.probabilities is None:
            if look_like_probabilities(tensor, self.multilabel):
                raise ModelError(
                    f"expected logits, {self.name} returned numbers between "
                    f"{tensor.min():g} and {tensor.max():g} that look like probabilities. Say "
                    "probabilities=True if they are, probabilities=False if they are logits."
                )
            self.probabilities = False
        return to_classes(tensor, multilabel=self.multilabel, probabilities=self.probabilities)

    def _count_backward(self, gradient: Tensor) -> None:
        self._count(backward=len(gradient))

    def _count(self, forward: int = 0, backward: int = 0) -> None:
        for counter in self._counters:
            counter.forward_passes += forward
            counter.backward_passes += backward
