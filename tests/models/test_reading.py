"""What a network returns: which tensor, where it lies, what its numbers mean."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import misure
import toys
from misure.models.outputs import find_tensor
from misure.models.sides import covers, mirrored

IMAGE = torch.zeros(1, 24, 40)
IMAGE[0, 6:14, 20:33] = 1


class Bright(nn.Module):
    """Class 1 where the image is bright, class 2 nowhere; `form` makes the output of the logits."""

    def __init__(self, form=lambda x: x):
        super().__init__()
        self.form = form

    def forward(self, images):
        evidence = 10 * (images[:, :1] - 0.5)
        return self.form(torch.cat([-evidence, evidence, 0 * evidence - 20], 1))


def _region(form, **options):
    model = misure.SegmentationModel(Bright(form), **options)
    return misure.predicted_target(model, IMAGE, 1).region


def _coarse(logits):
    return 0 * F.avg_pool2d(logits, 4)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        (lambda x: [_coarse(x), 0 * x[:, :, ::2, ::2], x], {}),  # deep supervision, coarse first
        (lambda x: {"d2": _coarse(x), "d0": x}, {}),
        (lambda x: (x, -x, -x), {}),
        (lambda x: x.movedim(1, -1), {}),  # channels last, told by the sides
        (lambda x: (torch.zeros(len(x), 7, 24, 40), x), {"class_names": "none,bright,never"}),
        (lambda x: (torch.zeros(len(x), 7, 24, 40), x), {"num_classes": 3}),
        (lambda x: (torch.zeros(len(x), 7, 24, 40), x), {"output": 1}),
        (lambda x: x.argmax(1), {"num_classes": 3}),
        (lambda x: x.argmax(1, keepdim=True), {"class_names": ["none", "bright", "never"]}),
        (lambda x: x.argmax(1, keepdim=True).float(), {"num_classes": 3}),
        (lambda x: {"boxes": torch.zeros(len(x), 5, 8), "masks": x}, {"output": "masks"}),
    ],
)
def test_the_classes_are_found_where_they_are(form, options):
    if "argmax" in str(form.__code__.co_names):
        options = options | {"differentiable": False}
    assert torch.equal(_region(form, **options), IMAGE[0] > 0.5)


@pytest.mark.parametrize(
    ("form", "options", "words"),
    [
        # YOLO-seg: rows of detections beside 32 prototypes of masks
        (
            lambda x: {
                "output0": torch.zeros(len(x), 37, 84),
                "output1": torch.randn(len(x), 32, 6, 10),
            },
            {},
            r"output1: a float32 tensor \(1, 32, 6, 10\)\). Name the right entry with output=",
        ),
        (lambda x: (torch.zeros(len(x), 7, 24, 40), x), {}, "Name the right entry with output="),
        (lambda x: {"a": x, "b": x}, {}, "Name the right entry with output="),
        (lambda x: x.mean((2, 3), keepdim=True), {}, "it classifies whole images"),
        (lambda x: x[:, :, 5:-5, 5:-5], {}, r"10 px less on each axis.*Say border_px=5"),
        (lambda x: x[:, :, :, 7:], {}, "no common stride explains. Say stretch_output=True"),
        (lambda x: x.argmax(1), {}, "returned class numbers up to 1. Say num_classes="),
        (lambda x: x.argmax(1) + 2, {"num_classes": 3}, "class numbers from 0 to 2, .* 2 to 3"),
        (lambda x: 2.0 * x.argmax(1, keepdim=True), {}, "class numbers up to 2. Say num_classes"),
        (
            lambda x: (x + 1).sigmoid(),
            {},
            "do not sum to 1. Say multilabel=True and probabilities=True",
        ),
        (lambda x: x, {"probabilities": True}, "expected probabilities in .0, 1., .* -20 and 5"),
    ],
)
def test_what_may_be_something_else_is_refused_with_the_option_that_settles_it(
    form, options, words
):
    model = misure.SegmentationModel(Bright(form), **options)
    with pytest.raises(misure.ModelError, match=words):
        misure.segment(model, IMAGE)


@pytest.mark.parametrize("names", ["a,b", ["a", "b", "c", "d"], ("a",)])
def test_class_names_of_another_number_are_refused(names):
    model = misure.SegmentationModel(Bright(), class_names=names)
    with pytest.raises(misure.InputError, match="expected 3 names in class_names, one for each"):
        misure.segment(model, IMAGE)
    with pytest.raises(misure.InputError, match="expected 3 num_classes, .* got 5"):
        misure.segment(misure.SegmentationModel(Bright(), num_classes=5), IMAGE)
    with pytest.raises(misure.InputError, match="one class name for each of 3 classes, got 2"):
        misure.SegmentationModel(Bright(), num_classes=3, class_names=["a", "b"])


def test_class_names_in_one_text():
    model = misure.SegmentationModel(Bright(), class_names="background, person,cat")
    assert model.class_names == ("background", "person", "cat")
    assert misure.SegmentationModel(Bright(), class_names="tumour").class_names == ("tumour",)
    assert misure.predicted_target(model, IMAGE, class_name="person").region.sum() == 8 * 13
    with pytest.raises(misure.InputError, match="got 'persn'. Did you mean 'person'. It has: "):
        model.find_class("persn")
    with pytest.raises(misure.InputError, match="expected class_names as texts"):
        misure.SegmentationModel(Bright(), class_names=[1, 2])


def test_an_axis_of_classes_that_cannot_be_told_is_asked_for():
    image = torch.zeros(1, 3, 3)
    image[0, 1, 1] = 1
    for is_last in (False, True):
        form = (lambda x: x.movedim(1, -1)) if is_last else (lambda x: x)
        with pytest.raises(misure.ModelError, match="Say channels_last=False or channels_last=Tr"):
            misure.segment(misure.SegmentationModel(Bright(form)), image)
        model = misure.SegmentationModel(Bright(form), channels_last=is_last)
        assert torch.equal(misure.predicted_target(model, image, 1).region, image[0] > 0)


class Valid(nn.Module):
    """A network of valid convolutions: bright pixels, without 6 px at each edge."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*[nn.Conv2d(1, 1, 5, bias=False) for _ in range(3)])
        for layer in self.layers:
            nn.init.zeros_(layer.weight)
            layer.weight.data[0, 0, 2, 2] = 1

    def forward(self, images):
        evidence = 10 * (self.layers(images) - 0.5)
        return torch.cat([-evidence, evidence], 1)


def test_valid_convolutions_see_the_image_mirrored_and_targets_lie_on_objects():
    model = misure.SegmentationModel(Valid(), border_px=6)
    target = misure.predicted_target(model, IMAGE, 1)
    assert torch.equal(target.region, IMAGE[0] > 0.5)
    found = misure.explain(model, IMAGE, target, preset="sufficient_region")
    assert torch.equal(found.sufficient_region, target.region)
    assert model.settings()["border_px"] == 6
    with pytest.raises(misure.InputError, match="whose image is not mirrored"):
        misure.METHODS["seg_grad_cam"](model, IMAGE, target)
    with pytest.raises(misure.InputError, match="expected border_px of 0 or more"):
        misure.SegmentationModel(Valid(), border_px=-1)
    assert mirrored(torch.arange(3.0).view(1, 1, 3), 4).ravel().tolist() == [
        *(0, 1, 2, 1),
        *(0, 1, 2),
        *(1, 0, 1, 2),
    ]


def test_a_stretched_output_is_taken_when_it_is_said():
    net = Bright(lambda x: F.interpolate(x, (20, 20), mode="bilinear"))
    model = misure.SegmentationModel(net, stretch_output=True)
    region = misure.predicted_target(model, IMAGE, 1).region
    dice = 2 * (region & (IMAGE[0] > 0)).sum() / (region.sum() + 8 * 13)
    assert dice > 0.85


@pytest.mark.parametrize(
    ("sides", "input_sides", "is_whole"),
    [
        ((65, 65), (513, 513), True),
        ((129, 129), (513, 513), True),
        ((60, 60), (473, 473), True),
        ((148, 200), (518, 700), True),  # patches of 14, 4 times finer
        ((16, 24), (64, 96), True),
        ((96, 192), (48, 96), True),
        ((80, 80), (120, 120), False),
        ((388, 388), (572, 572), False),
        ((64, 64), (64, 96), False),
        ((1, 40), (1, 40), True),
        ((48, 3), (40, 48), False),
        ((8, 16, 16), (32, 64, 64), True),
    ],
)
def test_sides(sides, input_sides, is_whole):
    assert covers(sides, input_sides) == is_whole


def test_queries_say_whether_their_classes_are_exclusive():
    """RF-DETR has a sigmoid for each class, Mask2Former a softmax with a last class for none."""
    masks = torch.full((1, 2, 24, 40), -9.0)
    masks[0, 0] = 20 * (IMAGE[0] - 0.5)
    classes = torch.tensor([[[-9.0, 9.0, -9.0], [-9.0, -9.0, -9.0]]])

    def form(x):
        return {
            "pred_logits": classes.expand(len(x), -1, -1),
            "pred_masks": masks.expand(len(x), -1, -1, -1) * 1.0,
        }

    with pytest.raises(misure.ModelError, match="Say queries='softmax' or queries='sigmoid'"):
        _region(form)
    options = {"queries": "sigmoid", "multilabel": True, "num_classes": 3}
    assert torch.equal(_region(form, **options), IMAGE[0] > 0.5)
    with pytest.raises(misure.InputError, match="expected multilabel=True with queries='sigmoid'"):
        misure.SegmentationModel(Bright(), queries="sigmoid")
    with pytest.raises(misure.InputError, match="expected queries among softmax, sigmoid, got"):
        misure.SegmentationModel(Bright(), queries="none")
    softmax = find_tensor(form(IMAGE[None]), 2, queries="softmax")
    assert softmax.shape == (1, 2, 24, 40)


def test_label_maps_of_volumes_and_their_explanation():
    class Labels(nn.Module):
        def forward(self, images):
            return (images[:, 0] > 0.5).long()

    model = misure.SegmentationModel(Labels(), num_classes=2, differentiable=False)
    image = toys.square_image(3)
    target = misure.predicted_target(model, image, 1)
    assert torch.equal(target.region, image[0] > 0)
    found = misure.explain(
        toys.model_of(Labels(), num_classes=2, differentiable=False),
        toys.square_image(),
        1,
        max_passes=60,
    )
    assert found.preset == "readable"
    assert found.dice >= 0.9


def test_class_numbers_are_no_scores_of_classes_of_their_own():
    model = misure.SegmentationModel(
        lambda images: (images[:, 0] > 0.5).long(), num_classes=2, multilabel=True
    )
    with pytest.raises(misure.ModelError, match="returned one class number .* multilabel=False"):
        misure.segment(model, torch.rand(1, 8, 8))
