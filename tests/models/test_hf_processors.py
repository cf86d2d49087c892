"""`hf:` folders: the network's input is the image processor's own tensor."""

import json
import warnings

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch.nn.functional import adaptive_avg_pool2d
from transformers.models.auto import modeling_auto
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

import hf_folders
import misure
from misure.models.loaders.hf_layout import follow
from misure.models.loaders.hf_processor import preprocessing_settings
from misure.models.outputs import find_tensor
from misure.models.preprocessing import Preprocessing

SHAPES = ((64, 96), (40, 130), (75, 50), (33, 33))
SHORT_AND_LONG = {"shortest_edge": 64, "longest_edge": 96}


def picture(height, width):
    """A photograph's gradients and edges, and noise."""
    rows, columns = np.mgrid[:height, :width]
    smooth = np.stack([rows * 3, columns * 2, rows + columns], -1) % 256
    noise = np.random.default_rng(height).integers(-40, 40, smooth.shape)
    return (smooth + noise).clip(0, 255).astype(np.uint8)


def as_image(pixels):
    return torch.from_numpy(pixels).movedim(-1, 0).float() / 255


def processor_class(name):
    return getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)


def tensor_of(processor, pixels):
    return processor(images=[Image.fromarray(pixels)], return_tensors="pt")["pixel_values"]


def assert_same_tensor(processor, used, shapes=SHAPES):
    for shape in shapes:
        pixels = picture(*shape)
        theirs, ours = tensor_of(processor, pixels), used.to_input(as_image(pixels)[None])
        assert ours.shape == theirs.shape
        level = 1 / 255 / torch.tensor(used.std or (1.0,)).min()
        assert (ours - theirs).abs().max() < 2.1 * level
        assert (ours - theirs).abs().mean() < 0.1 * level
        original = Preprocessing(used.mean, used.std, channels=used.channels).to_input(
            as_image(pixels)[None]
        )
        way_back = adaptive_avg_pool2d(used.to_image(ours, shape) - original, 4)
        assert way_back.abs().max() < 0.2 * original.std()


def segmentation_processors():
    """Names of the image processors of all segmentation networks that transformers lists."""
    kinds = ("SEMANTIC", "UNIVERSAL", "INSTANCE", "IMAGE")
    types = {
        model_type
        for kind in kinds
        for model_type in getattr(modeling_auto, f"MODEL_FOR_{kind}_SEGMENTATION_MAPPING_NAMES")
    }
    known = [IMAGE_PROCESSOR_MAPPING_NAMES.get(model_type) for model_type in sorted(types)]
    names = set()
    for entry in known:
        either = [*(entry.values() if isinstance(entry, dict) else entry or ())]
        names |= {name.removesuffix("Pil").removesuffix("Fast") for name in either if name}
    return sorted(names | {"ConditionalDetrImageProcessor"})


@pytest.mark.parametrize("name", segmentation_processors())
def test_every_processor_for_segmentation_is_followed(name):
    kind = processor_class(name)
    if getattr(kind, "is_dummy", False):
        pytest.skip(f"{name} needs torchvision")
    if name == "OneFormerImageProcessor" and not transformers.__version__.startswith("5"):
        pytest.skip("it downloads a table of classes")
    size = getattr(kind, "size", None) or kind().size
    small = {
        key: {"shortest_edge": 64, "longest_edge": 96}.get(key, 72)
        for key, value in dict(size).items()
        if value is not None
    }
    crop = {"do_center_crop": False} if hasattr(kind(), "do_center_crop") else {}
    processor = kind(size=small, **crop)
    assert_same_tensor(processor, follow(processor, num_channels=3))


@pytest.mark.parametrize(
    ("name", "keys", "inputs"),
    [
        ("Segformer", {"size": {"height": 64, "width": 48}, "resample": 3}, (64, 48)),
        ("Segformer", {"size": {"height": 64, "width": 48}, "resample": 0}, (64, 48)),
        ("Segformer", {"size": {"height": 64, "width": 48}, "resample": 1}, (64, 48)),
        ("Segformer", {"size": 60}, (60, 60)),
        ("Segformer", {"do_resize": False}, (64, 96)),
        ("Segformer", {"do_resize": False, "do_normalize": False}, (64, 96)),
        ("MaskFormer", {"size": 50, "max_size": 70, "size_divisor": 32}, (64, 96)),
        ("MaskFormer", {"size": SHORT_AND_LONG, "size_divisor": 0}, (64, 96)),
        ("Mask2Former", {"size": SHORT_AND_LONG, "pad_size": {"height": 96, "width": 128}}, (96, 128)),
        ("DPT", {"size": {"height": 64, "width": 64}, "keep_aspect_ratio": True, "ensure_multiple_of": 32}, (64, 96)),
        ("DPT", {"size": {"height": 60, "width": 70}, "do_pad": True, "size_divisor": 32}, (64, 96)),
        ("Eomt", {"size": {"shortest_edge": 64, "longest_edge": 64}, "do_pad": True}, (64, 64)),
        ("Eomt", {"size": {"shortest_edge": 64, "longest_edge": None}, "do_split_image": True}, (64, 64)),
        ("Beit", {"size": 48, "crop_size": 48, "do_center_crop": True}, (48, 48)),
        ("Detr", {"size": {"max_height": 64, "max_width": 64}}, (42, 64)),
        ("MobileViT", {"size": {"shortest_edge": 50}, "do_center_crop": False}, (50, 75)),
    ],
)  # fmt: skip
def test_keys_that_change_the_input(name, keys, inputs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of old keys
        try:
            processor = processor_class(f"{name}ImageProcessor")(**keys)
            tensor_of(processor, picture(9, 9))
        except (TypeError, ValueError):
            pytest.skip("this release does not know the key")
    used = follow(processor, num_channels=3)
    assert used.input_shape((64, 96)) == inputs
    assert_same_tensor(processor, used)


def test_the_padding_of_a_letterbox_is_not_stretched_over_the_image():
    processor = processor_class("EomtImageProcessor")(
        size={"shortest_edge": 64, "longest_edge": 64}, do_pad=True
    )
    used = follow(processor, num_channels=3)
    pixels = np.zeros((96, 192, 3), np.uint8)
    pixels[:, :96] = 255
    back = used.to_image(used.to_input(as_image(pixels)[None]), (96, 192))
    assert (back[0, 0, :, :90] > 2).all()
    assert (back[0, 0, :, 102:] < -2).all()


def test_a_crop_of_the_centre_is_refused_with_its_key():
    processor = processor_class("MobileNetV2ImageProcessor")(
        size={"shortest_edge": 40}, crop_size=32, do_center_crop=True
    )
    with pytest.raises(misure.InputError, match=r"do_center_crop: true. Turn it off with .*false}"):
        follow(processor, num_channels=3)
    assert follow(processor, num_channels=3, given=["input_size"]).mean == (0.5, 0.5, 0.5)


def folder_of(path, keys=None, *, name="preprocessor_config.json", id2label=None, **options):
    path.mkdir(exist_ok=True)
    hf_folders.segformer(path, id2label=id2label)
    hf_folders.write_processor(path, keys, name)
    return lambda **more: misure.load_model(f"hf:{path}", device="cpu", **options | more)


def seen_by(model, pixels):
    seen = []
    handle = model.net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with handle, torch.no_grad():
        model(as_image(pixels)[None])
    return seen[0]


SMALL = {"size": {"height": 32, "width": 48}}


def test_keys_that_are_missing_mean_the_defaults_of_the_class(tmp_path):
    load = folder_of(tmp_path, SMALL | {"image_processor_type": "SegformerImageProcessor"})
    model, pixels = load(), picture(50, 60)
    processor = processor_class("SegformerImageProcessor")(**SMALL)
    assert (seen_by(model, pixels) - tensor_of(processor, pixels)).abs().max() < 0.04
    settings = json.loads(json.dumps(model.settings()))
    assert settings["mean"] == [0.485, 0.456, 0.406]
    assert settings["processor"]["size"] == SMALL["size"]
    assert settings["processor"]["do_normalize"] is True
    assert settings["interpolation"] == "linear"


def test_the_nested_file_comes_first(tmp_path):
    load = folder_of(tmp_path, SMALL)
    nested = {"image_processor": {"size": {"height": 16, "width": 16}}, "processor_class": "X"}
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    assert load().preprocessing.input_shape((20, 30)) == (16, 16)
    (tmp_path / "processor_config.json").write_text('{"processor_class": "X"}')
    assert load().preprocessing.input_shape((20, 30)) == (32, 48)
    (tmp_path / "processor_config.json").write_text('{"image_processor": 3}')
    with pytest.raises(misure.InputError, match="expected an object as image_processor in"):
        load()
    for text, words in (("[]", "expected an object in"), ("{", "expected JSON in")):
        (tmp_path / "processor_config.json").write_text(text)
        with pytest.raises(misure.InputError, match=words):
            load()


def test_without_a_processor_the_defaults_of_the_class_are_named(tmp_path):
    load = folder_of(tmp_path)
    with pytest.warns(
        misure.errors.MisureWarning, match=r"no preprocessor_config.json.*defaults of Segf.* 512"
    ):
        assumed = load()
    assert assumed.preprocessing.input_shape((20, 30)) == (512, 512)
    assert assumed.settings()["mean"] == [0.485, 0.456, 0.406]
    with pytest.warns(misure.errors.MisureWarning, match="no preprocessor_config.json"):
        assert load(input_size=32).preprocessing.std == (0.229, 0.224, 0.225)
    assert load(processor="default").preprocessing.input_shape((20, 30)) == (512, 512)
    by_hand = load(mean=0.5, std=0.5, input_size=32)
    assert by_hand.preprocessing.mean == (0.5,)
    raw = load(processor=False)
    assert torch.equal(seen_by(raw, picture(32, 64)), as_image(picture(32, 64))[None])


def test_keys_can_be_overridden_by_name(tmp_path):
    load = folder_of(tmp_path, SMALL)
    model = load(processor={"size": {"height": 20, "width": 24}, "resample": 3})
    assert model.preprocessing.input_shape((20, 30)) == (20, 24)
    assert model.preprocessing.interpolation == "bicubic"
    assert load(input_size=(24, 24)).preprocessing.input_shape((20, 30)) == (24, 24)
    with pytest.raises(
        misure.InputError, match=r"expected keys of Segf.*do_resize.* got 'do_centre_"
    ):
        load(processor={"do_centre_crop": False})
    with pytest.raises(misure.InputError, match="expected processor=default, processor=false, or"):
        load(processor="auto")


def test_the_old_form_of_maskformer(tmp_path):
    file = tmp_path / "preprocessor_config.json"
    old = {"image_processor_type": "MaskFormerFeatureExtractor", "size": 50, "max_size": 70}
    for kind in (old, {"feature_extractor_type": "MaskFormerFeatureExtractor"} | old):
        file.write_text(json.dumps(kind | {"size_divisibility": 16, "do_normalize": True}))
        settings = preprocessing_settings(
            "net", {file.name: file}, transformers.MaskFormerConfig(), transformers
        )
        used = settings["preprocessing"]
        assert used.input_shape((64, 96)) == (48, 80)  # short side 47, long side 70
        assert used.processor["size_divisor"] == 16


@pytest.mark.parametrize(
    ("keys", "num_inputs"),
    [
        ({"size": {"shortest_edge": 64, "longest_edge": 64}, "do_pad": True}, 1),
        ({"size": {"shortest_edge": 64, "longest_edge": None}, "do_split_image": True}, 2),
    ],
)
def test_photographs_of_any_shape_for_a_network_of_squares(tmp_path, keys, num_inputs):
    hf_folders.eomt(tmp_path)
    hf_folders.write_processor(tmp_path, keys | {"image_processor_type": "EomtImageProcessor"})
    model = misure.load_model(f"hf:{tmp_path}", device="cpu")
    image = as_image(picture(48, 72)).requires_grad_()
    inputs = seen_by(model, picture(48, 72))
    assert inputs.shape == (num_inputs, 3, 64, 64)
    logits = model(image[None])
    assert logits.shape == (1, 2, 48, 72)
    logits.square().sum().backward()
    assert (image.grad.abs().sum(0) > 0).float().mean() > 0.9
    if num_inputs == 1:
        scores = find_tensor(model.net(inputs), 2)
        whole = torch.nn.functional.interpolate(scores, (64, 64), mode="bilinear")
        by_hand = torch.nn.functional.interpolate(whole[..., :43, :], (48, 72), mode="bilinear")
        assert torch.allclose(logits, by_hand, atol=1e-4)


def test_a_mean_of_another_scale_than_the_pixels_is_asked_about(tmp_path):
    load = folder_of(tmp_path, SMALL | {"do_rescale": False})
    with pytest.raises(misure.InputError, match="do_rescale: false beside a mean of 0.485"):
        load()
    assert load(processor={"do_rescale": True}).preprocessing.std[0] == pytest.approx(0.229)
    by_hand = load(mean=0.5, std=0.25)
    assert (by_hand.preprocessing.mean, by_hand.preprocessing.std) == ((0.5,), (0.25,))
    load = folder_of(tmp_path, SMALL | {"image_mean": [123.7, 116.3, 103.5], "image_std": [58] * 3})
    with pytest.raises(misure.InputError, match="a mean of 124 times white"):
        load()
    byte_scale = folder_of(tmp_path, SMALL | {"do_rescale": False, "do_normalize": False})()
    assert byte_scale.preprocessing.std[0] == pytest.approx(1 / 255)


def test_blue_first(tmp_path):
    load = folder_of(
        tmp_path,
        {
            "image_processor_type": "MobileViTImageProcessor",
            "size": {"shortest_edge": 32},
            "do_center_crop": False,
        },
    )
    model, pixels = load(), picture(32, 48)
    assert torch.allclose(seen_by(model, pixels), as_image(pixels)[None].flip(1), atol=1e-6)
    assert model.settings()["channels"] == [2, 1, 0]


@pytest.mark.parametrize("key", ["do_reduce_labels", "reduce_labels"])
def test_annotations_that_begin_at_one(tmp_path, key):
    load = folder_of(tmp_path, SMALL | {key: True})
    assert load().settings()["label_offset"] == -1
    assert load(label_offset=0).label_offset == 0
    assert folder_of(tmp_path, SMALL)().label_offset == 0


def test_names_of_classes_with_a_gap(tmp_path):
    load = folder_of(tmp_path, SMALL, id2label={1: "sea", 2: "ship"})
    with pytest.raises(misure.InputError, match="name classes 0 to 1, .* got 1 to 2 without 0"):
        load()
    assert load(class_names=["sea", "ship"]).class_names == ("sea", "ship")


def test_a_mistyped_folder_is_one_sentence_without_the_internet(tmp_path, monkeypatch):
    folder_of(tmp_path / "segformer", SMALL)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was tried"))
    with pytest.raises(misure.MissingDataError, match=r"Did you mean hf:.*/segformer\?"):
        misure.load_model(f"hf:{tmp_path}/segfomer")
    with pytest.raises(misure.MissingDataError, match="or the id of a network in the cache"):
        misure.load_model("hf:nobody/nothing")


def test_processors_that_cannot_be_opened_or_followed(tmp_path):
    load = folder_of(tmp_path, {"size": "large"})
    with pytest.raises(misure.InputError, match="expected the image processor of .* to open"):
        load()
    assert load(processor={"size": 32}).preprocessing.input_shape((9, 9)) == (32, 32)
    load = folder_of(tmp_path, {"image_processor_type": "NoImageProcessor"})
    with pytest.raises(
        misure.InputError, match="expected the image processor NoImageProcessor that"
    ):
        load()
    assert load(processor={"image_processor_type": "BeitImageProcessor", "do_center_crop": False})
    code = {"image_processor_type": "SegformerImageProcessor"} | SMALL
    code["auto_map"] = {"AutoImageProcessor": "own.Processor"}
    load = folder_of(tmp_path, code)
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert load().preprocessing.input_shape((9, 9)) == (32, 48)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(misure.InputError, match=r"expected images \(H, W\) for an image processor"):
        load()(torch.rand(1, 3, 4, 5, 6))


class Constant:
    def __call__(self, images, **_):
        return {"pixel_values": torch.zeros(1, 3, 8, 8)}


class Mixing:
    def __call__(self, images, **_):
        pixels = torch.from_numpy(np.array(images[0])).movedim(-1, 0)[None].float()
        return {"pixel_values": pixels.mean(1, keepdim=True).expand(-1, 3, -1, -1)}


class Stretching(Constant):
    """The contrast of each image is made the same: no fixed scale."""

    def __init__(self):
        self.do_stretch = True

    def __call__(self, images, do_stretch=True, **_):
        pixels = torch.from_numpy(np.array(images[0])).movedim(-1, 0)[None].float() / 255
        top = pixels.amax().clamp(min=0.5) if do_stretch else 1
        return {"pixel_values": pixels / top}


@pytest.mark.parametrize(
    ("processor", "words"),
    [
        (Constant(), "whose output depends on the picture"),
        (Mixing(), "rescales each channel by itself, got one that mixes them"),
        (Stretching(), "do_stretch: true. Turn it off with"),
    ],
)
def test_what_cannot_be_followed_is_named(processor, words):
    with pytest.raises(misure.InputError, match=words):
        follow(processor, num_channels=3)


@pytest.mark.parametrize("key", ["do_reduce_labels", "reduce_labels"])
def test_labels_keep_their_offset_whatever_prepares_the_images(tmp_path, key):
    load = folder_of(tmp_path, SMALL | {key: True})
    assert [load(processor=p).label_offset for p in (None, False, "default")] == [-1, -1, -1]
