"""Mask R-CNN of torchvision: what it returns, number by number, and its refusals."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import misure
from misure.errors import InputError
from misure.methods import METHODS
from misure.models.loaders.torchvision_detection import mask_rcnn_model
from misure.models.segmentation import segment

torchvision = pytest.importorskip("torchvision")
detection = torchvision.models.detection
pytestmark = pytest.mark.networks

SHAPES = [(97, 131), (120, 83)]


def _picture(height, width):
    noise = np.random.default_rng(height).integers(0, 256, (height // 12, width // 12, 3), np.uint8)
    picture = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(picture)).movedim(-1, 0).float() / 255


def _small(**options):
    """A Mask R-CNN with random weights that reports a handful of objects."""
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU()
    )
    body.out_channels = 16
    pool = torchvision.ops.MultiScaleRoIAlign
    net = detection.MaskRCNN(
        body,
        num_classes=4,
        min_size=96,
        max_size=160,
        rpn_anchor_generator=detection.rpn.AnchorGenerator(((24, 40),), ((1.0,),)),
        box_roi_pool=pool(["0"], 7, 2),
        mask_roi_pool=pool(["0"], 14, 2),
        rpn_post_nms_top_n_test=40,
        box_detections_per_img=8,
        **options,
    ).eval()
    with torch.no_grad():
        heads = net.roi_heads
        heads.box_predictor.cls_score.weight.normal_(0, 2)
        heads.mask_predictor.mask_fcn_logits.weight.normal_(0, 3)
    return net


def assert_lists(net, model, image, min_score=0.5, *, least=3):
    """Checks that a model reports what its network lists: classes, scores and every pixel."""
    with torch.no_grad():
        theirs = net([image])[0]
    listed = theirs["scores"] >= min_score
    masks = theirs["masks"][listed, 0] > 0.5
    seen = masks.flatten(1).any(1)
    found = segment(model, image).objects
    assert len(found) >= least
    assert [one.class_index for one in found] == theirs["labels"][listed][seen].tolist()
    assert [one.score for one in found] == theirs["scores"][listed][seen].tolist()
    for one, mask in zip(found, masks[seen], strict=True):
        assert torch.equal(one.region, mask)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("min_score", [0.3, 0.5])
def test_objects_are_those_of_the_library(shape, min_score):
    net = _small()
    model = mask_rcnn_model(net, "none,a,b,c", min_score=min_score)
    assert_lists(net, model, _picture(*shape), min_score, least=1)


def test_a_batch_is_read_as_its_images_are():
    model, images = mask_rcnn_model(_small(), "none,a,b,c"), torch.stack([_picture(96, 96)] * 2)
    images[1] = images[1].flip(-1)
    with torch.no_grad():
        together = model(images)
        apart = torch.cat([model(each[None]) for each in images])
    assert together.shape == (2, 4, 96, 96)
    assert float(((together > 0) == (apart > 0)).float().mean()) > 0.999


def test_gradients_lead_through_masks_and_scores():
    model, image = mask_rcnn_model(_small(), "none,a,b,c", min_score=0.3), _picture(96, 96)
    first = segment(model, image).objects[0]
    target = segment(model, image).target(first.class_index, instance=0)
    bound = target.bound(model)
    assert target.dice_of_logits(bound(image[None])) == [1.0]
    leaf = image[None].clone().requires_grad_()
    logits = bound(leaf)[0, target.logit_index]
    (gradient,) = torch.autograd.grad(logits[target.region].sum(), leaf)
    assert float(gradient.abs().sum()) > 0
    found = misure.explain(model, image, target, preset="sufficient_region", max_passes=60)
    assert found.sufficient_region.any()


def test_layer_methods_take_a_layer_that_sees_the_whole_image():
    """With one object, too, whose feature maps in the heads could be taken for the image's."""
    model, image = mask_rcnn_model(_small(), "none,a,b,c", min_score=0.3), _picture(96, 96)
    model.net.roi_heads.detections_per_img = 1
    first = segment(model, image).objects[0]
    target = segment(model, image).target(first.class_index, instance=0)
    result = METHODS["seg_grad_cam"](model, image, target)
    assert result.layer == "backbone.3"
    assert result.saliency_map.shape == (96, 96)
    with pytest.raises(InputError, match="sees boxes cut out of it.*outside of roi_heads"):
        METHODS["seg_grad_cam"](model, image, target, layer="roi_heads.mask_head.0.0")


SIZES = {
    "min_size": 128,
    "max_size": 160,
    "rpn_post_nms_top_n_test": 30,
    "box_detections_per_img": 6,
}


def _downloaded(name, monkeypatch, folder, image, **sizes):
    """Random weights of the whole network where torch keeps those that it downloads.

    Returns:
        the network, whose boxes in the image have different classes, and the names of these.
    """
    weights = torchvision.models.get_model_weights(name).DEFAULT
    torch.manual_seed(0)
    net = torchvision.models.get_model(name, weights=None, weights_backbone=None, **sizes).eval()
    seen = []
    hook = net.roi_heads.box_head.register_forward_hook(lambda _net, _in, out: seen.append(out))
    with torch.no_grad():
        net.rpn.head.cls_logits.weight.normal_(0, 0.5)
        net.roi_heads.mask_predictor.mask_fcn_logits.weight.normal_(0, 3)
        net([image])
        hook.remove()
        last = net.roi_heads.box_predictor.cls_score
        last.weight.normal_()
        logits = seen[0] @ last.weight.T
        last.weight.mul_(3 / logits.std(0)[:, None])
        last.bias.copy_(-(seen[0] @ last.weight.T).mean(0))
        last.bias[0] += 4
    (folder / "checkpoints").mkdir()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    torch.save(net.state_dict(), folder / "checkpoints" / weights.url.rpartition("/")[2])
    return net, weights.meta["categories"]


@pytest.mark.parametrize("name", ["maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2"])
def test_the_default_weights_of_the_library(name, tmp_path, monkeypatch):
    """All 44 and 46 million weights, on a small input with few proposals; then explained."""
    image = _picture(97, 131)
    net, categories = _downloaded(name, monkeypatch, tmp_path, image, **SIZES)
    model = misure.load_model(f"torchvision:{name}", device="cpu", min_score=0.3, **SIZES)
    assert list(model.class_names) == categories
    assert_lists(net, model, image, 0.3)
    first = segment(model, image).objects[0]
    target = segment(model, image).target(first.class_index, instance=0)
    found = misure.explain(model, image, target, preset="sufficient_region", max_passes=31)
    assert found.sufficient_region.any()


def test_a_network_of_full_size(tmp_path, monkeypatch):
    """As users open it: 800 pixels, 1,000 proposals, 100 boxes; about 10 seconds a pass."""
    name = "maskrcnn_resnet50_fpn"
    image = _picture(240, 320)
    net, _ = _downloaded(name, monkeypatch, tmp_path, image)
    model = misure.load_model(f"torchvision:{name}", device="cpu")
    assert_lists(net, model, image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_size": 0}, "min_size as a whole number"),
        ({"rpn_post_nms_top_n_test": "many"}, "rpn_post_nms_top_n_test as a whole number"),
        ({"min_size": 2000}, "max_size of at least min_size"),
    ],
)
def test_sizes_that_are_none_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        misure.load_model("torchvision:maskrcnn_resnet50_fpn", **options)


def test_what_draws_no_masks_is_refused():
    for name, draws in (
        ("fasterrcnn_resnet50_fpn", "boxes alone"),
        ("keypointrcnn_resnet50_fpn", "keypoints alone"),
        ("retinanet_resnet50_fpn", "boxes alone"),
    ):
        with pytest.raises(InputError, match=draws):
            misure.load_model(f"torchvision:{name}")
    with pytest.raises(InputError, match="min_score for maskrcnn"):
        misure.load_model("torchvision:lraspp_mobilenet_v3_large", min_score=0.5)
    with pytest.raises(InputError, match="min_size for maskrcnn"):
        misure.load_model("torchvision:lraspp_mobilenet_v3_large", min_size=400)
    with pytest.raises(InputError, match="min_score from 0.05"):
        mask_rcnn_model(_small(), "none,a,b,c", min_score=0.01)
    with pytest.raises(InputError, match="boxes alone"):
        mask_rcnn_model(nn.Conv2d(3, 3, 1), "none,a")
