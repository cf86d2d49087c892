"""YOLO networks of instances exported to ONNX: told by their metadata, with answers known by heart.

The numbers of the real library are in tests/networks/test_ultralytics.py.
"""

import numpy as np
import pytest
import torch

import misure
from misure.errors import InputError, ModelError
from misure.models.loaders.letterbox import Letterbox, resized_as_opencv
from misure.models.loaders.yolo import YoloReader, cut_off, suppressed
from misure.models.segmentation import segment
from yolo_files import METADATA, SIDES, write_yolo

RED, GREEN = (1, 0), (0, 1)


def row(left, top, right, bottom, scores, coefficients):
    """A proposal with its box in pixels of the input."""
    return [
        (left + right) / 2,
        (top + bottom) / 2,
        right - left,
        bottom - top,
        *scores,
        *coefficients,
    ]


PROPOSALS = np.array(
    [
        row(0, 0, 40, 64, (0.0, 0.1), RED),  # its score is 0.9 times the brightest red
        row(0, 0, 40, 58, (0.6, 0.1), RED),  # IoU 0.906 with the first: dropped
        row(0, 0, 40, 58, (0.1, 0.5), RED),  # of the other class: stays
        row(48, 0, 96, 64, (0.2, 0.8), GREEN),
        row(48, 0, 96, 64, (0.24, 0.2), GREEN),  # too weak
        row(70, 40, 80, 50, (0.7, 0.2), RED),  # nothing is red there: no mask
    ]
).T
BY_RED = np.zeros_like(PROPOSALS)
BY_RED[4, 0] = 0.9


def scene():
    """32 x 48: the input has twice as many pixels on each side, and no padding."""
    image = torch.zeros(3, 32, 48)
    image[0, 8:16, 8:24] = image[1, 4:12, 30:40] = 1
    return image


@pytest.fixture
def path(tmp_path):
    return write_yolo(tmp_path / "yolo.onnx", PROPOSALS, by_red=BY_RED)


@pytest.mark.parametrize("free", [False, True])
def test_objects_have_the_classes_scores_and_masks_of_their_boxes(tmp_path, free):
    path = write_yolo(tmp_path / "yolo.onnx", PROPOSALS, by_red=BY_RED, free=free)
    model = misure.load_model(f"onnx:{path}", device="cpu")
    assert model.class_names == ("red", "green")
    found = segment(model, scene())
    listed = [(one.class_index, round(one.score, 4)) for one in found.objects]
    assert listed == [(0, 0.9), (1, 0.8), (1, 0.5)]
    red, green = torch.zeros(2, 32, 48, dtype=torch.bool)
    red[8:16, 8:20] = green[4:12, 30:40] = True  # the box ends at 40 / 2
    assert torch.equal(found.objects[0].region, red)
    assert torch.equal(found.objects[1].region, green)
    assert torch.equal(found.objects[2].region, red)
    dark = segment(model, scene() * torch.tensor([0.8, 1, 1]).view(3, 1, 1))
    assert dark.objects[0].class_index == 1  # 0.72 is less than 0.8
    assert dark.objects[1].score == pytest.approx(0.72)


def test_what_overlaps_and_what_is_too_weak_is_a_matter_of_options(path):
    tolerant = misure.load_model(f"onnx:{path}", device="cpu", iou=0.95, min_score=0.23)
    scores = [round(one.score, 2) for one in segment(tolerant, scene()).objects]
    assert scores == [0.9, 0.8, 0.6, 0.5, 0.24]
    strict = misure.load_model(f"onnx:{path}", device="cpu", min_score=0.85)
    assert [one.class_index for one in segment(strict, scene()).objects] == [0]


def test_an_instance_is_explained_without_gradients(path):
    model, image = misure.load_model(f"onnx:{path}", device="cpu"), scene()
    target = segment(model, image).target(class_name="red", instance=0)
    found = misure.explain(model, image, target, preset="sufficient_region", max_passes=60)
    region = found.sufficient_region
    assert found.dice >= 0.9
    assert bool(region[10:14, 10:18].all())  # its mask is where the image is red
    assert not bool(region[:, 32:].any())


def test_the_network_may_choose_proposals_itself(tmp_path):
    rows = [
        [0, 0, 40, 64, 0.9, 0, *RED],
        [0, 0, 40, 60, 0.6, 0, *RED],  # overlaps, but the network wants it
        [48, 0, 96, 64, 0.5, 1, *GREEN],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
    path = write_yolo(tmp_path / "chosen.onnx", rows, metadata=METADATA | {"end2end": "True"})
    found = segment(misure.load_model(f"onnx:{path}", device="cpu"), scene())
    assert [(one.class_index, round(one.score, 2)) for one in found.objects] == [
        (0, 0.9),
        (0, 0.6),
        (1, 0.5),
    ]


def test_boxes_of_a_class_are_dropped_as_the_definition_says():
    corners = torch.rand(60, 2) * 60
    boxes = torch.cat([corners, corners + 5 + 30 * torch.rand(60, 2)], 1)
    scores, classes = torch.rand(60), torch.randint(0, 2, (60,))
    kept = []
    for number in scores.argsort(descending=True).tolist():
        if all(
            classes[number] != classes[other] or _iou(boxes[number], boxes[other]) <= 0.4
            for other in kept
        ):
            kept.append(number)
    assert 10 < len(kept) < 50
    assert suppressed(boxes, scores, classes, 0.4).tolist() == kept


def _iou(a, b):
    width = max(0.0, float(min(a[2], b[2]) - max(a[0], b[0])))
    height = max(0.0, float(min(a[3], b[3]) - max(a[1], b[1])))
    areas = [float((box[2] - box[0]) * (box[3] - box[1])) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def test_the_letterbox_is_grey_around_the_picture_and_boxes_come_back():
    image = torch.rand(1, 3, 40, 41)
    whole = Letterbox.of(SIDES, 32, is_least=False)
    inputs = whole.to_input(image)
    assert inputs.shape == (1, 3, 64, 96)  # 64 x 66, and 15 on each side
    assert bool((inputs[..., :15] == 114 / 255).all() & (inputs[..., 81:] == 114 / 255).all())
    assert inputs[..., 15:81].std() > 0.1
    box = whole.boxes_to_image(torch.tensor([[15 + 66 / 2, 16, 200, 64.0]]), (40, 41))
    torch.testing.assert_close(box, torch.tensor([[20.5, 10, 41, 40]]))
    least = Letterbox.of((96, 96), 32, is_least=True)
    assert least.input_shape((40, 80)) == (64, 96)
    assert least.input_shape((96, 96)) == (96, 96)
    with pytest.raises(InputError, match="pictures"):
        least.placement((8, 8, 8))
    with pytest.raises(InputError, match="imgsz"):
        Letterbox(mean=(0.5,))


def test_pictures_are_resized_with_the_numbers_of_opencv():
    picture = torch.tensor([[0, 255, 17], [90, 3, 200], [128, 64, 251]])
    by_opencv = [
        [0, 102, 255, 112, 17],
        [56, 73, 97, 118, 131],
        [104, 73, 26, 142, 219],
        [128, 102, 64, 176, 251],
    ]
    image = (picture / 255)[None, None].requires_grad_()
    resized = resized_as_opencv(image, (4, 5))
    assert (resized * 255).round().int()[0, 0].tolist() == by_opencv
    resized.sum().backward()
    assert float(image.grad.sum()) == pytest.approx(20)  # each new pixel is a mean of old ones


def test_gradients_lead_to_boxes_masks_and_scores():
    reader = YoloReader(2)
    proposals = torch.tensor(PROPOSALS, dtype=torch.float32)[None].requires_grad_()
    prototypes = torch.randn(1, 2, 16, 24).requires_grad_()
    (found,) = reader.detections(
        {"proposals": proposals, "prototypes": prototypes}, torch.zeros(1, 3, *SIDES)
    )
    found.masks.sum().backward(retain_graph=True)
    assert bool((proposals.grad[0, :4, 5] != 0).all())
    assert bool((proposals.grad[0, 6:, 3] != 0).any())
    assert bool((prototypes.grad != 0).any())
    found.scores.sum().backward()
    assert bool((proposals.grad[0, 4:6, [1, 2, 3, 5]] == 1).all())
    inside = cut_off(torch.ones(1, 6, 8), torch.tensor([[1.0, 2, 3, 5]]))[0] > 0
    expected = torch.zeros(6, 8, dtype=torch.bool)
    expected[2:5, 1:3] = True
    assert torch.equal(inside, expected)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"task": "detect"}, "task segment.*task detect"),
        ({"task": "pose"}, "-seg variant"),
        ({"names": "{0: 'red', 2: 'green'}"}, "names of classes 0 to K - 1"),
        ({"names": "__import__('os').getcwd()"}, "a value of Python as names"),
        ({"stride": "-2"}, "stride as a number"),
        ({"stride": ""}, "a value of Python as stride"),
    ],
)
def test_files_that_contradict_themselves_are_refused(tmp_path, metadata, message):
    path = write_yolo(tmp_path / "yolo.onnx", PROPOSALS, metadata=METADATA | metadata)
    with pytest.raises(InputError, match=message):
        misure.load_model(f"onnx:{path}", device="cpu")


def test_what_does_not_fit_the_network_is_refused(path, tmp_path):
    three = write_yolo(
        tmp_path / "three.onnx",
        PROPOSALS,
        metadata=METADATA | {"names": "{0: 'a', 1: 'b', 2: 'c'}"},
    )
    with pytest.raises(ModelError, match="scores for 3 classes"):
        misure.load_model(f"onnx:{three}", device="cpu")
    for options, message in (
        ({"imgsz": 640}, r"imgsz=\[64, 96\]"),
        ({"mean": 0.5}, "prepares images itself"),
        ({"iou": 0.0}, "iou above 0"),
        ({"min_score": 1.5}, "min_score between 0 and 1"),
    ):
        with pytest.raises(InputError, match=message):
            misure.load_model(f"onnx:{path}", device="cpu", **options)
    plain = write_yolo(tmp_path / "plain.onnx", PROPOSALS, metadata={})
    with pytest.raises(InputError, match="min_score for a YOLO network"):
        misure.load_model(f"onnx:{plain}", device="cpu", min_score=0.5)


def test_a_file_of_ultralytics_needs_trust(tmp_path):
    (tmp_path / "net.pt").write_bytes(b"anything")
    with pytest.raises(InputError, match="trust=True.*pickle"):
        misure.load_model(f"ultralytics:{tmp_path}/net.pt")
    with pytest.raises(InputError, match="a model file"):
        misure.load_model(f"ultralytics:{tmp_path}/none.pt", trust=True)
