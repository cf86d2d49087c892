"""The real torchvision: its transforms and its own prediction, number by number."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

import misure

torchvision = pytest.importorskip("torchvision")
models = torchvision.models
pytestmark = pytest.mark.networks

NAME = "lraspp_mobilenet_v3_large"
SHAPES = [(427, 640), (375, 500), (480, 321), (333, 333), (101, 97), (520, 733), (719, 521)]


@pytest.fixture(scope="module")
def weights():
    return models.get_model_weights(NAME).DEFAULT


@pytest.fixture
def network(weights, tmp_path, monkeypatch):
    """A network of random weights, where torch keeps those that it downloads."""
    torch.manual_seed(0)
    net = models.get_model(NAME, weights=None, weights_backbone=None, num_classes=21).eval()
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1)
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    torch.save(net.state_dict(), tmp_path / "checkpoints" / weights.url.rpartition("/")[2])
    return net


def _picture(height, width):
    noise = np.random.default_rng(height).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def _image(picture):
    return torch.from_numpy(np.array(picture)).movedim(-1, 0).float() / 255


def test_images_of_any_side_are_resized_to_its_sides(network):
    preprocessing = misure.load_model(f"torchvision:{NAME}", device="cpu").preprocessing
    sides = torchvision.transforms.functional._compute_resized_output_size
    for shape in itertools.product(range(90, 2000, 37), range(95, 2100, 41)):
        assert preprocessing.input_shape(shape) == tuple(sides(shape, [520])), shape


@pytest.mark.parametrize("shape", SHAPES)
def test_the_input_is_that_of_its_own_transforms(network, weights, shape):
    model, picture = misure.load_model(f"torchvision:{NAME}", device="cpu"), _picture(*shape)
    theirs = weights.transforms()(picture)[None]
    ours = model.preprocessing.to_input(_image(picture)[None])
    assert ours.shape == theirs.shape
    levels = (ours - theirs).abs() * torch.tensor(weights.transforms().std).view(3, 1, 1) * 255
    assert levels.mean() < 0.01  # sums of whole numbers in Pillow may take the next level
    assert levels.max() < 1.5


@pytest.mark.parametrize("shape", SHAPES[:3])
def test_the_segmentation_is_its_own(network, weights, shape):
    model, picture = misure.load_model(f"torchvision:{NAME}", device="cpu"), _picture(*shape)
    with torch.no_grad():
        logits = network(weights.transforms()(picture)[None])["out"]
        theirs = torch.nn.functional.interpolate(logits, shape, mode="bilinear", antialias=True)
        ours = model(_image(picture)[None])
    assert (ours - theirs).abs().max() < 2e-3 * theirs.abs().max()
    found, own = ours.argmax(1), theirs.argmax(1)
    assert (found == own).float().mean() > 0.9999
    for index in own.unique():
        a, b = found == index, own == index
        if b.sum() > 100:
            assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.99


def test_one_explanation(network):
    model, picture = misure.load_model(f"torchvision:{NAME}", device="cpu"), _picture(240, 321)
    image = _image(picture)
    largest = misure.segment(model, image).found_classes()[0]
    target = misure.predicted_target(model, image, largest.class_index)
    found = misure.explain(model, image, target, preset="sufficient_region", max_passes=40)
    assert found.sufficient_region.any()
