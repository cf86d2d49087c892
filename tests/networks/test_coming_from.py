"""The guide for users of other libraries, word by word, with the real libraries."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import misure

pytestmark = [pytest.mark.networks, pytest.mark.filterwarnings("ignore")]

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "coming-from.md"
TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([\w-]+)\n(.*?)(?=^## |\Z)", TEXT, re.S | re.M))


def _snippets(text):
    return re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)


@pytest.fixture(scope="module")
def names():
    found = {}
    exec(_snippets(TEXT)[0], found)
    return found


def _run(names, section):
    for snippet in _snippets(SECTIONS[section]):
        for module in re.findall(r"^(?:from|import) (\w+)", snippet, re.M):
            pytest.importorskip(module)
        exec(compile(snippet, section, "exec"), names)


@pytest.fixture
def cam(names):
    """The map of misure's own Seg-Grad-CAM, by hand, before it is enlarged."""
    model, image, target = (names[name] for name in ("model", "image", "target"))
    names["result"] = misure.METHODS["seg_grad_cam"](model, image, target)
    names["layer_name"] = f"net.{names['result'].layer}"
    kept = []
    layer = dict(model.net.named_modules())[names["result"].layer]
    handle = layer.register_forward_hook(lambda _m, _i, output: kept.append(output))
    score = target(model.as_module()(image[None])[0])
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept[-1])
    return kept[-1].detach()[0], gradient[0]


def test_pytorch_grad_cam(names, cam):
    pytest.importorskip("pytorch_grad_cam")
    _run(names, "pytorch-grad-cam")
    features, gradient = cam
    by_hand = (gradient.mean((1, 2), keepdim=True) * features).sum(0).relu()
    assert names["grad_cam_map"].shape == tuple(names["image"].shape[1:])
    if by_hand.shape == names["grad_cam_map"].shape:
        low, high = by_hand.min(), by_hand.max()
        assert np.allclose(names["grad_cam_map"], (by_hand - low) / (high - low), atol=1e-3)
    assert names["grad_cam_map"].max() > 0.9


def test_torchcam(names, cam):
    pytest.importorskip("torchcam")
    _run(names, "torchcam")
    features, gradient = cam
    by_hand = (gradient.relu() * features).sum(0).relu()
    by_hand = (by_hand - by_hand.min()) / (by_hand.max() - by_hand.min())
    assert torch.allclose(names["torchcam_maps"][0][0], by_hand, atol=1e-3)


def test_zennit(names):
    zennit = pytest.importorskip("zennit")
    _run(names, "zennit")
    model, image, target = (names[name] for name in ("model", "image", "target"))
    relevance = names["relevance"]
    assert relevance.shape == (1, *image.shape)
    assert relevance.abs().max() > 0
    from zennit.attribution import Gradient

    with Gradient(model.as_module(target=target)) as attributor:
        scores, plain = attributor(image[None], torch.tensor([[0.0, 1.0]]))
    images = image[None].clone().requires_grad_()
    (own,) = torch.autograd.grad(model(images)[0, 1][target.region].mean(), images)
    assert torch.allclose(plain, own, atol=1e-7)
    assert not torch.allclose(relevance, plain)
    assert zennit
    assert float(scores[0, 1]) == pytest.approx(
        float(model(image[None])[0, 1][target.region].mean()), rel=1e-5
    )


def test_quantus(names):
    quantus = pytest.importorskip("quantus")
    _run(names, "quantus")
    assert len(names["quantus_scores"]) == 1
    assert -1 <= names["quantus_scores"][0] <= 1
    model, image, target = (names[name] for name in ("model", "image", "target"))
    metric = quantus.PointingGame(disable_warnings=True)
    hits = metric(
        model=model.as_module(target=target), x_batch=image[None].numpy(), y_batch=np.array([1]),
        s_batch=np.ones((1, 1, *image.shape[1:]), dtype=bool), explain_func=names["explain_func"],
        device="cpu",
    )  # fmt: skip
    assert np.all(hits)
    randomised = quantus.MPRT(disable_warnings=True, skip_layers=True)
    before = {name: value.clone() for name, value in model.net.state_dict().items()}
    found = randomised(
        model=model.as_module(target=target), x_batch=image[None].numpy(), y_batch=np.array([1]),
        explain_func=names["explain_func"], device="cpu",
    )  # fmt: skip
    assert found
    for name, value in model.net.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.skipif(not importlib.util.find_spec("xplique"), reason="xplique needs TensorFlow")
def test_xplique(names):
    names["np"] = np
    _run(names, "xplique")
    model, image, target = (names[name] for name in ("model", "image", "target"))
    images = image[None].clone().requires_grad_()
    (own,) = torch.autograd.grad(model(images)[0, 1][target.region].mean(), images)
    found = torch.from_numpy(np.asarray(names["xplique_maps"])).reshape(image.shape[1:])
    assert torch.allclose(found, own[0].abs().amax(0), rtol=1e-3, atol=1e-7)


def test_captum_and_monai(names, cam):
    pytest.importorskip("captum")
    _run(names, "captum")
    names["result"] = misure.METHODS["seg_grad_cam"](
        names["model"], names["image"], names["target"]
    )
    pytest.importorskip("monai")
    _run(names, "MONAI")
    assert torch.allclose(names["logits"], names["model"](names["image"][None]), atol=1e-4)
    assert names["monai_map"].shape == (1, 1, *names["image"].shape[1:])
