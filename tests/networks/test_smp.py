"""Folders of the real segmentation_models_pytorch: its own prediction, number by number."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import misure

smp = pytest.importorskip("segmentation_models_pytorch")
huggingface_hub = pytest.importorskip("huggingface_hub")
pytestmark = [
    pytest.mark.networks,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

ENCODER = "resnet18"


def _network(kind=smp.Unet, encoder=ENCODER, **options):
    torch.manual_seed(2)
    options = {"encoder_weights": None, "classes": 3} | options
    net = kind(encoder, **options).eval()
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.05)
        for parameter in net.segmentation_head.parameters():
            parameter.normal_(0, 0.3)
    return net


def _picture(height, width):
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), dtype=np.uint8))


def _image(picture):
    return torch.from_numpy(picture).movedim(-1, 0).float() / 255


def _change(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of Hugging Face with the preprocessing of an encoder; writes more."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))

    def write(encoder=ENCODER, weights="imagenet", **numbers):
        where = smp.encoders.encoders[encoder]["pretrained_settings"][weights]
        name = "models--" + where["repo_id"].replace("/", "--")
        path = folder / name / "snapshots" / where["revision"] / "config.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(numbers))

    return write


@pytest.mark.parametrize(
    "numbers",
    [
        {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "input_range": [0, 1]},
        {
            "mean": [104.0, 117.0, 123.0],
            "std": [1.0, 2.0, 3.0],
            "input_range": [0, 255],
            "input_space": "BGR",
        },
    ],
)
def test_the_prediction_is_its_own(cache, tmp_path, numbers):
    cache(**numbers)
    net, picture = _network(), _picture(64, 96)
    net.save_pretrained(tmp_path / "net")
    _change(tmp_path / "net", encoder_weights="imagenet")
    own = {"input_space": "RGB"} | numbers
    prepared = smp.encoders._preprocessing.preprocess_input(picture, **own)
    theirs = net.predict(torch.from_numpy(np.moveaxis(prepared, -1, 0).copy()).float()[None])
    model = misure.load_model(f"smp:{tmp_path}/net", device="cpu")
    ours = model(_image(picture)[None])
    assert torch.allclose(ours, theirs, atol=1e-4 * float(theirs.abs().max()))
    assert torch.equal(ours.argmax(1), theirs.argmax(1))
    assert len(theirs.argmax(1).unique()) >= 2
    assert model.num_channels == 3


@pytest.mark.parametrize("kind", ["UnetPlusPlus", "Linknet", "FPN", "DeepLabV3Plus", "Segformer"])
def test_other_networks_and_sides_that_must_be_divided(tmp_path, kind):
    net = _network(getattr(smp, kind))
    net.save_pretrained(tmp_path)
    model = misure.load_model(f"smp:{tmp_path}", device="cpu", mean=0.5, std=0.25)
    image = _image(_picture(72, 88))[None]
    sides = [-side % model.preprocessing.size_divisor for side in (72, 88)]
    padded = torch.nn.functional.pad((image - 0.5) / 0.25, (0, sides[1], 0, sides[0]))
    theirs = net.predict(padded)[:, :, :72, :88]
    assert torch.allclose(model(image), theirs, atol=1e-4 * float(theirs.abs().max()))


def test_a_transformer_gets_images_of_its_size(tmp_path):
    net = _network(smp.DPT, "tu-vit_tiny_patch16_224")
    net.save_pretrained(tmp_path)
    model = misure.load_model(f"smp:{tmp_path}", device="cpu", encoder_weights="imagenet")
    image = _image(_picture(224, 224))[None]
    numbers = smp.encoders.get_preprocessing_params("tu-vit_tiny_patch16_224")
    mean, std = (torch.tensor(numbers[key]).view(3, 1, 1) for key in ("mean", "std"))
    theirs = net.predict((image - mean) / std)
    assert torch.allclose(model(image), theirs, atol=1e-4 * float(theirs.abs().max()))
    assert model(image[..., :100, :150]).shape == (1, 3, 100, 150)


def test_activations_and_a_head_for_the_whole_image(tmp_path):
    image = _image(_picture(64, 64))[None]
    for activation, classes, aux in (
        ("sigmoid", 1, None),
        ("sigmoid", 2, {"classes": 4}),
        ("softmax2d", 3, None),
    ):
        net = _network(activation=activation, classes=classes, aux_params=aux)
        net.save_pretrained(tmp_path / activation / str(classes))
        model = misure.load_model(
            f"smp:{tmp_path}/{activation}/{classes}", device="cpu", mean=0, std=1
        )
        theirs = net.predict(image)
        theirs = theirs[0] if aux else theirs
        ours = model.as_module(probabilities=True)(image)
        assert model.multilabel is (activation == "sigmoid" and classes > 1)
        assert torch.allclose(ours[:, -classes:], theirs, atol=1e-4)


def test_one_explanation(tmp_path):
    _network(smp.FPN).save_pretrained(tmp_path)
    model = misure.load_model(f"smp:{tmp_path}", device="cpu", mean=0.5, std=0.25)
    image = _image(_picture(64, 96))
    largest = misure.segment(model, image).found_classes()[0]
    target = misure.predicted_target(model, image, largest.class_index)
    found = misure.explain(model, image, target, preset="sufficient_region", max_passes=60)
    assert found.sufficient_region.any()


def test_what_cannot_be_known_or_trusted_is_refused(cache, tmp_path):
    _network().save_pretrained(tmp_path)
    spec, path = f"smp:{tmp_path}", tmp_path / "model.safetensors"
    with pytest.raises(misure.InputError, match="names no pretrained weights .* Say mean="):
        misure.load_model(spec)
    with pytest.raises(misure.MissingDataError, match=r"cache of Hugging Face .*resnet18.imagenet"):
        misure.load_model(spec, encoder_weights="imagenet")
    with pytest.raises(misure.InputError, match="expected pretrained weights of resnet18"):
        misure.load_model(spec, encoder_weights="jft")
    good, numbers = json.loads((tmp_path / "config.json").read_text()), {"mean": 0, "std": 1}
    for change, message in (
        ({"_model_class": "os.system"}, "a network of segmentation_models_pytorch .Unet"),
        ({"_model_class": None}, "expected _model_class in"),
        ({"checkpoint_path": "x.pth"}, "arguments of Unet .* got 'checkpoint_path'"),
        ({"encoder_name": "tu-hf-hub:some/one"}, "got 'tu-hf-hub:some/one'"),
        ({"encoder_name": "tu-../x"}, "an encoder of segmentation_models_pytorch"),
        ({"encoder_depth": 99}, "a Unet that config.json .* describes"),
        ({"activation": "tanh"}, "expected an activation among .* got 'tanh'"),
        ({"classes": 5}, "the weights of its Unet"),
    ):
        _change(tmp_path, **change)
        with pytest.raises(misure.InputError, match=message):
            misure.load_model(spec, **numbers)
        (tmp_path / "config.json").write_text(json.dumps(good))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(misure.InputError, match="the weights of its Unet"):
        misure.load_model(spec, **numbers)
    path.unlink()
    Path(tmp_path / "pytorch_model.bin").write_bytes(b"pickled")
    with pytest.raises(misure.InputError, match=r"a model file at .*model.safetensors"):
        misure.load_model(spec, **numbers)
