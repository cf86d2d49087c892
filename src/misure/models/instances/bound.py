"""Models that report instances, and their binding to an image."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from misure.errors import InputError, entrance
from misure.models.binding import Binding, FoundObject
from misure.models.instances.forms import InstanceForm, ListingForm, ObjectsForm
from misure.models.instances.readers import InstanceReader, ThresholdReader
from misure.models.model import SegmentationModel


def bind_instances(
    form: InstanceForm, model: SegmentationModel, image: Tensor, _affine: Tensor | None
) -> Binding:
    """The binding of a model to the objects that it reports on an image; takes a pass.

    Args:
        form: reads its output.
        model: the model.
        image: (C, *spatial) float.
    """
    listing = ListingForm(form.reader, form.name, kept=[])
    lister = model.for_object(Binding(objects_form=listing), reads_objects=True)
    with torch.no_grad():
        lister(image[None])
    found = [
        FoundObject(one.class_index, float(one.score), one.region.to(image.device))
        for one in sorted(listing.kept or [], key=lambda one: -float(one.score))
    ]
    return Binding(
        objects=tuple(found), objects_form=ObjectsForm(form.reader, form.name, objects=tuple(found))
    )


def instance_settings(reader: InstanceReader, name: str = "network") -> dict[str, Any]:
    """The arguments `form` and `binder` of a SegmentationModel that reports instances.

    Args:
        reader: reads its output.
        name: of the network, for messages.

    Raises:
        InputError: a min_score that is not between 0 and 1.
    """
    if not 0 < reader.min_score < 1:
        raise InputError(f"expected min_score between 0 and 1, got {reader.min_score!r}.")
    form = InstanceForm(reader, name)
    return {"form": form, "binder": partial(bind_instances, form)}


@entrance("instance_model")
def instance_model(
    net: Callable[..., Any],
    instances: Callable[[Any], Sequence[Any]],
    *,
    class_names: str | Sequence[str] = (),
    num_classes: int | None = None,
    min_score: float = 0.5,
    mask_logits: bool = False,
    **options: Any,
) -> SegmentationModel:
    """A network that reports instances, ready to be explained object by object.

    Args:
        net: a torch module, or any function of an image batch (N, C, *spatial).
        instances: (what `net` returned) -> for each of the N images its instances: triples (class
            index, score, mask), or `Detections`. Those below `min_score` help, too: gradients lead
            to objects through them. Scores and masks may be tensors with gradients. Masks (*any)
            cover the whole input.
        class_names: K names, or one text with commas between them.
        num_classes: K; None: the number of names.
        min_score: score from which an instance is reported.
        mask_logits: whether masks are logits, positive on the object; else they are in [0, 1], and
            the object is above 0.5. `Detections` say it themselves.
        options: of SegmentationModel (mean, std, input_size, ...).

    Raises:
        InputError: arguments that contradict each other.
    """
    names = class_names.split(",") if isinstance(class_names, str) and class_names else class_names
    count = num_classes or len(names)
    if not count or len(names) not in (0, count):
        raise InputError(
            "expected class_names, or num_classes, the number of classes, got "
            f"{len(names)} names and num_classes={num_classes}."
        )
    reader = ThresholdReader(instances, count, min_score, mask_logits)
    settings = instance_settings(reader, options.get("name") or type(net).__name__)
    return SegmentationModel(net, class_names=class_names, **settings, **options)
