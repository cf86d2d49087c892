"""Promptable networks whose processors need torchvision draw as transformers does."""

import pytest
import torch

import misure
import prompt_folders as folders
from misure.models.inputs import as_image
from misure.models.loaders.hf_layout import MAX_LEVELS, MEAN_LEVELS

pytestmark = pytest.mark.networks
pytest.importorskip("torchvision")
transformers = pytest.importorskip("transformers")

PROMPTS = ("point:10,20", "point:5,6;-20,30", "box:3,4,20,30", "box:3,4,20,30;not:10,11")
OF_LIBRARY = (
    {"input_points": [[[[20, 10]]]]},
    {"input_points": [[[[6, 5], [30, 20]]]], "input_labels": [[[1, 0]]]},
    {"input_boxes": [[[4, 3, 30, 20]]]},
    {"input_points": [[[[11, 10]]]], "input_labels": [[[0]]], "input_boxes": [[[4, 3, 30, 20]]]},
)
KINDS = {"sam2": "Sam2", "sam3_tracker": "Sam3", "edgetam": "Sam2"}


def edgetam(folder):
    """Saves an EdgeTAM with a small RepViT of timm."""
    backbone = {
        "architecture": "repvit_m1",
        "model_type": "timm_wrapper",
        "do_pooling": False,
        "num_classes": 2,
        "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
    }
    vision = {
        "backbone_config": backbone,
        "backbone_channel_list": [384, 192, 96, 48],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        "fpn_hidden_size": 16,
        "model_type": "edgetam_vision_model",
    }
    config = transformers.EdgeTamConfig(
        vision_config=vision,
        prompt_encoder_config=folders._PLACES | {"patch_size": 16},
        mask_decoder_config=folders._DECODER,
    )
    net = transformers.EdgeTamModel(config).eval()
    for part in (net.mask_decoder, net.prompt_encoder):
        folders.shaken(part)
    return folders._saved(folder, net, folders.squeezing_keys("Sam2ImageProcessorFast"))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("size", [(37, 53), (101, 66)])
def test_masks_are_those_of_the_processor(tmp_path, name, size):
    make = edgetam if name == "edgetam" else getattr(folders, name)
    net, keys = make(tmp_path / "net")
    images = getattr(transformers, f"{KINDS[name]}ImageProcessor")(
        **{key: value for key, value in keys.items() if key != "image_processor_type"}
    )
    kind = "Sam3TrackerProcessor" if name == "sam3_tracker" else "Sam2Processor"
    processor = getattr(transformers, kind)(images, target_size=folders.SIDE)
    image = folders.picture(*size)
    model = misure.load_model(f"hf:{tmp_path}/net", device="cpu", prompts=PROMPTS)
    segmentation = misure.segment(model, image)
    ours = segmentation.model(as_image(image, model)[None])[0].detach()
    levels = _levels(model, image, images(image, return_tensors="pt")["pixel_values"])
    print(name, size, "grey levels of difference: mean {:.3f}, most {:.2f}".format(*levels))
    assert levels[0] <= MEAN_LEVELS
    assert levels[1] <= MAX_LEVELS
    for k, prompt in enumerate(OF_LIBRARY):
        inputs = processor(images=image, return_tensors="pt", **prompt)
        with torch.no_grad():
            output = net(**{key: value for key, value in inputs.items() if key != "original_sizes"})
        place = segmentation.model.settings()["mask_places"][k]
        assert place == int(output.iou_scores[0, 0].argmax())
        logits = processor.post_process_masks(
            output.pred_masks, inputs["original_sizes"], binarize=False
        )[0][0, place]
        drawn, expected = segmentation.class_region(k), logits > 0
        both = float(drawn.sum() + expected.sum())
        dice = 2 * float((drawn & expected).sum()) / both if both else 1.0
        print(name, size, prompt, f"Dice {dice:.4f}, {int(expected.sum())} px")
        assert dice > 0.99
        assert float((ours[k] - logits).abs().mean()) < 0.03 * float(logits.std())


def _levels(model, image, expected):
    """Mean and largest difference of misure's input from the processor's, in grey levels of 255."""
    ours = model.preprocessing.to_input(as_image(image, model)[None])
    levels = 255 * (ours - expected).abs() * torch.tensor(model.preprocessing.std)[:, None, None]
    return float(levels.mean()), float(levels.max())


def test_texts_are_drawn_as_by_the_processor_of_sam_3(tmp_path):
    net, keys = folders.sam3(tmp_path / "net")
    images = transformers.Sam3ImageProcessor(
        **{key: value for key, value in keys.items() if key != "image_processor_type"}
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "net")
    image, text = folders.picture(), "a horse"
    inputs = images(image, return_tensors="pt")
    tokens = tokenizer([text], return_tensors="pt")
    with torch.no_grad():
        output = net(pixel_values=inputs["pixel_values"], **tokens)
    (found,) = images.post_process_semantic_segmentation(
        output, [(37, 53)], return_segmentation_scores=True
    )
    model = misure.load_model(f"hf:{tmp_path}/net", device="cpu", prompts=f"text:{text}")
    segmentation = misure.segment(model, image)
    ours = segmentation.model(as_image(image, model)[None])[0].detach().sigmoid()
    assert float((ours - found.segmentation_scores).abs().mean()) < 0.005
    same = segmentation.class_region(0) == found.segmentation.bool()
    print("sam3", f"{float(same.float().mean()):.4f} of the pixels equal")
    assert float(same.float().mean()) > 0.99
