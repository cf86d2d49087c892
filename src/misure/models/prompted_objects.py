"""Prompts made from annotations: each annotated object of an image is a prompt, and an object.

A promptable network is asked for every annotated object by its box, or by a point of it. What it
draws is then an object of the annotated class, as those that a detector reports: the classes of the
model are those of the annotations, and each object has a channel of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from misure.errors import InputError
from misure.images.regions import innermost
from misure.models.binding import Binding, FoundObject
from misure.models.prompted import (
    BEST,
    MaskChoice,
    PromptableNetwork,
    PromptBinder,
    PromptForm,
    check_prompts,
    chosen,
    drawn,
    encoded_for,
    is_single,
    mask_of,
    masks_of,
    network_of,
    prompt_arguments,
    regions_of,
)
from misure.models.prompts import BOX, POINT, Prompt

if TYPE_CHECKING:
    from misure.models.model import SegmentationModel

ANNOTATIONS = "annotations"
WAYS = (BOX, POINT)
_NOWHERE = -10.0


def way_of(prompts: Any) -> str | None:
    """`box` or `point`, if prompts are said to be made from annotations; else None.

    Args:
        prompts: as they were given: `annotations:box`, `annotations:point`, or others.

    Raises:
        InputError: another way, or other prompts beside it.
    """
    listed = [prompts] if isinstance(prompts, str) else prompts
    texts = [str(one) for one in listed] if isinstance(listed, Sequence) else []
    heads = [text.strip().partition(":") for text in texts]
    if not any(head == ANNOTATIONS for head, *_ in heads):
        return None
    way = heads[0][2].strip()
    if len(texts) > 1 or way not in WAYS:
        raise InputError(
            "expected prompts from annotations as annotations:box (the box of each object) or "
            f"annotations:point (its innermost pixel), without others, got {', '.join(texts)}."
        )
    return way


def prompt_for(region: Tensor, way: str) -> Prompt:
    """The prompt for an object.

    Args:
        region: (H, W) bool, with at least one pixel.
        way: `box`, with the ends exclusive; or `point`, the pixel that is farthest from the
            object's edge and from that of the image, the first of several.
    """
    if way == BOX:
        rows, columns = (region.any(axis).nonzero().flatten().tolist() for axis in (1, 0))
        return Prompt(box=(rows[0], columns[0], rows[-1] + 1, columns[-1] + 1))
    row, column = innermost(region)
    return Prompt(points=((row, column),))


@dataclass(frozen=True, kw_only=True)
class ObjectPromptForm(PromptForm):
    """Reads the masks of prompts by class: where any mask of an object of the class is.

    Attributes:
        class_indices: of the P prompts' objects.
        num_kinds: K.
        way: how the prompts were made: `box` or `point`.
    """

    class_indices: tuple[int, ...] = ()
    num_kinds: int = 1
    way: str = BOX

    def read(self, output: Any, inputs: Tensor) -> tuple[Tensor, Self]:
        """Logits (N, K, *any) float32; see `Form`."""
        masks, _ = super().read(output, inputs)
        nowhere = masks.new_full((len(masks), *masks.shape[2:]), _NOWHERE)
        channels = []
        for k in range(self.num_kinds):
            own = [i for i, class_index in enumerate(self.class_indices) if class_index == k]
            channels.append(masks[:, own].amax(1) if own else nowhere)
        return torch.stack(channels, dim=1), self

    def settings(self) -> dict[str, Any]:
        """How the output is read, as plain values."""
        known = super().settings()
        return {
            **known,
            "num_classes": self.num_kinds,
            "prompts_from": f"{ANNOTATIONS}:{self.way}",
            "prompted_classes": [*self.class_indices],
        }


@dataclass(frozen=True)
class ObjectPromptBinder(PromptBinder):
    """Binds a model to an image by prompts for its annotated objects.

    Attributes:
        way: `box` or `point`.
        class_indices: of the P prompts' objects; None: the objects are not known yet.
        num_kinds: K; None: as many as the objects need.
    """

    prompts: tuple[Prompt, ...] = ()
    mask: MaskChoice = BEST
    way: str = BOX
    class_indices: tuple[int, ...] | None = field(default=None, kw_only=True)
    num_kinds: int | None = field(default=None, kw_only=True)

    def __call__(
        self, model: "SegmentationModel", image: Tensor, _affine: Tensor | None
    ) -> Binding:
        """The binding to an image; see `Binder`. It takes one pass.

        Raises:
            InputError: the objects are not known.
        """
        if self.class_indices is None:
            raise InputError(
                f"expected annotated objects for prompts from annotations ({ANNOTATIONS}:"
                f"{self.way}), got an image alone. They are for run, compare and missed over a "
                "data set with annotations; give point:R,C or box:R0,C0,R1,C1 for one image."
            )
        num_kinds = self.num_kinds or max(self.class_indices, default=0) + 1
        known: dict[str, Any] = {
            "name": model.name,
            "prompts": self.prompts,
            "mask": self.mask,
        }
        if not self.prompts:
            form = ObjectPromptForm(**known, num_kinds=num_kinds, way=self.way)
            return Binding(network=_nothing, form=form, objects_form=PromptForm(**known))
        network, spatial = network_of(model), image.shape[1:]
        single = is_single(network, self.mask)
        masks = masks_of(model, image, encoded_for(model, self.prompts, spatial), single=single)
        places, scores = chosen(masks, self.mask)
        regions = regions_of(model, masks, places, spatial).to(image.device)
        qualities = [min(max(score, 0.0), 1.0) for score in scores or (1.0,) * len(places)]
        objects = zip(self.class_indices, qualities, regions, strict=True)
        found = [FoundObject(*each) for each in objects]
        order = sorted(range(len(found)), key=lambda i: -found[i].score)
        seen = [i for i in order if bool(found[i].region.any())] or order[:1]
        prompts = tuple(self.prompts[i] for i in seen)
        known |= {
            "prompts": prompts,
            "places": tuple(places[i] for i in seen),
            "scores": tuple(scores[i] for i in seen) if scores else (),
        }
        encoded = encoded_for(model, prompts, spatial)
        return Binding(
            network=partial(drawn, network, encoded, known["places"], single),
            form=ObjectPromptForm(
                **known,
                class_indices=tuple(self.class_indices[i] for i in seen),
                num_kinds=num_kinds,
                way=self.way,
            ),
            objects=tuple(found[i] for i in seen if bool(found[i].region.any())),
            objects_form=PromptForm(**known),
        )


def _nothing(inputs: Tensor) -> Tensor:
    """Logits (N, 0, H, W) of no prompts."""
    return inputs.new_zeros((len(inputs), 0, *inputs.shape[2:]))


def annotation_arguments(
    network: PromptableNetwork, name: str, way: str, mask: Any = BEST
) -> dict[str, Any]:
    """Arguments of SegmentationModel for a network that is prompted by annotations.

    Args:
        network: takes prompts.
        name: of the network, for messages.
        way: `box` or `point`.
        mask: which of several masks is read.

    Raises:
        InputError: the network takes no such prompts, or has no such mask.
    """
    check_prompts(network, name, [_EXAMPLE[way]], mask)
    return _arguments(name, ObjectPromptBinder((), mask, way), ())


_EXAMPLE = {BOX: Prompt(box=(0, 0, 1, 1)), POINT: Prompt(points=((0, 0),))}


def _arguments(name: str, binder: ObjectPromptBinder, names: Sequence[str]) -> dict[str, Any]:
    form = ObjectPromptForm(
        name=name, prompts=(), mask=binder.mask, num_kinds=binder.num_kinds or 1, way=binder.way
    )
    return {"form": form, "binder": binder, "class_names": tuple(names)}


def prompted(
    model: "SegmentationModel", prompts: Any, mask: MaskChoice | None = None
) -> "SegmentationModel":
    """A copy of a model with other prompts, whose network, lock and counters are the same.

    Args:
        model: of a network that takes prompts.
        prompts: one or several, as texts or as Prompts; or as `way_of` reads them.
        mask: which of several masks is read; None: as the model does, else the best.

    Raises:
        InputError: the network takes none, or not such ones.
    """
    network = network_of(model)
    mask = mask_of(model) if mask is None else mask
    if (way := way_of(prompts)) is not None:
        return model.with_form(network, **annotation_arguments(network, model.name, way, mask))
    return model.with_form(network, **prompt_arguments(network, model.name, prompts, mask))


def with_class_names(model: "SegmentationModel", names: Sequence[str]) -> "SegmentationModel":
    """A model that is prompted by annotations, with the names of their K classes.

    A model of another kind is itself.
    """
    binder = model.binder
    if not isinstance(binder, ObjectPromptBinder):
        return model
    named = tuple(names) or model.class_names
    binder = replace(binder, num_kinds=len(named) or None)
    return model.with_form(model.net, **_arguments(model.name, binder, named))


def is_prompted_by_annotations(model: "SegmentationModel") -> bool:
    """Whether the prompts of a model are made from the annotations of each image."""
    return isinstance(model.binder, ObjectPromptBinder)


def with_objects(
    model: "SegmentationModel", objects: Sequence[tuple[int, Tensor]]
) -> "SegmentationModel":
    """A model that is prompted by annotations, for an image with these objects.

    Args:
        model: prompted by annotations.
        objects: class index and pixels (H, W) bool of each.
    """
    binder = model.binder
    if not isinstance(binder, ObjectPromptBinder):
        raise TypeError(f"expected ObjectPromptBinder, got {type(binder).__name__}")
    prompts: dict[Prompt, int] = {}  # objects with the same box are one
    for class_index, region in objects:
        prompts.setdefault(prompt_for(region, binder.way), class_index)
    known = replace(binder, prompts=tuple(prompts), class_indices=tuple(prompts.values()))
    return model.with_form(model.net, **_arguments(model.name, known, model.class_names))
