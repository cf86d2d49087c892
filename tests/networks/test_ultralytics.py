"""The real ultralytics: what YOLO.predict lists, number by number, for its files and exports."""

import os

os.environ.setdefault("YOLO_OFFLINE", "true")  # read when ultralytics is imported

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import misure
from misure.cli import main
from misure.errors import InputError
from misure.models.instances import Pixels
from misure.models.loaders.yolo import YoloReader
from misure.models.segmentation import segment

ultralytics = pytest.importorskip("ultralytics")
pytestmark = [pytest.mark.networks, pytest.mark.filterwarnings("ignore")]

SHAPES = [(97, 160), (160, 83), (320, 250), (80, 62), (160, 160)]
NAMES = ["disc", "square", "ring"]
SIDE = 160
KINDS = ["v8/yolov8-seg.yaml", "11/yolo11-seg.yaml", "26/yolo26-seg.yaml"]


def _picture(height, width, seed=0):
    noise = np.random.default_rng(seed + height).integers(0, 256, (height // 12, width // 12, 3))
    small = Image.fromarray(noise.astype(np.uint8))
    return np.array(small.resize((width, height), Image.Resampling.BICUBIC))


def _image(picture):
    return torch.from_numpy(picture).movedim(-1, 0).float() / 255


def _saved(folder, kind):
    """A network with random weights that reports dozens of objects, saved by the library."""
    torch.manual_seed(0)
    text = (Path(ultralytics.__file__).parent / f"cfg/models/{kind}").read_text()
    config = folder / Path(kind).name.replace("-seg", "n-seg")
    config.write_text(text.replace("nc: 80", f"nc: {len(NAMES)}"))
    yolo = ultralytics.YOLO(str(config))
    net = yolo.model
    net.names = dict(enumerate(NAMES))
    net.args = {"imgsz": SIDE, "task": "segment"}
    pictures = torch.stack([_image(_picture(160, 160, seed)) for seed in range(4)])
    net.train()
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.reset_running_stats()
                part.momentum = None  # the mean of all batches
        net(pictures)
        net.eval()
        _calibrate(net)
    path = folder / "net.pt"
    yolo.save(path)
    return path


def _calibrate(net):
    """Gives scores and coefficients the spread of a trained network: some objects are found."""
    sides = [(128, 160), (160, 96), (160, 128), (160, 128), (160, 160)]
    inputs = [
        torch.nn.functional.interpolate(_image(_picture(*shape))[None], side, mode="bilinear")
        for shape, side in zip(SHAPES, sides, strict=True)
    ]
    raw, head = [net(each)[1] for each in inputs], net.model[-1]
    for branch, prefix in (("one2many", ""), ("one2one", "one2one_")):
        found = [each.get(branch, each) for each in raw]
        for name, key, shift in (("cv3", "scores", -4.5), ("cv4", "mask_coefficient", 0.0)):
            numbers = torch.cat([each[key] for each in found], 2)
            mean, spread = numbers.mean((0, 2)), numbers.std((0, 2))
            for layers in getattr(head, prefix + name, None) or ():
                layers[-1].weight /= spread.view(-1, 1, 1, 1)
                layers[-1].bias.copy_((layers[-1].bias - mean) / spread + shift)


@pytest.fixture(scope="module", params=KINDS)
def path(request, tmp_path_factory):
    return _saved(tmp_path_factory.mktemp("yolo"), request.param)


def _listed(yolo, picture, **options):
    picture = np.ascontiguousarray(picture[..., ::-1])
    options = {"retina_masks": True, "verbose": False, "device": "cpu", **options}
    return yolo.predict(picture, **options)[0]


def _share_with_partner(model, yolo, shape, **options):
    """The share of the objects of YOLO.predict that misure lists, too, and their number.

    Networks with random weights are chaotic: rounding alone moves some over a threshold.
    """
    picture = _picture(*shape)
    result, found = _listed(yolo, picture, **options), segment(model, _image(picture)).objects
    assert abs(len(found) - len(result)) <= 0.1 * len(result)
    partners = 0
    for class_index, score, mask in zip(
        result.boxes.cls.int().tolist(), result.boxes.conf, result.masks.data.bool(), strict=True
    ):
        partners += any(
            one.class_index == class_index
            and abs(one.score - float(score)) < 0.02
            and int((one.region & mask).sum()) > 0.95 * int((one.region | mask).sum())
            for one in found
        )
    return partners / len(result), len(result)


def _shown_alike(yolo, model, shape, **options):
    """What YOLO.predict makes of the numbers that our network returns for its own input.

    Returns:
        its input, these numbers, and its result.
    """
    picture = _picture(*shape)
    _listed(yolo, picture, **options)  # sets its options up
    swapped = np.ascontiguousarray(picture[..., ::-1])
    theirs = yolo.predictor.preprocess([swapped])
    with torch.no_grad():
        output = model.net(theirs)
    pair = (output["proposals"].clone(), output["prototypes"])
    return theirs, output, yolo.predictor.postprocess((pair, None), theirs, [swapped])[0]


def _assert_reported(readers, model, theirs, output, shape, result):
    pixels = Pixels(model.preprocessing, shape)
    for reader in readers:
        (found,) = reader.detections(output, theirs)
        reported = reader.reported(found, pixels)
        assert [one.class_index for one in reported] == result.boxes.cls.int().tolist()
        assert [float(one.score) for one in reported] == result.boxes.conf.tolist()
        for one, mask in zip(reported, result.masks.data.bool(), strict=True):
            assert torch.equal(one.logits(reader.min_score) > 0, one.region)
            different = int((one.region ^ mask).sum())
            assert different <= 0.002 * int(mask.sum()) + 1


@pytest.mark.parametrize("shape", SHAPES)
def test_input_and_masks_are_those_of_the_library(path, shape):
    """From the same numbers of the network the same objects, with its NMS and with that of misure."""
    model = misure.load_model(f"ultralytics:{path}", device="cpu", trust=True)
    assert model.class_names == tuple(NAMES)
    theirs, output, result = _shown_alike(ultralytics.YOLO(path), model, shape)
    inputs = model.preprocessing.to_input(_image(_picture(*shape))[None])
    assert inputs.shape == theirs.shape
    levels = ((inputs - theirs).abs() * 255).round()
    assert levels.max() <= 1
    assert levels.mean() < 3e-3
    assert len(result) > 3
    readers = (model._form.reader, YoloReader(len(NAMES)))
    _assert_reported(readers, model, theirs, output, shape, result)


def test_options_are_those_of_the_library(path):
    options = {"min_score": 0.4, "iou": 0.3}
    model = misure.load_model(f"ultralytics:{path}", device="cpu", trust=True, **options)
    yolo, shape = ultralytics.YOLO(path), (97, 160)
    theirs, output, result = _shown_alike(yolo, model, shape, conf=0.4, iou=0.3)
    assert len(result) > 1
    assert float(result.boxes.conf.min()) >= 0.4
    readers = (model._form.reader, YoloReader(len(NAMES), 0.4, 0.3))
    _assert_reported(readers, model, theirs, output, shape, result)


@pytest.mark.parametrize("dynamic", [False, True])
def test_an_export_lists_what_the_library_lists(path, dynamic):
    exported = ultralytics.YOLO(path).export(
        format="onnx", imgsz=SIDE, dynamic=dynamic, device="cpu", verbose=False
    )
    model = misure.load_model(f"onnx:{exported}", device="cpu", min_score=0.02)
    yolo = ultralytics.YOLO(exported, task="segment")
    share, number = _share_with_partner(model, yolo, (160, 160), imgsz=SIDE, conf=0.02)
    assert number > 3
    assert share > 0.8


def test_gradients_reach_the_pixels_of_an_object_and_it_is_explained(path):
    model = misure.load_model(f"ultralytics:{path}", device="cpu", trust=True)
    image = _image(_picture(96, 128))
    first = segment(model, image).objects[0]
    target = segment(model, image).target(first.class_index, instance=0)
    bound = target.bound(model)
    assert target.dice_of_logits(bound(image[None])) == [1.0]
    leaf = image[None].clone().requires_grad_()
    logits = bound(leaf)[0, target.logit_index]
    (gradient,) = torch.autograd.grad(logits[target.region].sum(), leaf)
    assert float(gradient.abs().sum()) > 0
    found = misure.explain(model, image, target, preset="sufficient_region", max_passes=31)
    assert found.sufficient_region.any()


def test_the_command_line_lists_and_explains_an_instance(path, tmp_path):
    Image.fromarray(_picture(96, 128)).save(tmp_path / "picture.png")
    given = [str(tmp_path / "picture.png"), "--model", f"ultralytics:{path}"]
    refused = CliRunner().invoke(main, ["classes", *given])
    assert refused.exit_code == 2
    assert "trust=True" in refused.output
    given += ["--model-option", "trust=true"]
    listed = CliRunner().invoke(main, ["classes", *given])
    assert listed.exit_code == 0, listed.output
    assert any(name in listed.output for name in NAMES)


@pytest.mark.parametrize("kind", ["yolo11n.yaml", "yolo11n-pose.yaml", "yolo11n-cls.yaml"])
def test_networks_without_masks_are_refused(kind, tmp_path):
    yolo = ultralytics.YOLO(kind)
    yolo.save(tmp_path / "net.pt")
    with pytest.raises(InputError, match="-seg variant"):
        misure.load_model(f"ultralytics:{tmp_path}/net.pt", trust=True)
