"""An image of a layer, what a model segments on it, and the targets that are chosen there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from misure._util.words import share
from misure.datasets.image_files import ImageFiles
from misure.datasets.sample import Reading
from misure.errors import EmptyTargetError, InputError
from misure.images.read import read_image
from misure.images.volumes import name_of, volume_of
from misure.models.inputs import as_image
from misure.models.model import SegmentationModel
from misure.models.segmentation import Segmentation, segment
from misure.models.target import Target
from misure.napari.layers import MARK, LayerData, image_layers
from misure.napari.placement import Placement

_MOST_OBJECTS = 20  # of a class that are listed one by one


@dataclass(frozen=True)
class SeenImage:
    """An image as a network takes it, and where it lies.

    Attributes:
        pixels: (C, *spatial) float.
        placement: of it.
        name: as results name it: the path of its file, or the name of its layer.
        affine: (4, 4) from voxel indices to millimetres (RAS+); None: not known.
        spacing_mm: sides of a pixel or voxel; None: not known.
        note: what a person has to know of how it was taken; mostly empty.
    """

    pixels: Tensor
    placement: Placement
    name: str
    affine: Tensor | None = None
    spacing_mm: tuple[float, ...] | None = None
    note: str = ""


@dataclass(frozen=True)
class Choice:
    """One entry of the list of what the network found.

    Attributes:
        label: in words.
        class_index: of the class.
        instance: number of the object, 0 the largest; None: the class as a whole.
    """

    label: str
    class_index: int
    instance: int | None


@dataclass(frozen=True)
class Scene:
    """An image and its segmentation by a model."""

    image: SeenImage
    segmentation: Segmentation

    @classmethod
    def of(cls, model: SegmentationModel, image: SeenImage) -> "Scene":
        """The scene after one pass.

        Raises:
            InputError, ModelError: as of `segment`.
        """
        return cls(image, segment(model, image.pixels.to(model.device), affine=image.affine))

    def choices(self) -> list[Choice]:
        """What was found, the largest first, a background last."""
        model, choices = self.segmentation.model, list[Choice]()
        found = self.segmentation.found_classes()
        for one in sorted(found, key=lambda one: model.is_background(one.class_index)):
            whole = Choice(f"{one.class_name} ({share(one.area_fraction)})", one.class_index, None)
            if one.num_objects == 1 or model.is_background(one.class_index):
                choices.append(whole)
                continue
            num = min(one.num_objects, _MOST_OBJECTS)
            for number in range(num):
                which = "largest" if number == 0 else f"number {number + 1} by size"
                label = f"{one.class_name}, {which} of {one.num_objects}"
                choices.append(Choice(label, one.class_index, number))
            label = f"{one.class_name}, all {one.num_objects} ({share(one.area_fraction)})"
            choices.append(Choice(label, one.class_index, None))
        return choices

    def chosen(self, choice: Choice) -> Target:
        """The target of an entry of the list."""
        return self.segmentation.target(choice.class_index, instance=choice.instance)

    def clicked(self, indices: Sequence[float], preferred: int | None = None) -> Target:
        """The object at a place.

        Args:
            indices: of the layer's array.
            preferred: the class that is taken where several overlap; else it is the first.

        Raises:
            EmptyTargetError: nothing was found there.
            InputError: the place is outside of the image.
        """
        point = self.image.placement.point(indices)
        if point is None:
            raise InputError("expected a place in the image. Click an object that is drawn there.")
        classes = self.segmentation.classes_at(point)
        if not classes:
            raise EmptyTargetError(
                f"the network finds nothing at {point}. Click an object that is drawn."
            )
        index = preferred if preferred in classes else classes[0]
        return self.segmentation.target(index, point=point)


def open_file(path: str | Path) -> list[LayerData]:
    """The layers of an image file, which `image_of_layer` reads again as a network wants it.

    Args:
        path: of an image or a volume.

    Raises:
        InputError: it cannot be read.
    """
    volume = volume_of(path)
    image = read_image(volume or path)
    affine = volume.affine if volume is not None and volume.has_spacing else None
    placement = Placement.of(tuple(image.shape[1:]), affine)
    layers = image_layers(image, placement, name_of(str(path)))
    for _, settings, _ in layers:
        settings["metadata"][MARK]["path"] = str(path)
    return layers


def image_of_layer(layer: Any, model: SegmentationModel) -> SeenImage:
    """The image of a layer as a model takes it.

    That of `open_file` is read from its file again, as `misure explain` reads it: numbers scaled as
    the network wants them, voxels in the order of the file. Any other layer is taken as it is.

    Args:
        layer: of images.
        model: that will take it.

    Raises:
        InputError: neither a flat image nor a volume.
    """
    path = layer.metadata.get(MARK, {}).get("path")
    if path is not None:
        sample = ImageFiles([path], reading=Reading.for_model(model))[0]
        placement = Placement.of(tuple(sample.image.shape[1:]), sample.affine, sample.spacing_mm)
        return SeenImage(sample.image, placement, path, sample.affine, sample.spacing_mm)
    array = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    num_axes = array.ndim - 1 if layer.rgb else array.ndim
    if num_axes not in (2, 3) or (layer.rgb and num_axes == 3):
        raise InputError(
            f"expected a flat image or a volume, the layer {layer.name} is {array.shape}. Choose "
            "another layer."
        )
    matrix = _to_world(layer, num_axes)
    spacing = tuple(np.linalg.norm(matrix[:num_axes, :num_axes], axis=0).tolist())
    shape = array.shape[:num_axes]
    placement = Placement(shape, Placement.of(shape).order, matrix)
    if num_axes == 3:
        note = "The volume is taken as its layer holds it; Open… keeps the order of its file."
        pixels = torch.from_numpy(array.astype(np.float32))[None]
        return SeenImage(as_image(pixels, model), placement, layer.name, None, spacing, note)
    if array.dtype == np.uint8:
        picture = Image.fromarray(array[..., :3] if layer.rgb else array)
        return SeenImage(as_image(picture, model), placement, layer.name)
    channels = np.moveaxis(array[..., :3], -1, 0) if layer.rgb else array[None]
    if not layer.rgb and model.num_channels == 3:
        channels = np.repeat(channels, 3, axis=0)
    given = torch.from_numpy(channels.astype(np.float32))
    note = "" if layer.rgb else "The numbers of the layer are taken as they are."
    return SeenImage(as_image(given, model), placement, layer.name, note=note)


def _to_world(layer: Any, num_axes: int) -> np.ndarray:
    """The affine (n + 1, n + 1) of a layer, from what it says of its corners."""
    origin = np.asarray(layer.data_to_world((0.0,) * num_axes), float)
    matrix = np.eye(num_axes + 1)
    for axis, step in enumerate(np.eye(num_axes)):
        matrix[:num_axes, axis] = np.asarray(layer.data_to_world(tuple(step)), float) - origin
    matrix[:num_axes, num_axes] = origin
    return matrix
