"""Models that are bound to their image: reported objects, and what was taken from the image."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

import misure
from misure.datasets.sample import Sample
from misure.errors import InputError
from misure.images.regions import component_numbers
from misure.models.augmentation import augmented_dices
from misure.models.binding import Binding, FoundObject
from misure.models.model import SegmentationModel
from misure.models.preprocessing import Preprocessing
from misure.models.segmentation import segment
from misure.models.volumes.box import Boxed
from misure.models.volumes.preprocessing import StepsPreprocessing
from misure.runs.folder import RunFolder
from misure.runs.plan import RunPlan


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


class FirstOnly(OfObjects):
    """The same, of the first of several classes."""

    def read(self, output: Tensor, inputs: Tensor) -> tuple[Tensor, "OfObjects"]:
        return super().read(output[:, :1], inputs)


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


def test_targets_of_one_image_are_bound_once():
    calls = []

    def counted(model, image, affine):
        calls.append(1)
        return find_objects(model, image, affine)

    model = SegmentationModel(bright, multilabel=True, class_names="blob", binder=counted)
    found = misure.explain_all(model, two_blobs(), ["blob", "blob"], preset="quick")
    assert [len(calls), len(found)] == [1, 2]


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


def by_its_own(model: SegmentationModel, image: Tensor, affine: Tensor | None) -> Binding:
    return Binding(preprocessing=Scaled(by=float(image.max())))


def scaled() -> SegmentationModel:
    return SegmentationModel(bright, multilabel=True, class_names="blob", binder=by_its_own)


def test_a_saved_target_is_bound_to_the_image_again(tmp_path):
    model, image = scaled(), 50 * two_blobs()
    target = segment(model, image).target(0, instance=0)
    first = misure.explain(model, image, target, max_passes=60)
    first.save(tmp_path / "explanation.npz")
    loaded = misure.Explanation.load(tmp_path / "explanation.npz").target
    assert loaded.binding is None
    again = misure.explain(model, image, loaded, max_passes=60)
    assert torch.equal(again.minimally_sufficient_region, first.minimally_sufficient_region)
    darker = [image, image / 100]
    both = misure.explain_all(model, darker, [loaded, loaded], max_passes=60)
    assert [one.dice for one in both] == [first.dice, first.dice]


def test_maps_are_measured_with_the_model_bound_to_the_image():
    sample = Sample("a", two_blobs() / 50)
    same = Sample("a", two_blobs())
    plain = SegmentationModel(bright, multilabel=True, class_names="blob")
    rows = [
        misure.compare(model, [each], methods=["target_itself"], metrics=["insertion"]).rows[0]
        for model, each in ((scaled(), sample), (plain, same))
    ]
    assert rows[0].error == ""
    assert rows[0].metrics == pytest.approx(rows[1].metrics)


def test_what_a_run_records_of_a_class_without_reported_objects_is_of_the_class(tmp_path):
    def blob_and_dark(images: Tensor) -> Tensor:
        return torch.cat([bright(images), -bright(images)], 1)

    def of_blobs(model: SegmentationModel, image: Tensor, affine: Tensor | None) -> Binding:
        found = find_objects(model, image, affine)
        return replace(found, objects_form=FirstOnly(found.objects_form.parts))

    model = SegmentationModel(
        blob_and_dark, multilabel=True, class_names="blob,dark", binder=of_blobs
    )
    plan = RunPlan(instances=True, method="target_itself", test_time_augmentation=True)
    misure.run([Sample("a", two_blobs())], model, tmp_path / "run", plan)
    records = {one.key: one for one in RunFolder(tmp_path / "run").records() if "#" in one.key}
    assert [*records] == ["a#0.0", "a#0.1", "a#1.0"]
    assert min(records["a#1.0"].augmented_dice.values()) >= 0.98
    assert records["a#1.0"].prediction.soft_dice >= 0.9


def test_another_network_is_used_by_a_bound_model_too():
    model, image = scaled(), 50 * two_blobs()
    bound = model.for_image(image)
    target = segment(model, image).target(0, instance=0)
    other = bound.with_network(lambda images: -bright(images))
    for used in (other, other.for_image(image), target.bound(other)):
        assert torch.equal(used(image[None]), -bound(image[None]))


def test_context_effects_list_the_objects_that_the_network_reports():
    image = two_blobs()
    image[:, 8:10, 18:24] = 1  # both are connected now
    numbers = torch.zeros(24, 40)
    numbers[:, :20], numbers[:, 20:], numbers[:11, :20] = 1, 2, 3

    def halves(model: SegmentationModel, image: Tensor, affine: Tensor | None) -> Binding:
        drawn = model(image[None])[0, 0] > 0
        regions = [drawn & (numbers == number) for number in (1, 2, 3)]
        parts = torch.stack([region.any(0) for region in regions])
        objects = [FoundObject(0, 0.9, region) for region in regions]
        return Binding(objects=tuple(objects), objects_form=OfObjects(parts[None, :, None]))

    model = SegmentationModel(bright, multilabel=True, class_names="blob", binder=halves)
    target = segment(model, image).target(0, point=(10, 30))
    effects = misure.context_effects(model, image, target, num_superpixels=0)
    names = {effect.name for effect in effects.effects if effect.kind == "object"}
    assert names == {"object 0 of the blob", "object 1 of the blob"}


def test_in_the_mirrored_image_a_box_to_crop_is_taken_anew():
    def cropped(model: SegmentationModel, image: Tensor, affine: Tensor | None) -> Binding:
        columns = image[0].any(0).nonzero()
        start, stop = int(columns.min()), int(columns.max()) + 1
        box = Boxed((0, start), (image.shape[1], stop - start))
        spatial = tuple(image.shape[1:])
        return Binding(
            preprocessing=StepsPreprocessing(spatial=spatial, steps=(box,), multilabel=True)
        )

    model = SegmentationModel(bright, multilabel=True, binder=cropped)
    image = two_blobs()
    image[:, :, 20:] = 0
    target = segment(model, image).target(0)
    (dices,) = augmented_dices(target.bound(model), image, [target])
    assert dices["mirrored"] == 1.0
