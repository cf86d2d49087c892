"""`hf:` networks whose post-processing needs torchvision: OneFormer and RF-DETR."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("torchvision")
transformers = pytest.importorskip("transformers")

from PIL import Image  # noqa: E402

import hf_queries  # noqa: E402
import misure  # noqa: E402

pytestmark = pytest.mark.networks

PIXELS = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)


def as_image(pixels):
    return torch.from_numpy(pixels).movedim(-1, 0).float() / 255


def assert_lists(found, listed):
    """Checks objects against what a processor of transformers lists."""
    entries = listed["segments_info"]
    maps = torch.as_tensor(listed["segmentation"])
    each = [maps[i] > 0 if maps.ndim == 3 else maps == one["id"] for i, one in enumerate(entries)]
    pairs = [(one, region) for one, region in zip(entries, each, strict=True) if region.any()]
    pairs.sort(key=lambda pair: -pair[0]["score"])
    assert pairs
    assert [one.class_index for one in found.objects] == [one["label_id"] for one, _ in pairs]
    for one, (entry, region) in zip(found.objects, pairs, strict=True):
        assert one.score == pytest.approx(entry["score"], abs=2e-3)
        shared = int((one.region & region).sum())
        assert 2 * shared / int(one.region.sum() + region.sum()) > 0.99


@pytest.mark.parametrize("mode", ["instance", "panoptic"])
def test_oneformer_is_told_its_task(mode, tmp_path):
    net = hf_queries.make("oneformer", tmp_path, seed=2)
    model = misure.load_model(f"hf:{tmp_path}", device="cpu", objects=mode)
    processor = transformers.OneFormerImageProcessorPil(
        size=hf_queries.SIDES, class_info_file="", repo_path=None
    )
    inputs = processor([Image.fromarray(PIXELS)], [mode], return_tensors="pt")
    with torch.no_grad():
        task = hf_queries.task_tokens(tmp_path, mode)
        output = net(inputs["pixel_values"], task_inputs=task)
    post_process = getattr(processor, f"post_process_{mode}_segmentation")
    (listed,) = post_process(output, target_sizes=[(64, 96)])
    assert_lists(misure.segment(model, as_image(PIXELS)), listed)


def rf_detr(folder):
    torch.manual_seed(0)
    config = transformers.RfDetrConfig(
        backbone_config={
            "model_type": "rf_detr_dinov2", "hidden_size": 24, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 64, "patch_size": 8, "num_windows": 2,
            "out_indices": [1, 2],
        },
        d_model=32, decoder_layers=2, decoder_ffn_dim=16, decoder_self_attention_heads=4,
        decoder_cross_attention_heads=4, num_queries=12, group_detr=2,
        id2label=hf_queries.NAMES, intermediate_size=32,
    )  # fmt: skip
    net = transformers.RfDetrForInstanceSegmentation(config).eval()
    for name, module in net.named_modules():
        if "class_embed" in name and isinstance(module, torch.nn.Linear):
            module.weight.data.normal_(std=3)
            module.bias.data.zero_()
    net.save_pretrained(folder)
    processor = transformers.RfDetrImageProcessor(size={"height": 64, "width": 64})
    processor.save_pretrained(folder)
    return net, processor


def test_rf_detr_lists_its_instances(tmp_path):
    net, processor = rf_detr(tmp_path)
    model = misure.load_model(f"hf:{tmp_path}", device="cpu", input_size=(64, 64))
    pixels = PIXELS[:, :64].copy()
    inputs = processor(images=[Image.fromarray(pixels)], return_tensors="pt")
    with torch.no_grad():
        output = net(inputs["pixel_values"])
    (listed,) = processor.post_process_instance_segmentation(
        output, target_sizes=[(64, 64)], return_binary_maps=True
    )
    found = misure.segment(model, as_image(pixels))
    assert_lists(found, listed)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "rf_detr"
