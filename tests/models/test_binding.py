"""Models that are bound to their image: reported objects, and what was taken from the image."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

import misure
from misure.errors import InputError
from misure.images.regions import component_numbers
from misure.models.binding import Binding, FoundObject
from misure.models.model import SegmentationModel
from misure.models.preprocessing import Preprocessing
from misure.models.segmentation import segment


@dataclass(frozen=True)
class OfObjects:
    """Logits of each object: those of brightness inside a part of the image, none elsewhere."""

    parts: Tensor
    multilabel: bool = True
    probabilities: bool | None = False

    def read(self, output: Tensor, inputs: Tensor) -> tuple[Tensor, "OfObjects"]:
        return torch.where(self.parts, output, -9.0), self

    def settings(self) -> dict[str, Any]:
        return {"multilabel": True}


def bright(images: Tensor) -> Tensor:
    return 8 * images.sum(1, keepdim=True) - 3.7


def find_objects(model: SegmentationModel, image: Tensor, affine: Tensor | None) -> Binding:
    numbers = component_numbers(model(image[None])[0, 0] > 0)
    regions = [numbers == number for number in range(1, int(numbers.max()) + 1)]
    half = torch.arange(image.shape[2]) < image.shape[2] // 2
    parts = torch.stack([half if region[:, half].any() else ~half for region in regions])
    objects = [FoundObject(0, 0.9 - 0.1 * i, region) for i, region in enumerate(regions)]
    return Binding(objects=tuple(objects), objects_form=OfObjects(parts[None, :, None]))


def detector() -> SegmentationModel:
    return SegmentationModel(bright, multilabel=True, class_names="blob", binder=find_objects)


def two_blobs() -> Tensor:
    image = torch.zeros(1, 24, 40)
    image[:, 4:18, 2:18] = image[:, 6:14, 24:36] = 1
    return image


def test_an_object_that_the_network_reports_is_a_target_with_a_channel_of_its_own():
    found = segment(detector(), two_blobs())
    assert found.found_classes()[0].num_objects == 2
    target = found.target(class_name="blob", instance=1)
    assert (target.channel, target.score, target.logit_index) == (1, 0.8, 1)
    assert int(target.region.sum()) == 8 * 12
    assert not target.ignored.any()
    assert found.target(0, point=(10, 30)).channel == 1
    whole = found.target(0)
    assert whole.channel is None
    assert int(whole.region.sum()) == 8 * 12 + 14 * 16
    with pytest.raises(InputError, match="from 0 .* to 1, got 2"):
        found.target(0, instance=2)


def test_a_reported_object_is_explained_by_its_own_channel():
    model, image = detector(), two_blobs()
    targets = [segment(model, image).target(0, instance=number) for number in (0, 1)]
    both = misure.explain_all(model, image, targets, max_passes=60)
    for found, target in zip(both, targets, strict=True):
        region = found.minimally_sufficient_region
        inside = target.region & region
        assert found.dice >= 0.9
        assert int(inside.sum()) >= 0.8 * int(target.region.sum())
        assert int(region.sum()) < 1.5 * int(target.region.sum())
    hidden = misure.necessary_region(
        model, image, targets[1], max_passes=60, baseline_image="mean", num_draws=0
    )
    assert hidden.is_found
    assert not (hidden.region & targets[0].region).any()


def test_a_target_of_a_bound_model_is_refused_by_another_model():
    target = segment(detector(), two_blobs()).target(0, instance=0)
    other = SegmentationModel(bright, multilabel=True)
    with pytest.raises(InputError, match="bound to its image"):
        misure.explain(other, two_blobs(), target)


@dataclass(frozen=True)
class Scaled(Preprocessing):
    """Divides images by a number."""

    by: float = 1.0

    def to_input(self, images: Tensor) -> Tensor:
        return images / self.by


def by_its_largest(model: SegmentationModel, image: Tensor, affine: Tensor | None) -> Binding:
    if affine is None:
        raise InputError("expected the affine of the image, got none. Give affine=...")
    return Binding(preprocessing=Scaled(by=float(image.max())))


def test_what_is_taken_from_the_image_stays_while_parts_of_it_are_hidden():
    model = SegmentationModel(bright, multilabel=True, binder=by_its_largest)
    image = 50 * two_blobs()
    with pytest.raises(InputError, match="Give affine"):
        segment(model, image)
    found = segment(model, image, affine=torch.eye(4))
    target = found.target(0, point=(10, 30))
    explanation = misure.explain(model, image, target, max_passes=60)
    shown = torch.where(explanation.minimally_sufficient_region, image, 0)
    drawn = target.bound(model)(shown[None])[0, 0] > 0
    assert target.dice(drawn) == pytest.approx(explanation.dice)
    bound = replace(target, region=target.region).bound(model)
    assert bound.for_image(image / 50).preprocessing == Scaled(by=50.0)
    assert model.binding is None
