"""Networks that report instances: what they report, how it is matched, and that gradients flow."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import misure
from misure.errors import InputError, ModelError
from misure.explanation.answers.surroundings import surroundings_of
from misure.models.augmentation import augmented_dices
from misure.models.instances import Detections, instance_model
from misure.models.segmentation import segment

MARK = (slice(20, 23), slice(17, 20))
"""Pixels whose brightness is the score of whatever lies in the left half."""


class Blobs(nn.Module):
    """Two proposals: the bright pixels of either half, of class 0 if they are many, else 1.

    The score of the left one is that of the mark, that of the right one is 0.8 if it has a pixel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(8.0))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        lit = self.scale * (images.sum(1) - 0.5)
        is_left = torch.arange(images.shape[3]) < images.shape[3] // 2
        halves = torch.stack([torch.where(is_left, lit, -9.0), torch.where(is_left, -9.0, lit)], 1)
        halves[(slice(None), slice(None), *MARK)] = -9.0
        marked = (images.sum(1)[(slice(None), *MARK)].mean((1, 2)) * 12 - 8).sigmoid()
        there = (halves[:, 1].amax((1, 2)) - 1.38).sigmoid().clamp(max=0.8)
        return {"scores": torch.stack([marked, there], 1), "masks": halves}


def instances(output: dict[str, Tensor]) -> list[Any]:
    return [
        [(0, scores[0], masks[0]), (int((masks[1] > 0).sum() < 100), scores[1], masks[1])]
        for scores, masks in zip(output["scores"], output["masks"], strict=True)
    ]


def model(**options: Any) -> misure.SegmentationModel:
    given = {"class_names": "big,small", "mask_logits": True, **options}
    return instance_model(Blobs(), instances, **given)


def scene() -> Tensor:
    image = torch.zeros(1, 24, 40)
    image[:, 4:18, 2:16] = image[:, 6:14, 24:36] = 1
    image[(0, *MARK)] = 1
    return image


def test_a_network_lists_its_instances_with_scores_and_masks():
    found = segment(model(), scene())
    assert [one.class_index for one in found.objects] == [0, 1]
    assert found.objects[0].score == pytest.approx(0.982, abs=1e-3)
    assert found.objects[1].score == pytest.approx(0.8)
    assert [int(one.region.sum()) for one in found.objects] == [14 * 14, 8 * 12]
    assert {row.class_name: row.num_pixels for row in found.found_classes()} == {
        "big": 14 * 14,
        "small": 8 * 12,
    }
    strict = segment(model(min_score=0.9), scene())
    assert [one.class_index for one in strict.objects] == [0]


def test_by_object_an_instance_counts_only_with_its_score_and_its_class():
    network, image = model(), scene()
    target = segment(network, image).target(class_name="big", instance=0)
    bound = target.bound(network)
    assert target.dice_of_logits(bound(image[None])) == [1.0]
    without_mark, without_left, too_small = image.clone(), image.clone(), image.clone()
    without_mark[(0, *MARK)] = 0
    without_left[:, :, :16] = 0
    too_small[:, 4:14, 24:36] = 0
    images = torch.stack([without_mark, without_left, too_small])
    assert target.dice_of_logits(bound(images)) == [0.0, 0.0, 1.0]
    other = segment(network, image).target(class_name="small", instance=0)
    image[:, 2:22, 22:40] = 1  # the right one becomes big: it is no longer of this class
    assert other.dice_of_logits(other.bound(network)(image[None])) == [0.0]


def test_gradients_lead_to_mask_and_score_of_what_is_not_reported():
    network, image = model(), scene()
    target = segment(network, image).target(class_name="big", instance=0)
    image[(0, *MARK)] = 0.4
    leaf = image[None].requires_grad_()
    logits = target.bound(network)(leaf)[0, target.logit_index]
    assert bool((logits < 0).all())
    (gradient,) = torch.autograd.grad(logits[target.region].sum(), leaf)
    assert bool((gradient[(0, 0, *MARK)] > 0).all())


def test_the_explanation_of_an_instance_holds_what_its_score_needs():
    network, image = model(), scene()
    found = misure.explain(network, image, segment(network, image).target(0, instance=0))
    region = found.minimally_sufficient_region
    assert found.dice >= 0.9
    assert int(region[MARK].sum()) >= 5
    assert not region[6:14, 24:36].any()


def test_objects_are_matched_by_overlap_and_then_by_score():
    def two(output: Tensor) -> list[Any]:
        wide, narrow = torch.full((2, 8, 8), -5.0)
        wide[:, :6] = narrow[:, 2:6] = 5.0
        first = torch.stack([wide, narrow])
        again = torch.stack([wide - 1, wide, wide + 1])
        return [
            Detections.of([0, 0], torch.tensor([0.7, 0.6]), first, 1),
            Detections.of([0, 0, 0], torch.tensor([0.6, 0.9, 0.7]), again, 1),
        ][: len(output)]

    network = instance_model(
        lambda images: images, two, class_names="c", differentiable=False, batch_size=1
    )
    target = segment(network, torch.rand(1, 8, 8)).target(0, instance=1)
    assert (target.score, int(target.region.sum())) == (pytest.approx(0.6), 32)
    logits = target.bound(network)(torch.rand(1, 1, 8, 8))
    assert target.dice_of_logits(logits) == [1.0]


def test_an_image_without_instances_has_none_and_a_gradient():
    network = model()
    found = segment(network, torch.zeros(1, 24, 40))
    assert found.objects == ()
    assert found.found_classes() == []
    nothing = instance_model(nn.Conv2d(1, 1, 1), lambda output: [[] for _ in output], num_classes=2)
    logits = nothing(torch.rand(2, 1, 8, 8).requires_grad_())
    assert logits.shape == (2, 2, 8, 8)
    assert bool((logits < 0).all())
    assert logits.requires_grad


def test_what_is_no_instance_is_refused():
    image = torch.rand(1, 24, 40)
    with pytest.raises(InputError, match="class_names, or num_classes"):
        instance_model(Blobs(), instances)
    with pytest.raises(InputError, match="min_score between 0 and 1"):
        model(min_score=2)
    with pytest.raises(ModelError, match="mask_logits=True"):
        segment(model(mask_logits=False), image)
    with pytest.raises(ModelError, match="triples"):
        segment(instance_model(Blobs(), lambda output: [[1, 2]], num_classes=2), image)
    with pytest.raises(ModelError, match="classes from 0 to 0"):
        segment(model(class_names="big"), scene())
    with pytest.raises(ModelError, match="each of 1 image"):
        segment(instance_model(Blobs(), lambda output: [], num_classes=2), image)


def test_in_the_mirrored_image_an_instance_is_looked_for_in_the_mirrored_place():
    def by_place(output: Tensor) -> list[Any]:  # any bright pixel, in either half
        half = torch.arange(output.shape[3]) < output.shape[3] // 2
        each = ([(0, 0.9, mask * side) for side in (half, ~half)] for mask in output[:, 0])
        return list(each)

    network = instance_model(lambda images: images, by_place, class_names="c", differentiable=False)
    image = torch.zeros(1, 16, 32)
    image[:, 2:12, 2:12] = image[:, 3:8, 24:28] = 1
    found = segment(network, image)
    targets = [found.target(0, instance=number) for number in (0, 1)]
    dices = augmented_dices(targets[0].bound(network), image, targets)
    assert [one["mirrored"] for one in dices] == [1.0, 1.0]


def test_a_saved_explanation_of_an_instance_can_be_checked_by_its_class(tmp_path):
    network, image = model(class_names="big,small"), scene()
    image[:, 2:22, 22:40] = 1  # both are of class 0
    target = segment(network, image).target(0, instance=1)
    assert target.channel is not None
    explanation = misure.explain(network, image, target, max_passes=60)
    explanation.save(tmp_path / "explanation.npz")
    loaded = misure.Explanation.load(tmp_path / "explanation.npz")
    assert loaded == explanation
    record = loaded.values.target
    assert record.score == pytest.approx(target.score)
    assert record.reported == target.channel
    assert loaded.target.channel is None
    assert int(loaded.target.ignored.sum()) == 18 * 20
    assert loaded.target.dice_of_logits(network(image[None])) == [1.0]


def test_other_instances_are_parts_of_the_surroundings_though_they_touch():
    def by_place(output: Tensor) -> list[Any]:
        rows, columns = torch.arange(24)[:, None] < 10, torch.arange(32) < 16
        places = (rows & columns, ~rows & columns, ~rows & ~columns)
        return [[(0, 0.9, mask * place) for place in places] for mask in output[:, 0]]

    network = instance_model(lambda images: images, by_place, class_names="c", differentiable=False)
    image = torch.zeros(1, 24, 32)
    image[:, 2:6, 2:9] = image[:, 14:20, 8:26] = 1
    found = segment(network, image)
    target = found.target(0, point=(3, 3))
    parts = surroundings_of(found, image, target, num_superpixels=0, min_area=0.0)
    assert [(part.kind, int(part.piece.mask.sum())) for part in parts[:3]] == [
        ("class", 6 * 18),
        ("object", 6 * 10),
        ("object", 6 * 8),
    ]
