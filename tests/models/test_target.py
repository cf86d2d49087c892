import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam
from torch import nn

import misure
import toys


def _two_squares():
    image = toys.square_image()
    image[0, 20:23, 20:26] = 1.0
    return image


def test_a_class_an_object_a_box_a_polygon(model):
    image = _two_squares()
    both = misure.predicted_target(model, image, class_name="bright")
    assert (int(both.region.sum()), int(both.ignored.sum())) == (43, 0)
    assert (both.class_index, both.class_name) == (1, "bright")
    large = misure.predicted_target(model, image, 1, instance=0)
    small = misure.predicted_target(model, image, 1, instance=1)
    assert (int(large.region.sum()), int(small.region.sum())) == (25, 18)
    assert torch.equal(large.ignored, small.region)
    for same in (
        misure.predicted_target(model, image, 1, point=(21, 24)),
        misure.predicted_target(model, image, point=(21, 24)),
        misure.predicted_target(model, image, 1, box=(18, 18, 30, 30)),
        misure.predicted_target(model, image, 1, polygon=[(19, 19), (19, 29), (29, 29), (29, 19)]),
    ):
        assert torch.equal(same.region, small.region)
        assert torch.equal(same.ignored, large.region)


def test_the_other_objects_of_the_class_count_neither_way(model):
    target = misure.predicted_target(model, _two_squares(), 1, instance=0)
    assert target.dice(target.region) == 1
    assert target.dice(target.region | target.ignored) == 1
    assert target.dice(~target.region) == 0


def test_a_class_that_is_not_there_names_those_that_are(model):
    with pytest.raises(misure.EmptyTargetError) as caught:
        misure.predicted_target(model, torch.zeros(1, 10, 10), 1)
    assert str(caught.value) == (
        "predicted_target: the model finds no pixel of class 1 (bright) here; it finds 0 (dark) on "
        "100.0 %. There is nothing to explain."
    )


def test_what_was_missed_is_a_mask_and_its_class(model):
    image = _two_squares()
    mask = torch.zeros(image.shape[1:], dtype=torch.bool)
    mask[0, 0] = True  # dark: no pixel of the class is drawn there
    target = misure.missed_target(model, image, mask, class_name="bright")
    assert (target.class_index, target.class_name) == (1, "bright")
    assert torch.equal(target.region, mask)
    assert torch.equal(target.ignored, misure.segment(model, image).class_region(1))
    for options, message in [
        ({}, "missed_target: expected a class by class_index or by class_name"),
        ({"class_index": 1, "class_name": "bright"}, "and not by both"),
        ({"class_name": "glow"}, "glow"),
    ]:
        with pytest.raises(misure.InputError, match=message):
            misure.missed_target(model, image, mask, **options)
    with pytest.raises(misure.InputError, match="of bool and of the image's shape"):
        misure.missed_target(model, image, mask[1:], 1)
    with pytest.raises(misure.InputError, match="at least one pixel"):
        misure.missed_target(model, image, ~mask & mask, 1)


def test_bad_choices(model):
    image = _two_squares()
    for options, message in [
        ({}, "expected a class_index, a class_name or a point, got none. The model finds 0 .dark."),
        ({"class_index": 7}, "expected a class from 0 to 1, got 7"),
        ({"class_index": -1}, "expected a class from 0 to 1, got -1"),
        ({"class_name": "blue"}, "expected a class of OwnBrightness, got 'blue'. It has: dark, br"),
        ({"class_index": 1, "class_name": "dark"}, "expected one of class_index and class_name"),
        ({"class_index": 1, "point": (1, 1), "instance": 0}, "at most one of point, instance, box"),
        (
            {"class_index": 1, "point": (1, 99)},
            r"expected a point inside \(30, 30\), got \(1, 99\)",
        ),
        ({"class_index": 1, "point": (1,)}, r"expected a point inside \(30, 30\), got \(1,\)"),
        (
            {"class_index": 1, "instance": 2},
            "expected an instance from 0 .the largest. to 1, got 2",
        ),
    ]:
        with pytest.raises(misure.InputError, match=message):
            misure.predicted_target(model, image, **options)
    with pytest.raises(misure.EmptyTargetError, match="to class 0 .dark., not to 1 .bright."):
        misure.predicted_target(model, image, 1, point=(0, 0))
    with pytest.raises(misure.EmptyTargetError, match="only outside the given box"):
        misure.predicted_target(model, image, 1, box=(0, 0, 5, 5))


def test_bad_images(model):
    with pytest.raises(misure.InputError, match="expected an image .C, .D,. H, W. of floats"):
        misure.segment(model, torch.zeros(5))
    with pytest.raises(misure.InputError, match="expected an image .C, .D,. H, W. of floats"):
        misure.segment(model, torch.zeros(1, 5, 5, dtype=torch.int64))
    with pytest.raises(misure.InputError, match="expected a finite image"):
        misure.segment(model, torch.full((1, 5, 5), torch.nan))


def test_targets_made_by_hand_are_checked():
    region = torch.zeros(4, 4, dtype=torch.bool)
    with pytest.raises(misure.InputError, match="at least one pixel to preserve"):
        misure.Target(1, region, region)
    with pytest.raises(misure.InputError, match="without a common pixel"):
        misure.Target(1, ~region, ~region)
    with pytest.raises(misure.InputError, match="expected regions .* of bool"):
        misure.Target(1, region.float(), region)


def test_the_score_is_the_sum_of_the_logits_over_the_target(model):
    target = misure.predicted_target(model, toys.square_image(), 1)
    logits = torch.rand(2, 30, 30)
    expected = sum(float(logits[1, r, c]) for r in range(10, 15) for c in range(10, 15))
    assert float(target(logits)) == pytest.approx(expected, rel=1e-5)


def test_the_score_takes_logits_of_lower_resolution_and_of_one_channel(model):
    target = misure.predicted_target(model, toys.square_image(), 1)
    assert float(target(torch.ones(2, 10, 10))) == pytest.approx(25)
    one_channel = torch.full((1, 30, 30), 3.0, requires_grad=True)
    score = target(one_channel)
    assert score.item() == pytest.approx(25 * 3 / 2)  # classes get (-l / 2, l / 2)
    (gradient,) = torch.autograd.grad(score, one_channel)
    assert torch.equal(gradient[0] != 0, target.region)


def test_targets_run_inside_captum(model):
    """captum wants a function from a batch of images to one score each."""
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)

    def scores(images):
        return torch.stack([target(output) for output in model(images)])

    map_of_captum = IntegratedGradients(scores).attribute(image[None], n_steps=8)
    assert torch.equal(map_of_captum[0, 0] != 0, target.region)


def test_targets_run_where_a_callable_on_one_output_is_expected():
    """The calling convention of pytorch-grad-cam: a list of targets, one for each output."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    model = toys.model_of(net)
    images = torch.rand(2, 1, 16, 16)
    targets = [misure.segment(model, image).target(point=(8, 8)) for image in images]
    outputs = net(images)
    loss = sum(target(output) for target, output in zip(targets, outputs, strict=True))
    loss.backward()
    assert net[0].weight.grad.abs().sum() > 0

    def scores(batch):
        return torch.stack([t(o) for t, o in zip(targets, net(batch), strict=True)])

    cam = LayerGradCam(scores, net[0]).attribute(images)
    assert cam.shape == (2, 1, 16, 16)


def test_multilabel_classes_overlap():
    class Overlapping(nn.Module):
        def forward(self, images):
            return torch.cat([images - 0.3, images - 0.6, images - 9], 1)

    model = toys.model_of(Overlapping(), multilabel=True)
    image = torch.tensor([[[0.0, 0.5, 0.9]]])
    segmentation = misure.segment(model, image)
    assert segmentation.class_map().tolist() == [[-1, 0, 0]]
    assert [one.num_pixels for one in segmentation.found_classes()] == [2, 1]
    target = segmentation.target(1)
    assert target.region.tolist() == [[False, False, True]]
    assert target.multilabel
    assert target.dice_of_logits(model(image[None])) == [1.0]
    for class_index in (1, None):
        with pytest.raises(misure.EmptyTargetError, match=r"gives pixel \(0, 0\) to no class"):
            segmentation.target(class_index, point=(0, 0))


def test_where_objects_of_several_classes_overlap_a_point_needs_a_class():
    model, image = toys.Overlap.model(), toys.Overlap.image(10)
    segmentation = misure.segment(model, image)
    assert segmentation.target(point=(1, 1)).class_name == "whole"
    assert segmentation.target(class_name="core", point=(4, 4)).region.sum() == 9
    with pytest.raises(misure.InputError, match=r"\(4, 4\) to 0 \(whole\), 1 \(core\). Name one"):
        segmentation.target(point=(4, 4))
    with pytest.raises(misure.EmptyTargetError, match=r"to class 0 \(whole\), not to 1 \(core\)"):
        segmentation.target(1, point=(1, 1))
    assert segmentation.num_pixels_by_class(image[0] > 0.9) == {0: 9, 1: 9}
    assert segmentation.num_pixels_by_class(image[0] < 0.9) == {-1: 36, 0: 55}
