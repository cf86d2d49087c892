"""Mask R-CNN of torchvision: what it returns, number by number, and its refusals."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import misure
from misure.errors import InputError
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


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("min_score", [0.3, 0.5])
def test_objects_are_those_of_the_library(shape, min_score):
    net, image = _small(), _picture(*shape)
    model = mask_rcnn_model(net, "none,a,b,c", min_score=min_score)
    with torch.no_grad():
        theirs = net([image])[0]
    listed = theirs["scores"] >= min_score
    masks = theirs["masks"][listed, 0] > 0.5
    seen = masks.flatten(1).any(1)
    found = segment(model, image).objects
    assert found
    assert [one.class_index for one in found] == theirs["labels"][listed][seen].tolist()
    assert [one.score for one in found] == theirs["scores"][listed][seen].tolist()
    for one, mask in zip(found, masks[seen], strict=True):
        assert torch.equal(one.region, mask)


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


def test_the_default_weights_of_the_library(tmp_path, monkeypatch):
    """With random weights where torch keeps those that it downloads."""
    name = "maskrcnn_resnet50_fpn_v2"
    weights = torchvision.models.get_model_weights(name).DEFAULT
    torch.manual_seed(0)
    net = torchvision.models.get_model(name, weights=None, weights_backbone=None).eval()
    with torch.no_grad():
        net.roi_heads.box_predictor.cls_score.weight.normal_(0, 0.5)
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    torch.save(net.state_dict(), tmp_path / "checkpoints" / weights.url.rpartition("/")[2])
    model = misure.load_model(f"torchvision:{name}", device="cpu", min_score=0.3)
    assert list(model.class_names) == weights.meta["categories"]
    for part in (model.net, net):
        part.transform.min_size, part.transform.max_size = (128,), 160
    image = _picture(97, 131)
    with torch.no_grad():
        theirs = net([image])[0]
    listed = theirs["scores"] >= 0.3
    masks = theirs["masks"][listed, 0] > 0.5
    seen = masks.flatten(1).any(1)
    found = segment(model, image).objects
    assert [one.class_index for one in found] == theirs["labels"][listed][seen].tolist()
    for one, mask in zip(found, masks[seen], strict=True):
        assert torch.equal(one.region, mask)


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
    with pytest.raises(InputError, match="min_score from 0.05"):
        mask_rcnn_model(_small(), "none,a,b,c", min_score=0.01)
    with pytest.raises(InputError, match="boxes alone"):
        mask_rcnn_model(nn.Conv2d(3, 3, 1), "none,a")
