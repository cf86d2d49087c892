"""Targets: what is explained.

A target is a class together with the pixels to preserve. They come from the model's own prediction,
never from an annotation: an explanation says why the model predicted this, right or wrong. Only
what the model missed is marked by a person (see `missed`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from misure._util.drawing import drawing
from misure._util.short_repr import brief, one_line, short_repr
from misure.errors import InputError, entrance
from misure.images.regions import area_fraction, dice
from misure.models.binding import Binding
from misure.models.device import to_device
from misure.models.logits import class_region, to_classes
from misure.models.outputs import find_tensor
from misure.models.preprocessing import resize

if TYPE_CHECKING:
    from misure.models.model import SegmentationModel


@dataclass(frozen=True, eq=False)
class Target:
    """A class and the pixels to preserve.

    Attributes:
        class_index: position of the class among the K logits; with a one-channel network 1 is the
            foreground.
        region: (*spatial) bool, the pixels to preserve.
        ignored: (*spatial) bool, the other pixels that the model gives to the class when it sees
            the whole image (other objects, the part outside the box). They are left out of every
            Dice: showing a second dog must not lower the score of the first.
        class_name: name of the class.
        multilabel: whether each class of the model has a sigmoid of its own.
        made_from: what a person marked for the model to draw, in words; empty if the pixels are the
            model's own.
        binding: of the model to the image (see `misure.models.binding`); None: it needs none.
        channel: the object's position among those of the binding, if the network reports objects;
            None: the target is what the logits of its class say.
        score: of that object, in [0, 1]; None: there is none.

    Raises:
        InputError: an empty region, other shapes, or pixels both preserved and ignored.
    """

    class_index: int
    region: Tensor
    ignored: Tensor
    class_name: str = ""
    multilabel: bool = False
    made_from: str = ""
    binding: Binding | None = field(default=None, repr=False)
    channel: int | None = None
    score: float | None = None

    @entrance("Target")
    def __post_init__(self) -> None:
        for region in (self.region, self.ignored):
            if region.dtype != torch.bool or region.ndim not in (2, 3):
                raise InputError(
                    f"expected regions (*spatial) of bool, got {region.dtype} "
                    f"{tuple(region.shape)}."
                )
        if self.region.shape != self.ignored.shape or bool((self.region & self.ignored).any()):
            raise InputError(
                "expected region and ignored of one shape without a common pixel, got "
                f"{tuple(self.region.shape)} and {tuple(self.ignored.shape)}."
            )
        if not bool(self.region.any()):
            raise InputError("expected at least one pixel to preserve, got an empty region.")

    def __repr__(self) -> str:
        name = brief(self.class_name) if self.class_name else ""
        unit = "px" if self.region.ndim == 2 else "voxels"
        return short_repr(
            self,
            f"class {self.class_index} {name}".rstrip(),
            f"{int(self.region.sum()):,} {unit} of {tuple(self.region.shape)}",
            f"{int(self.ignored.sum()):,} ignored" if bool(self.ignored.any()) else "",
            f"from {one_line(self.made_from, 40)}" if self.made_from else "",
            "" if self.score is None else f"score {self.score:.2f}",
        )

    def unbound(self) -> "Target":
        """The target as it is written to disk: of its class, without the binding to the image.

        The other objects of the class that the network reports are then ignored.
        """
        if self.channel is None or self.binding is None:
            return replace(self, binding=None, channel=None)
        ignored = self.ignored.clone()
        for number, other in enumerate(self.binding.objects):
            if number != self.channel and other.class_index == self.class_index:
                ignored |= other.region.to(ignored.device)
        return replace(self, ignored=ignored & ~self.region, binding=None, channel=None)

    @property
    def logit_index(self) -> int:
        """Its position among the logits of the model that is bound to the target."""
        return self.class_index if self.channel is None else self.channel

    def bound(self, model: "SegmentationModel") -> "SegmentationModel":
        """The model as this target needs it: bound to its image, reading its object.

        Raises:
            InputError: the target is of another kind of model.
        """
        return model.for_object(self.binding, reads_objects=self.channel is not None)

    def __call__(self, output: Tensor) -> Tensor:
        """The differentiable score (scalar): the sum of the class's logits over the target.

        A target can be passed where other libraries take a callable on one output
        (pytorch-grad-cam), or be wrapped as the forward function of captum.

        Args:
            output: logits (K, *any) of one image; lower resolutions are resized to the target's.
                One channel is a foreground against the background.
        """
        tensor = find_tensor(output[None], self.region.ndim)
        logits = to_classes(tensor, multilabel=self.multilabel, probabilities=False)
        at_pixels = resize(logits, self.region.shape)[0, self.logit_index]
        return at_pixels[self.region.to(at_pixels.device)].sum()

    def record(self) -> dict[str, Any]:
        """The class, the number of pixels and their fraction of the image, as plain values."""
        return {
            "class_index": self.class_index,
            "class_name": self.class_name,
            "pixels": int(self.region.sum()),
            "area_fraction": area_fraction(self.region),
            "multilabel": self.multilabel,
            "made_from": self.made_from,
            "score": self.score,
            "reported": self.channel,
        }

    @entrance("Target.plot")
    def plot(
        self,
        image: Any,
        *,
        axes: Any = None,
        affine: Tensor | None = None,
        slice_index: int | Sequence[int] | None = None,
        channel: int | str | None = None,
    ) -> Any:
        """A matplotlib Figure of the image with the target outlined; a volume in three planes.

        Args:
            image: (C, *spatial) float, or what stands for it (see `as_image`).
            axes, affine, slice_index, channel: as of `Segmentation.plot`.

        Raises:
            InputError: an image of another shape; no such slice or channel.
        """
        return drawing("target_picture", "plot_target")(
            self, image, axes=axes, affine=affine, slice_index=slice_index, channel=channel
        )

    def show(self, image: Any, **options: Any) -> None:
        """Shows `plot` in a notebook or in a window; where there is neither, a warning says so.

        Args:
            image, options: as of `plot`.
        """
        drawing("canvas", "show_figure")(self.plot(image, **options))

    def _repr_html_(self) -> str:
        """What a notebook shows: the pixels of the target, and its figures."""
        html: str = drawing("notebook", "target_html")(self)
        return html

    def to(self, device: str | torch.device) -> "Target":
        """A copy of the target with its regions on a device."""
        region, ignored = to_device(self.region, device), to_device(self.ignored, device)
        return replace(self, region=region, ignored=ignored)

    def dice(self, class_region: Tensor) -> float:
        """Dice of the target with the region that the model now gives to its class, in [0, 1].

        Args:
            class_region: (*spatial) bool. Ignored pixels are left out.
        """
        return dice(class_region & ~self.ignored, self.region)

    def dice_of_logits(self, logits: Tensor) -> list[float]:
        """Dice of the target with each of N hard segmentations, from logits (N, K, *spatial)."""
        regions = class_region(logits, self.logit_index, self.multilabel)
        return [self.dice(region) for region in regions.to(self.region.device)]
