"""Presentations: how a region is shown to the model.

    shown image = visibility x image + (1 - visibility) x baseline image

in the pixels and units of the user's image, before the model's own preprocessing. A region may also
hold other pixels of each channel, (C, *spatial): a baseline image that is made of what is shown is
then made of each channel by itself. The visibility of a region follows from the region alone, and
the baseline image from the image and the visibility, so whoever has the region can show it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from misure.errors import InputError
from misure.explanation.baselines import MADE_WHEN_NEEDED, made_of_shown, make_baseline_image
from misure.explanation.filling import fill_in
from misure.explanation.inpainting import MadeOfShown
from misure.explanation.made_image import MadeImage, image_of
from misure.images.regions import distance_px_up_to
from misure.images.spacing import Sampling, sampling_of
from misure.models.model import SegmentationModel


@dataclass(frozen=True, eq=False)
class Presentation:
    """An image, what stands where its pixels are removed, and how wide the edge between them is.

    Attributes:
        image: (C, *spatial) float.
        baseline: the baseline image (C, *spatial) float, or what makes it when it is needed; if it
            is made of what is shown, that of nothing.
        edge_px: width of the soft edge, inside the region; 0 is a hard edge. Pixels of the edge
            count as shown, for the model sees them partly.
        name: of the baseline image, `tensor` if the user gave one.
        sampling: sides of a voxel relative to the smallest, the unit of `edge_px`; None: they are
            equal.
        made_of_shown: makes the baseline image of each visibility (see `baselines`); None: it
            is the same whatever is shown.
    """

    image: Tensor
    baseline: Tensor | MadeImage
    edge_px: int = 0
    name: str = ""
    sampling: Sampling | None = None
    made_of_shown: MadeOfShown | None = None

    @property
    def baseline_image(self) -> Tensor:
        """The baseline image (C, *spatial); if it is made of what is shown, that of nothing."""
        return image_of(self.baseline)

    def visibility(self, region: Tensor) -> Tensor:
        """The visibility (*spatial) of a region: 1 deep inside, d / (edge_px + 1) in the edge.

        d is the distance to the nearest pixel outside. The border of the image is no edge. A float
        tensor is a visibility already and stays as it is. A region (C, *spatial) has a visibility
        of this shape, each channel by itself.
        """
        if self.edge_px == 0 or region.is_floating_point():
            return region.to(self.image)
        if region.ndim == self.image.ndim:
            return torch.stack([self.visibility(of_channel) for of_channel in region])
        limit = self.edge_px + 1
        return (distance_px_up_to(~region, limit, self.sampling) / limit).to(self.image)

    def show(self, visibility: Tensor) -> Tensor:
        """Images (N, C, *spatial) as shown, of visibilities (N, [C,] *spatial) in [0, 1]."""
        return show_each([self] * len(visibility), visibility)

    def show_regions(self, regions: list[Tensor]) -> Tensor:
        """Images (N, C, *spatial) as shown, of N regions ([C,] *spatial) bool."""
        return self.show(torch.stack([self.visibility(region) for region in regions]))


def show_each(presentations: Sequence[Presentation], visibility: Tensor) -> Tensor:
    """Images (N, C, *spatial) as shown: the i-th of N visibilities in the i-th presentation.

    Gradients with respect to the visibility flow, but for those of baseline images made of what is
    shown (see `filling`).

    Args:
        presentations: N, all images of one shape.
        visibility: (N, *spatial) in [0, 1], the same in all channels; or (N, C, *spatial).
    """
    images = _stacked([one.image for one in presentations])
    by_channel = visibility.ndim == images.ndim
    baseline_images = _stacked([one.baseline_image for one in presentations])
    made = [(one.made_of_shown, one.sampling) for one in presentations]
    is_own = False
    for make, sampling in dict.fromkeys(made):
        if make is None:
            continue
        alike = [i for i, other in enumerate(made) if other == (make, sampling)]
        fill = _each_channel(make) if by_channel else make
        if len(alike) == len(made):
            baseline_images = fill(images, visibility, baseline_images, sampling)
            is_own = make is fill_in and not by_channel and max(images.shape[2:]) > 1
            continue
        own = torch.tensor(alike, device=visibility.device)
        filled = fill(images[own], visibility[own], baseline_images[own], sampling)
        baseline_images = baseline_images.index_copy(0, own, filled)
    share = visibility if by_channel else visibility[:, None]
    is_written_over = is_own and not torch.is_grad_enabled()
    return torch.lerp(
        baseline_images, images, share, out=baseline_images if is_written_over else None
    )


def _each_channel(make: MadeOfShown) -> MadeOfShown:
    """What makes a baseline image of each channel by itself, of a visibility (N, C, *spatial)."""

    def made(
        images: Tensor, visibility: Tensor, empty: Tensor, sampling: Sampling | None
    ) -> Tensor:
        alone, nothing = images.flatten(0, 1)[:, None], empty.flatten(0, 1)[:, None]
        filled = make(alone, visibility.flatten(0, 1), nothing, sampling)
        return filled.view(images.shape)

    return made


def _stacked(tensors: list[Tensor]) -> Tensor:
    """Tensors (...) as one (N, ...); not copied if all are the same object."""
    first = tensors[0]
    if all(tensor is first for tensor in tensors):
        return first.expand(len(tensors), *first.shape)
    return torch.stack(tensors)


def make_presentation(
    model: SegmentationModel,
    image: Tensor,
    *,
    baseline_image: str | Tensor = "mean",
    edge_px: int = 0,
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
) -> Presentation:
    """The presentation of an image to a model.

    Args:
        model: its `mean` is the colour of the baseline image of that name.
        image: (C, *spatial) float.
        baseline_image: a name or a tensor (see `make_baseline_image`).
        edge_px: width of the soft edge, 0 or more.
        seed: of the baseline image `noise`.
        spacing_mm: sides of a pixel or voxel; None: they are equal.

    Raises:
        InputError: an unknown baseline image, or a negative edge.
    """
    if edge_px < 0:
        raise InputError(f"expected edge_px of 0 or more, got {edge_px}.")
    mean, sampling = model.preprocessing.mean_colour_of(image), sampling_of(spacing_mm)
    make = partial(
        make_baseline_image, baseline_image, image, mean=mean, seed=seed, sampling=sampling
    )
    is_made = isinstance(baseline_image, str) and baseline_image in MADE_WHEN_NEEDED
    return Presentation(
        image,
        MadeImage(make, takes_long=baseline_image == "blurred") if is_made else make(),
        edge_px,
        baseline_image if isinstance(baseline_image, str) else "tensor",
        sampling,
        made_of_shown(baseline_image),
    )


def make_presentations(
    model: SegmentationModel,
    image: Tensor,
    *,
    baseline_image: str | Tensor = "mean",
    edge_px: int = 0,
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
) -> tuple[Presentation, ...]:
    """One presentation for each baseline image, such as those of `"mean,blurred,filled"`.

    Args:
        baseline_image: one name, several with commas between them, or a tensor.
        model: its `mean` is the colour of the baseline image of that name.
        image: (C, *spatial) float.
        edge_px: width of the soft edge in pixels, 0 or more.
        seed: seed of the baseline image `noise`.
        spacing_mm: sides of a pixel or voxel, on which the soft edge and the blur depend.
    """
    kinds: Sequence[str | Tensor] = (
        baseline_image.split(",") if isinstance(baseline_image, str) else [baseline_image]
    )
    return tuple(
        make_presentation(
            model, image, baseline_image=kind, edge_px=edge_px, seed=seed, spacing_mm=spacing_mm
        )
        for kind in kinds
    )


class Recorded(Protocol):
    """What a region was found with: the record of an explanation or of a hidden region."""

    @property
    def settings(self) -> dict[str, Any]: ...

    @property
    def seed(self) -> int: ...

    @property
    def spacing_mm(self) -> list[float] | None: ...


def presentation_of(model: SegmentationModel, image: Tensor, record: Recorded) -> Presentation:
    """The (first) presentation in which a region was found, made again from its record.

    Args:
        model: its `mean` is the colour of the baseline image of that name.
        image: (C, *spatial) float.
        record: of the region, whose baseline images have names.
    """
    return make_presentations(
        model,
        image,
        baseline_image=record.settings["baseline_image"],
        edge_px=record.settings["edge_px"],
        seed=record.seed,
        spacing_mm=record.spacing_mm,
    )[0]
