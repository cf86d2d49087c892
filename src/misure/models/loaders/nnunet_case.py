"""One case of nnU-Net: what its voxels go through before the network sees them, and back.

    voxels (C, I, J, K) of the file -> nnU-Net's axes (C, K, J, I), transposed as the plans say
    -> cropped to what is not zero -> normalised -> resampled to the spacing of the plans

What depends on the image (box, means, extremes, mask) is that of the image that is explained, and
holds for every altered copy of it. Logits come back resampled to the box; outside of it the
background is certain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure.errors import InputError
from misure.models.loaders.nnunet_folder import ResultFolder
from misure.models.loaders.nnunet_library import nnunet, silent
from misure.models.loaders.nnunet_normalisation import Normalisation, make_normalisation
from misure.models.loaders.nnunet_orientation import Axes, axes_of
from misure.models.loaders.nnunet_resampling import Grid, Resampling, make_resampling, new_shape
from misure.models.outputs import SMALLEST_PROBABILITY
from misure.models.preprocessing import Placement, Preprocessing

_VOXEL_LIMIT = 400_000_000
_TOLERANCE = 1e-2  # of the normalised image; float32 alone gives 1e-4 near steep edges


@dataclass(frozen=True, kw_only=True, eq=False)
class Case(Preprocessing):
    """The preparation of one image, and of altered copies of it.

    Attributes:
        spatial: (*spatial) of the image.
        axes: how its axes become those of nnU-Net.
        box: for each axis of nnU-Net, the first voxel of the crop and the one after its last.
        normalisations: one for each channel.
        forward, backward: the resampling of images, and of logits.
        grid: the grid of the network's inputs.
        num_classes: K.
        multilabel: whether each class has a sigmoid of its own.
    """

    spatial: tuple[int, ...]
    axes: Axes
    box: tuple[tuple[int, int], ...]
    normalisations: tuple[Normalisation, ...]
    forward: Resampling
    backward: Resampling
    grid: Grid
    num_classes: int
    multilabel: bool

    @property
    def mean_colour(self) -> tuple[float, ...]:
        """What becomes 0: of z-scores the mean of the image, of CT that of the plans."""
        return tuple(normalise.shift for normalise in self.normalisations)

    def placement(self, spatial: Sequence[int]) -> Placement:
        """Where the image lies in the network's input.

        Raises:
            InputError: another shape than that of the image.
        """
        if tuple(spatial) != self.spatial:
            raise InputError(
                f"expected copies of one image of shape {self.spatial}, got {tuple(spatial)}. An "
                "nnU-Net is bound to each image anew: model.for_image(image, affine)."
            )
        shape = self.grid.shape[1:] if self.axes.is_picture else self.grid.shape
        return Placement(resized=shape, input_shape=shape, corners=((0,) * len(shape),))

    def to_input(self, images: Tensor) -> Tensor:
        """The network's inputs (N, C, D, H, W) of images (N, C, *spatial).

        Those of pictures are (N, C, H, W).
        """
        self.placement(images.shape[2:])
        volumes = self.forward(self.normalised(images))
        return (volumes[:, :, 0] if self.axes.is_picture else volumes).contiguous()

    def normalised(self, images: Tensor) -> Tensor:
        """Images (N, C, *spatial) along the axes of nnU-Net, cropped and normalised."""
        volumes = self.axes.forward(images)[self._in_box]
        channels = zip(self.normalisations, volumes.unbind(1), strict=True)
        return torch.stack([normalise(channel) for normalise, channel in channels], 1)

    def to_image(self, logits: Tensor, spatial: Sequence[int]) -> Tensor:
        """Logits (N, K, *spatial) of logits for the inputs."""
        self.placement(spatial)
        inside = self.backward(logits[:, :, None] if self.axes.is_picture else logits)
        whole_shape = self.axes.shape(self.spatial)
        if inside.shape[2:] == whole_shape:
            return self.axes.backward(inside)
        outside = _nothing(self.num_classes, self.multilabel).to(inside)
        whole = outside.view(1, -1, 1, 1, 1).repeat(len(inside), 1, *whole_shape)
        whole[self._in_box] = inside
        return self.axes.backward(whole)

    @property
    def _in_box(self) -> tuple[slice, ...]:
        return (slice(None), slice(None), *(slice(start, end) for start, end in self.box))


@dataclass(frozen=True, kw_only=True, eq=False)
class Unbound(Preprocessing):
    """The preparation before the image is known: it takes none."""

    def placement(self, spatial: Sequence[int]) -> Placement:
        """Raises an InputError: the model has to be bound to its image first."""
        raise InputError(
            f"expected a model that is bound to its image of shape {tuple(spatial)}, since nnU-Net "
            "crops, normalises and resamples each image in its own way. Bind it with "
            "model.for_image(image, affine)."
        )

    def to_input(self, images: Tensor) -> Tensor:
        """Raises an InputError, as `placement` does."""
        self.placement(images.shape[2:])
        return images


def _nothing(num_classes: int, multilabel: bool) -> Tensor:
    """Logits (K,) of a voxel that certainly is background."""
    least = torch.tensor(SMALLEST_PROBABILITY)
    logits = torch.full((num_classes,), float(least.logit() if multilabel else least.log()))
    if not multilabel:
        logits[0] = 0
    return logits


def make_case(
    folder: ResultFolder, image: Tensor, affine: np.ndarray | Tensor | None, settings: Any = None
) -> Case:
    """The preparation of an image, as nnU-Net prepares it.

    Args:
        folder: the network's plans.
        image: (C, *spatial) float, the numbers of the file.
        affine: (4, 4), from voxel indices to millimetres; None: not known.
        settings: what the record of a run says of the preparation.

    Raises:
        InputError: an image without an affine, of another dimension, or one that misure prepares
            otherwise than nnU-Net does.
    """
    configuration = folder.configuration
    axes, own_spacing = axes_of(folder, image, affine)
    volume = axes.forward(image[None])[0]
    array = np.ascontiguousarray(volume.cpu().numpy(), dtype=np.float32)
    cropping = nnunet("preprocessing.cropping.cropping")
    cropped, outside, box = cropping.crop_to_nonzero(array)
    old = Grid(shape=tuple(cropped.shape[1:]), spacing=own_spacing)
    spacing = tuple(float(each) for each in configuration.spacing)
    if len(spacing) < 3:
        spacing = (own_spacing[0], *spacing)
    data = configuration.configuration
    new = Grid(shape=_new_shape(data["resampling_fn_data"], old, spacing), spacing=spacing)
    case = Case(
        spatial=tuple(image.shape[1:]),
        axes=axes,
        box=tuple((int(start), int(end)) for start, end in box),
        normalisations=tuple(
            make_normalisation(folder, channel, numbers, outside[0] >= 0)
            for channel, numbers in enumerate(cropped)
        ),
        forward=_resampling(data, "resampling_fn_data", old, new),
        backward=_resampling(data, "resampling_fn_probabilities", new, old),
        grid=new,
        num_classes=folder.num_classes,
        multilabel=folder.multilabel,
        processor=settings,
    )
    case.forward.keep_range(case.normalised(image[None]))
    _check(folder, case, image, array, own_spacing)
    return case


def _resampling(data: dict[str, Any], name: str, old: Grid, new: Grid) -> Resampling:
    return make_resampling(data[name], data.get(f"{name}_kwargs", {}), old, new)


def _new_shape(function: str, old: Grid, spacing: tuple[float, ...]) -> tuple[int, ...]:
    if function == "no_resampling_hack":
        return old.shape
    shape = new_shape(old, spacing)
    if 0 in shape or float(np.prod(shape, dtype=float)) > _VOXEL_LIMIT:
        raise InputError(
            f"expected at most {_VOXEL_LIMIT:,} voxels after resampling from a spacing of "
            f"{_numbers(old.spacing)} mm to that of the plans, {_numbers(spacing)} mm, got "
            f"{' x '.join(map(str, shape))}. Check the affine of the image."
        )
    return shape


def _numbers(numbers: Sequence[float]) -> str:
    return " × ".join(f"{number:g}" for number in numbers)


def _check(
    folder: ResultFolder,
    case: Case,
    image: Tensor,
    array: np.ndarray,
    spacing: tuple[float, ...],
) -> None:
    """Refuses a case whose inputs, or whose logits, are not what nnU-Net's own functions give."""
    configuration = folder.configuration
    backward_axes = np.argsort(folder.transpose)
    properties = {"spacing": [spacing[axis] for axis in backward_axes]}
    preprocessor = configuration.preprocessor_class(verbose=False)
    with silent():
        theirs, _, properties = preprocessor.run_case_npy(
            array.transpose(0, *(1 + backward_axes)),
            None,
            properties,
            folder.plans,
            configuration,
            folder.dataset,
        )
    with torch.no_grad():
        ours = case.to_input(image[None].float())
        ours = ours[:, :, None] if case.axes.is_picture else ours
        _compare("inputs", ours[0].cpu().numpy(), np.asarray(theirs))
        channel = ours[:, :1].cpu()
        mine = case.backward(channel)[0].numpy()
    with silent():
        old_shape = [end - start for start, end in case.box]
        own = configuration.resampling_fn_probabilities(
            channel[0].numpy(), old_shape, case.grid.spacing, spacing
        )
    _compare("logits", mine, np.asarray(own))


def _compare(what: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    differs = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else float("inf")
    if not differs <= _TOLERANCE * max(1.0, float(np.abs(theirs).max())):
        raise InputError(
            f"expected to prepare {what} as this nnunetv2 does, got {ours.shape} for "
            f"{theirs.shape}, numbers differ by {differs:.3g}. Please report it, with the plans."
        )
