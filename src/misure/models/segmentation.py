"""Segmentations: what the model predicts for an image, and the targets to take from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from misure._util.drawing import drawing
from misure._util.short_repr import ShortRepr, one_line, short_repr
from misure._util.words import share
from misure.errors import EmptyTargetError, InputError, entrance
from misure.images.read import check_image
from misure.images.regions import (
    area_fraction,
    check_point,
    component_numbers,
    draw_box,
    draw_polygon,
)
from misure.models.binding import FoundObject
from misure.models.inputs import AnyImage, affine_for, as_image, as_model, path_of
from misure.models.logits import class_region, leaders
from misure.models.model import SegmentationModel
from misure.models.target import Target


@dataclass(frozen=True, repr=False)
class FoundClass(ShortRepr):
    """One class that the model finds in an image.

    Attributes:
        class_index, class_name: which.
        num_pixels: area.
        area_fraction: share of the image, in [0, 1].
        num_objects: connected parts.
    """

    class_index: int
    class_name: str
    num_pixels: int
    area_fraction: float
    num_objects: int


class Segmentation:
    """The prediction of a model for one image.

    Args:
        model: the model, bound to the image if it has to be.
        logits: (K, *spatial) of the classes, at the image's own pixels.
        device: of the regions.
        objects: what the network itself reports on this image (instances, things); empty: nothing,
            so objects are connected parts.
        image: (C, *spatial) float, the image itself, to draw it; None: not kept.
        path: the file of the image, or those of its channels with commas between them; may be
            empty.
    """

    def __init__(
        self,
        model: SegmentationModel,
        logits: Tensor,
        device: torch.device,
        objects: Sequence[FoundObject] = (),
        *,
        image: Tensor | None = None,
        path: str = "",
    ) -> None:
        self.model, self.objects = model, tuple(objects)
        self.image, self.path = image, path
        self.num_classes = len(logits)
        self.spatial = tuple(logits.shape[1:])
        classes = (
            logits > 0 if model.multilabel else leaders(logits[None], range(len(logits)))[1][0]
        )
        self._classes = classes.to(device)

    def __repr__(self) -> str:
        found = self.found_classes()
        named = [f"{one_line(one.class_name, 20)} {share(one.area_fraction)}" for one in found[:5]]
        more = f"{len(found) - 5} more" if len(found) > 5 else ""
        return short_repr(self, f"{self.spatial} by {one_line(self.model.name, 40)}", *named, more)

    def class_region(self, class_index: int) -> Tensor:
        """Pixels (*spatial) bool that the model gives to a class."""
        if self.model.multilabel:
            return self._classes[class_index]
        return self._classes == class_index

    def drawn(self, target: Target) -> Tensor:
        """Pixels (*spatial) bool that the model gives to a target's class, or to its object."""
        if target.channel is None or target.binding is None:
            return self.class_region(target.class_index)
        return target.binding.objects[target.channel].region

    def class_map(self) -> Tensor:
        """Class index (*spatial) int64 of each pixel.

        With multilabel it is the lowest of a pixel's classes, -1 if it has none.
        """
        if not self.model.multilabel:
            return self._classes.long()
        lowest = self._classes.to(torch.int8).argmax(0)
        return torch.where(self._classes.any(0), lowest, -1)

    def num_pixels_by_class(self, region: Tensor) -> dict[int, int]:
        """Class -> pixels of a region (*spatial) bool on it, of the classes that have any there.

        With multilabel a pixel counts for each of its classes; -1 are those without any.
        """
        region = region.to(self._classes.device)
        if not self.model.multilabel:
            counts = self._classes[region].bincount(minlength=self.num_classes).tolist()
            return {index: num for index, num in enumerate(counts) if num}
        inside = self._classes[:, region]
        counts = [int((~inside.any(0)).sum()), *inside.sum(1).tolist()]
        return {index: num for index, num in enumerate(counts, start=-1) if num}

    def classes_at(self, point: Sequence[int]) -> list[int]:
        """The classes of a pixel (*spatial): one; with multilabel any number."""
        if self.model.multilabel:
            at_point = self._classes.movedim(0, -1)[tuple(point)]
            return [int(index) for index in at_point.nonzero().flatten()]
        return [int(self._classes[tuple(point)])]

    def found_classes(self) -> list[FoundClass]:
        """The classes that the model finds, the largest first."""
        classes = []
        for class_index in range(self.num_classes):
            region = self.class_region(class_index)
            if num_pixels := int(region.sum()):
                name = self.model.class_name(class_index)
                num_objects = len(self._numbers_of(class_index)) or _num_parts(region)
                classes.append(
                    FoundClass(class_index, name, num_pixels, area_fraction(region), num_objects)
                )
        return sorted(classes, key=lambda entry: -entry.num_pixels)

    @entrance("Segmentation.plot")
    def plot(
        self,
        *,
        axes: Any = None,
        image: AnyImage | None = None,
        affine: Tensor | None = None,
        slice_index: int | Sequence[int] | None = None,
        channel: int | str | None = None,
    ) -> Any:
        """A matplotlib Figure of the classes in colours over the image, each with its name.

        A volume is cut in three planes, those that hold most of what is no background.

        Args:
            axes: matplotlib's axes to draw on, one for each picture; None: a new figure is made.
            image: the image, or what stands for it (see `as_image`); None: the one in memory.
            affine: (4, 4), of a volume, from voxel indices to millimetres (RAS+); None: not known.
            slice_index: of a volume: one axial slice instead, or the numbers of three slices.
            channel: number or name of the channel to draw in greys; None: three channels are
                colours, else it is the first.

        Raises:
            InputError: no image, or one of another shape; no such slice or channel.
        """
        return drawing("segmentation_picture", "plot_segmentation")(
            self, axes=axes, image=image, affine=affine, slice_index=slice_index, channel=channel
        )

    def show(self, **options: Any) -> None:
        """Shows `plot` in a notebook or in a window; where there is neither, a warning says so.

        Args:
            options: as of `plot`.
        """
        drawing("canvas", "show_figure")(self.plot(**options))

    def _repr_html_(self) -> str:
        """What a notebook shows: the classes in colours, and their sizes."""
        html: str = drawing("notebook", "segmentation_html")(self)
        return html

    @entrance("Segmentation.missed")
    def missed(
        self, mask: Tensor, class_index: int, *, made_from: str = "the mask", alone: bool = False
    ) -> Target:
        """What the model should have drawn; what else it gives to the class is ignored.

        Args:
            mask: (*spatial) bool, the pixels that should be drawn.
            class_index: the class that they should have.
            made_from: what the mask was made from, in words.
            alone: ignore all other pixels, whatever they are given to later.

        Raises:
            InputError: a mask of another shape or without a pixel, or no such class.
        """
        if mask.dtype != torch.bool or tuple(mask.shape) != self.spatial:
            raise InputError(
                f"expected a mask (*spatial) of bool and of the image's shape {self.spatial}, "
                f"got {mask.dtype} {tuple(mask.shape)}."
            )
        if not 0 <= class_index < self.num_classes:
            raise InputError(
                f"expected a class from 0 to {self.num_classes - 1}, got {class_index}."
            )
        drawn = self.class_region(class_index)
        mask = mask.to(drawn.device)
        return Target(
            class_index,
            mask,
            ~mask if alone else drawn & ~mask,
            self.model.class_name(class_index),
            self.model.multilabel,
            made_from,
            binding=self.model.binding,
        )

    @entrance("Segmentation.target")
    def target(
        self,
        class_index: int | None = None,
        *,
        class_name: str | None = None,
        point: Sequence[int] | None = None,
        instance: int | None = None,
        box: Sequence[int] | None = None,
        polygon: Sequence[tuple[float, float]] | None = None,
    ) -> Target:
        """The pixels that the model gives to a class, one connected object, or a part of them.

        Args:
            class_index, class_name: the class, by one of the two; with `point` both may be left
                out: the class is then that of the pixel.
            point: a pixel (*spatial); the object that holds it is taken: the likeliest that the
                network reports, or else the connected one.
            instance: the number of an object of the class, 0 for the largest: of those that the
                network reports, or else of the connected ones.
            box: first row, first column, end row, end column (3D: depth first), ends exclusive;
                the part of the class inside is taken.
            polygon: at least three corners (row, column), 2D only; the part of the class inside is
                taken.

        Raises:
            EmptyTargetError: the model gives no such pixel to the class; the message names the
                classes that are there.
            InputError: no class, more than one way to choose, or a point, instance, box or polygon
                that the image does not have.
        """
        choices = [choice for choice in (point, instance, box, polygon) if choice is not None]
        if len(choices) > 1 or (class_index is not None and class_name is not None):
            raise InputError(
                "expected one of class_index and class_name, and at most one of "
                "point, instance, box and polygon. Give one."
            )
        if point is not None:
            check_point(self.spatial, point)
        index = self._choose_class(class_index, class_name, point)
        whole = self.class_region(index)
        if not bool(whole.any()):
            raise EmptyTargetError(
                f"the model finds no pixel of class {self._label(index)} here; "
                f"it finds {self._inventory()}. There is nothing to explain."
            )
        if box is not None:
            region = self._inside(whole, index, draw_box(self.spatial, box))
        elif polygon is not None:
            region = self._inside(whole, index, draw_polygon(self.spatial, polygon))
        elif point is not None:
            number = self._number_at(index, tuple(point))
            if number is not None:
                return self._target_of(number)
            region = self._object_at(whole, index, tuple(point))
        elif instance is not None:
            if numbers := self._numbers_of(index):
                self._check_instance(index, instance, len(numbers), "objects")
                return self._target_of(numbers[instance])
            region = self._object(whole, index, instance)
        else:
            region = whole
        name = self.model.class_name(index)
        return Target(
            index,
            region,
            whole & ~region,
            name,
            self.model.multilabel,
            binding=self.model.binding,
        )

    def instances_of(self, class_index: int) -> list[FoundObject]:
        """The objects of a class that the network reports, the largest first."""
        return [self.objects[number] for number in self._numbers_of(class_index)]

    def _numbers_of(self, class_index: int) -> list[int]:
        """The numbers of the reported objects of a class, the largest object first."""
        numbers = [i for i, found in enumerate(self.objects) if found.class_index == class_index]
        return sorted(numbers, key=lambda i: -int(self.objects[i].region.sum()))

    def _number_at(self, class_index: int, point: tuple[int, ...]) -> int | None:
        """The number of the likeliest reported object of a class at a pixel, or None."""
        numbers = self._numbers_of(class_index)
        there = [number for number in numbers if bool(self.objects[number].region[point])]
        return max(there, key=lambda number: self.objects[number].score, default=None)

    def _target_of(self, number: int) -> Target:
        """A reported object; other objects never count, since each has a channel of its own."""
        found = self.objects[number]
        return Target(
            found.class_index,
            found.region,
            torch.zeros_like(found.region),
            self.model.class_name(found.class_index),
            multilabel=True,
            binding=self.model.binding,
            channel=number,
            score=found.score,
        )

    def _choose_class(
        self, class_index: int | None, class_name: str | None, point: Sequence[int] | None
    ) -> int:
        if class_name is not None:
            index = self.model.find_class(class_name)
        elif class_index is not None:
            index = class_index
        elif point is not None:
            index = self._only_class_at(tuple(point))
        else:
            raise InputError(
                "expected a class_index, a class_name or a point, got none. The "
                f"model finds {self._inventory()} here."
            )
        if not 0 <= index < self.num_classes:
            raise InputError(
                f"expected a class from 0 to {self.num_classes - 1}, got "
                f"{index}. The model finds {self._inventory()} here."
            )
        return index

    def _only_class_at(self, point: tuple[int, ...]) -> int:
        classes = self.classes_at(point)
        if not classes:
            raise EmptyTargetError(
                f"the model gives pixel {point} to no class; it finds {self._inventory()}."
            )
        if len(classes) > 1:
            raise InputError(
                f"expected a point in the object of one class, the model gives pixel {point} to "
                f"{', '.join(map(self._label, classes))}. Name one of them (class_index, "
                "class_name, --class) together with the point."
            )
        return classes[0]

    def _inside(self, whole: Tensor, class_index: int, inside: Tensor) -> Tensor:
        part = whole & inside.to(whole.device)
        if not bool(part.any()):
            raise EmptyTargetError(
                f"the model finds class {self._label(class_index)} only outside "
                "the given box or polygon. Move it there."
            )
        return part

    def _object_at(self, whole: Tensor, class_index: int, point: tuple[int, ...]) -> Tensor:
        if bool(whole[point]):
            objects = component_numbers(whole)
            return objects == objects[point]
        here = ", ".join(map(self._label, self.classes_at(point)))
        raise EmptyTargetError(
            f"the model gives pixel {point} to {f'class {here}' if here else 'no class'}, not to "
            f"{self._label(class_index)}. Choose a pixel inside the object."
        )

    def _object(self, whole: Tensor, class_index: int, instance: int) -> Tensor:
        objects = component_numbers(whole)
        self._check_instance(class_index, instance, int(objects.max()), "connected objects")
        return objects == instance + 1

    def _check_instance(self, class_index: int, instance: int, num: int, objects: str) -> None:
        if not 0 <= instance < num:
            objects = objects.removesuffix("s") if num == 1 else objects
            raise InputError(
                f"expected an instance from 0 (the largest) to {num - 1}, got {instance}. Class "
                f"{self._label(class_index)} has {num} {objects} here."
            )

    def _label(self, class_index: int) -> str:
        name = self.model.class_name(class_index)
        return name if name == str(class_index) else f"{class_index} ({name})"

    def _inventory(self) -> str:
        return (
            ", ".join(
                f"{self._label(entry.class_index)} on {share(entry.area_fraction)}"
                for entry in self.found_classes()
            )
            or "no class at all"
        )


@entrance("segment")
def segment(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    *,
    affine: Tensor | None = None,
    class_names: str | Sequence[str] = (),
) -> Segmentation:
    """The prediction of a model for an image, by one forward pass.

    A model that is bound to its image (see `SegmentationModel.for_image`) may take another one.

    Args:
        model: the model, or a torch module that takes images as they are.
        image: (C, *spatial) float, in the units of the model's mean and std; or what stands for it
            (see `as_image`): bytes, a picture, a path.
        affine: (4, 4) float from voxel indices to millimetres (RAS+), for networks that need the
            spacing of a volume; None: that of the file, if the image is a path.
        class_names: of the classes of a torch module, in their order; a model has its own.

    Raises:
        InputError: the image has another shape or type, or is not finite.
        ModelError: the network fails on it.
    """
    model = as_model(model, class_names)
    pixels = as_image(image, model)
    bound = model.for_image(pixels, affine_for(model, image) if affine is None else affine)
    is_of_this_image = model.binding is None and bound.binding is not None
    objects = bound.reported_objects if is_of_this_image else ()
    logits = logits_of(bound, pixels)
    path = path_of(image)
    return Segmentation(bound, logits, pixels.device, objects, image=pixels, path=path)


def segment_again(model: SegmentationModel, image: Tensor) -> Segmentation:
    """The prediction of a model for the very image that it is bound to, with the reported objects.

    Takes one forward pass.

    Args:
        model: bound to this image, if it has to be.
        image: (C, *spatial) float.
    """
    bound = model.for_image(image)
    logits = logits_of(bound, image)
    return Segmentation(bound, logits, image.device, model.reported_objects, image=image)


def _num_parts(region: Tensor) -> int:
    return int(component_numbers(region).max())


def drawn_region(model: SegmentationModel, image: Tensor, target: Target) -> Tensor:
    """The pixels (*spatial) bool that the model gives to a target's class, or to its object.

    Takes one forward pass.

    Args:
        model: the model.
        image: (C, *spatial) float, on the model's device.
        target: taken from this image, or from the one that it is a part of.
    """
    check_image(image)
    bound = target.bound(model)

    def work(_all: slice) -> Tensor:
        with torch.no_grad():
            ((logits, place),) = bound.deciding_logits(image[None], [target.logit_index])
        return class_region(logits, place, target.multilabel)[0]

    return bound.in_batches(work, 1, image.shape[1:])[0]


def logits_of(model: SegmentationModel, image: Tensor) -> Tensor:
    """The logits (K, *spatial) float32 of an image, at its own pixels, by one forward pass.

    Args:
        model: the model.
        image: (C, *spatial) float, in the units of the model's mean and std.

    Raises:
        InputError: the image has another shape or type, or is not finite.
        ModelError: the network fails on it.
    """
    check_image(image)

    def work(_all: slice) -> Tensor:
        with torch.no_grad():
            return model(image[None])[0]

    return model.in_batches(work, 1, image.shape[1:])[0]


@entrance("predicted_target")
def predicted_target(
    model: SegmentationModel | nn.Module,
    image: AnyImage,
    class_index: int | None = None,
    *,
    class_name: str | None = None,
    point: Sequence[int] | None = None,
    instance: int | None = None,
    box: Sequence[int] | None = None,
    polygon: Sequence[tuple[float, float]] | None = None,
    affine: Tensor | None = None,
    class_names: str | Sequence[str] = (),
) -> Target:
    """The pixels that the model gives to a class, one connected object, or a part of them.

    Takes one forward pass. For several targets of an image call `segment` once, and
    `Segmentation.target` for each.

    Args:
        model, image: see `segment`.
        class_index, class_name: the class, by one of the two; with `point` both may be left out:
            the class is then that of the pixel.
        point: a pixel (*spatial); the object that holds it is taken: the likeliest that the
            network reports, or else the connected one.
        instance: the number of an object of the class, 0 for the largest: of those that the network
            reports, or else of the connected ones.
        box: first row, first column, end row, end column (3D: depth first), ends exclusive; the
            part of the class inside is taken.
        polygon: at least three corners (row, column), 2D only; the part of the class inside is
            taken.
        affine, class_names: see `segment`.

    Raises:
        EmptyTargetError: the model gives no such pixel to the class; the message names the classes
            that are there.
        InputError: another kind of image, no class, more than one way to choose, or a point,
            instance, box or polygon that the image does not have.
        ModelError: the network fails on the image.
    """
    return segment(model, image, affine=affine, class_names=class_names).target(
        class_index,
        class_name=class_name,
        point=point,
        instance=instance,
        box=box,
        polygon=polygon,
    )
