import json
import pickle
import sys
import types
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    BertConfig,
    ConvNextConfig,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    MobileNetV2Config,
    MobileNetV2ForSemanticSegmentation,
    SegformerForImageClassification,
    SegformerForSemanticSegmentation,
    SwinConfig,
    UperNetConfig,
    UperNetForSemanticSegmentation,
)

import hf_folders
import misure
from misure.models.loaders import LOADERS, runs_code
from misure.models.networks.trained_network import SHIPPED, load_trained


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, images):
        return self.head(images)


@pytest.fixture
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Small().eval()


IMAGE = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def test_triangle_is_shipped_small_and_good(tmp_path):
    assert SHIPPED.stat().st_size < 2_000_000
    model = misure.load_model("triangle", device="cpu")
    assert model.class_names == ("background", "triangle")
    _, about = load_trained()
    assert about.values["mean_test_dice"] >= 0.95
    assert about.values["distractor_fraction"] < 0.05
    again = misure.load_model(f"trained:{SHIPPED}", device="cpu")
    assert torch.equal(model(IMAGE), again(IMAGE))
    (tmp_path / "cut.safetensors").write_bytes(SHIPPED.read_bytes()[:5000])
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name in ("cut", "other"):
        with pytest.raises(misure.InputError, match="expected a file written by `misure train`"):
            misure.load_model(f"trained:{tmp_path}/{name}.safetensors")
    with pytest.raises(misure.InputError, match=r"use trained:a\.safetensors"):
        misure.load_model("triangle:a.safetensors")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"figures": {"dataset": "triangle"}}, "it was written by misure 0.1.0. Train the network"),
        ({"input_size": ["a", 96]}, r"cannot be used: Expected `int`, got `str` - at `\$.input"),
        ({"network": None}, "cannot be used: Expected `str`, got `null`"),
        ({"depth": 3}, "cannot be used: Object contains unknown field `depth`"),
        ({"network": "resnet"}, "expected a network among small_unet"),
    ],
)
def test_a_header_of_another_form_is_one_sentence(tmp_path, change, words):
    with safe_open(SHIPPED, framework="pt") as file:
        about = json.loads(file.metadata()["misure"])
    path = tmp_path / "net.safetensors"
    save_file(load_file(SHIPPED), path, {"misure": json.dumps(about)})
    assert load_trained(path)[1] == load_trained()[1]
    save_file(load_file(SHIPPED), path, {"misure": json.dumps(about | change)})
    with pytest.raises(misure.InputError, match=f"^load_model: .*{words}"):
        misure.load_model(f"trained:{path}")


def _segformer_folder(folder, network=SegformerForSemanticSegmentation, processor=None):
    net = hf_folders.segformer(folder, network)
    hf_folders.write_processor(folder, processor)
    return net


PROCESSOR = {
    "do_resize": True,
    "size": {"height": 64, "width": 96},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.4, 0.5, 0.6],
    "image_std": [0.2, 0.3, 0.4],
}


def test_a_transformers_folder(tmp_path):
    net = _segformer_folder(tmp_path, processor=PROCESSOR)
    model = misure.load_model(f"hf:{tmp_path}", device="cpu")
    assert model.class_names == ("sky", "sea", "ship")
    assert model.preprocessing.input_shape((30, 40)) == (64, 96)
    assert model.num_channels == 3
    image = torch.rand(3, 64, 96)
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.4])
    by_hand = net((image - mean[:, None, None])[None] / std[:, None, None]).logits
    by_hand = nn.functional.interpolate(by_hand, (64, 96), mode="bilinear")
    assert torch.allclose(model(image[None]), by_hand, atol=1e-5)
    target = misure.segment(model, image).target(point=(9, 9))
    assert misure.explain(model, image, target, preset="paper", num_iterations=2).dice >= 0.9


def test_a_transformers_folder_with_pytorch_weights(tmp_path):
    net = _segformer_folder(tmp_path)
    torch.save(net.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    model = misure.load_model(f"hf:{tmp_path}", device="cpu", processor=False, input_size=32)
    assert model.preprocessing.mean is None
    assert model.preprocessing.input_size == 32


def test_bad_transformers_folders(tmp_path):
    with pytest.raises(misure.MissingDataError, match="expected a folder .*with config.json"):
        misure.load_model(f"hf:{tmp_path}")
    with pytest.raises(misure.MissingDataError, match="download the files of the network"):
        misure.load_model("hf:nobody/no-such-network")
    for name in ("cut", "bomb", "headless", "language", "code"):
        (tmp_path / name).mkdir()
    _segformer_folder(tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    _segformer_folder(tmp_path / "bomb")
    (tmp_path / "bomb" / "model.safetensors").unlink()
    bomb = pickle.dumps(Bomb(tmp_path / "went off"))
    (tmp_path / "bomb" / "pytorch_model.bin").write_bytes(bomb)
    BertConfig().save_pretrained(tmp_path / "language")
    _segformer_folder(tmp_path / "code")
    config = json.loads((tmp_path / "code" / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (tmp_path / "code" / "config.json").write_text(json.dumps(config))
    (tmp_path / "code" / "own.py").write_text(f"open({str(tmp_path / 'went off')!r}, 'w')")
    for name in ("cut", "bomb", "language", "code"):
        with pytest.raises(misure.InputError, match="expected a transformers folder with a seg"):
            misure.load_model(f"hf:{tmp_path}/{name}")
    assert not (tmp_path / "went off").exists()
    _segformer_folder(tmp_path / "headless", SegformerForImageClassification)
    with pytest.raises(misure.InputError, match="are missing .* they would be random"):
        misure.load_model(f"hf:{tmp_path}/headless")


def test_a_mobilenet_folder_as_the_real_one(tmp_path):
    config = MobileNetV2Config(num_labels=4, depth_multiplier=0.35, output_stride=16)
    MobileNetV2ForSemanticSegmentation(config).save_pretrained(tmp_path)
    model = misure.load_model(f"hf:{tmp_path}", device="cpu", processor=False)
    assert model(torch.rand(1, 3, 65, 65)).shape == (1, 4, 65, 65)


def test_torchscript(net, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(net).save(tmp_path / "net.pt")
        torch.jit.freeze(torch.jit.script(net)).save(tmp_path / "frozen.pt")
    for name in ("net.pt", "frozen.pt"):
        model = misure.load_model(f"torchscript:{tmp_path}/{name}", device="cpu", class_names="a,b")
        assert model.class_names == ("a", "b")
        assert torch.allclose(model(IMAGE), net(IMAGE))
        target = misure.segment(model, IMAGE[0]).target(point=(4, 4))
        assert (
            misure.explain(
                model, IMAGE[0], target, preset="paper", num_iterations=2
            ).cost.backward_passes
            == 2
        )
    _check_bad_files("torchscript", tmp_path, tmp_path / "net.pt", "a TorchScript archive")


@pytest.mark.parametrize("dynamic", [False, True])
def test_export(net, tmp_path, dynamic):
    dimensions = {"images": dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)} if dynamic else None
    example = IMAGE.repeat(2, 1, 1, 1) if dynamic else IMAGE
    program = torch.export.export(net, (example,), dynamic_shapes=dimensions)
    torch.export.save(program, tmp_path / "net.pt2")
    model = misure.load_model(f"export:{tmp_path}/net.pt2", device="cpu")
    assert model.num_channels == 1
    assert model.preprocessing.input_size == (None if dynamic else (16, 16))
    images = torch.rand(3, 1, 16, 16)
    assert torch.allclose(model(images), net(images), atol=1e-6)
    target = misure.segment(model, IMAGE[0]).target(point=(4, 4))
    assert (
        misure.explain(
            model, IMAGE[0], target, preset="paper", num_iterations=2
        ).cost.backward_passes
        == 2
    )
    _check_bad_files("export", tmp_path, tmp_path / "net.pt2", "a program saved by torch.export")


def test_an_exported_program_with_two_inputs(tmp_path):
    class Two(nn.Module):
        def forward(self, a, b):
            return a + b

    torch.export.save(torch.export.export(Two(), (IMAGE, IMAGE)), tmp_path / "two.pt2")
    with pytest.raises(misure.InputError, match="one image batch as input, .* takes 2 inputs"):
        misure.load_model(f"export:{tmp_path}/two.pt2")


def _export_onnx(net, path, *, dynamic, example=IMAGE):
    shapes = {"images": {0: "n", 2: "h", 3: "w"}} if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (example,), path, dynamic_shapes=shapes, dynamo=True, verbose=False)


@pytest.mark.parametrize("dynamic", [False, True])
def test_onnx(net, tmp_path, dynamic):
    example = IMAGE.repeat(2, 1, 1, 1) if dynamic else IMAGE
    _export_onnx(net, tmp_path / "net.onnx", dynamic=dynamic, example=example)
    model = misure.load_model(f"onnx:{tmp_path}/net.onnx", device="cpu")
    assert model.preprocessing.input_size == (None if dynamic else (16, 16))
    images = torch.rand(3, 1, 16, 16)
    assert torch.allclose(model(images), net(images), atol=1e-5)
    target = misure.segment(model, IMAGE[0]).target(point=(4, 4))
    found = misure.explain(model, IMAGE[0], target, preset="sufficient_region")
    assert found.sufficient_dice >= 0.9
    with pytest.raises(misure.InputError, match="gives none. Use a preset that needs none"):
        misure.explain(model, IMAGE[0], target, preset="smallest")
    assert onnxruntime.InferenceSession(str(tmp_path / "net.onnx")).get_inputs()
    _check_bad_files("onnx", tmp_path, tmp_path / "net.onnx", "an ONNX network")


def test_onnx_with_a_batch_of_several(net, tmp_path):
    _export_onnx(net, tmp_path / "net.onnx", dynamic=False, example=IMAGE.repeat(4, 1, 1, 1))
    with pytest.raises(misure.InputError, match="N free or 1, got .4, 1, 16, 16."):
        misure.load_model(f"onnx:{tmp_path}/net.onnx")


def _check_bad_files(scheme, folder, good, said):
    (folder / "cut").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    (folder / "text").write_text("no network")
    (folder / "empty").touch()
    torch.save(Bomb(folder / "went off"), folder / "bomb")
    for name in ("cut", "text", "bomb"):
        with pytest.raises(misure.InputError, match=f"expected {said}"):
            misure.load_model(f"{scheme}:{folder}/{name}")
    for name in ("empty", "missing"):
        with pytest.raises(misure.InputError, match="expected a model file at"):
            misure.load_model(f"{scheme}:{folder}/{name}")
    assert not (folder / "went off").exists()


def test_python_files(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch, misure\n"
        "def net():\n    return torch.nn.Conv2d(1, 2, 1)\n"
        "def model():\n    return misure.SegmentationModel(net(), class_names=['a', 'b'])\n"
        "def number():\n    return 3\n"
        "def broken():\n    return 1 / 0\n"
    )
    model = misure.load_model(f"python:{file}:net", class_names=["c"])
    assert model.class_names == ("c",)
    assert misure.load_model(f"python:{file}:model").class_names == ("a", "b")
    for argument, options, message in [
        (f"{file}:number", {}, "to return a network or a SegmentationModel, got int"),
        (f"{file}:broken", {}, "broken of .* raised ZeroDivisionError"),
        (f"{file}:absent", {}, "absent of .* raised AttributeError"),
        (f"{file}", {}, "expected python:FILE.py:FUNCTION"),
        (f"{tmp_path}/none.py:net", {}, "expected a model file at"),
        (f"{file}:model", {"class_names": []}, "expected no options with python"),
        (f"{file}:net", {"colour": 1}, "expected options of SegmentationModel.*'colour'"),
    ]:
        with pytest.raises(misure.InputError, match=message):
            misure.load_model(f"python:{argument}", **options)


def test_unknown_specifications_and_devices():
    for spec in ("unet", "hf:", "caffe:net", ""):
        with pytest.raises(
            misure.InputError, match="load_model: expected triangle, trained:FILE_OR_FOLDER, hf:"
        ):
            misure.load_model(spec)
    for device in ("cuda:99", "abacus"):
        with pytest.raises(misure.InputError, match="expected a device that is here"):
            misure.load_model("triangle", device=device)


@pytest.mark.parametrize(
    ("module", "spec", "extra"),
    [
        ("transformers", "hf:folder", "hf"),
        ("torchvision", "torchvision:fcn_resnet50", "torchvision"),
        ("onnxruntime", "onnx:{file}", "onnx"),
    ],
)
def test_a_missing_library_is_named_with_its_cure(monkeypatch, tmp_path, module, spec, extra):
    (tmp_path / "file").write_text("something")
    monkeypatch.setitem(sys.modules, module, None)
    if module == "torchvision":
        monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(misure.MissingDependencyError) as caught:
        misure.load_model(spec.format(file=tmp_path / "file"))
    assert f"{module} is needed to load {spec.partition(':')[0]}: models" in str(caught.value)
    assert f'pip install "misure[{extra}]"' in str(caught.value)


def test_torchvision_networks_by_its_interface(monkeypatch, tmp_path):
    """torchvision cannot be imported beside the CPU build of torch: its interface is imitated."""

    class Lraspp(nn.Module):
        def __init__(self, num_classes, aux_loss=False):
            super().__init__()
            self.classifier = nn.Conv2d(3, num_classes, 1)
            self.aux_classifier = nn.Conv2d(3, num_classes, 1) if aux_loss else None

        def forward(self, images):
            return {"out": self.classifier(images), "aux": images}

    transform = types.SimpleNamespace(
        mean=[0.485, 0.456, 0.406],
        std=[0.229, 0.224, 0.225],
        resize_size=[520],
        interpolation=types.SimpleNamespace(value="bilinear"),
    )
    weights = types.SimpleNamespace(
        url="https://example.invalid/fcn-00000000.pth",
        meta={"categories": ["__background__", "cat"]},
        transforms=lambda: transform,
    )

    def get_model(name, *, weights, weights_backbone, **options):
        assert weights is weights_backbone is None
        return Lraspp(**options)

    models = types.ModuleType("torchvision.models")
    models.list_models = lambda module: [] if module is detection else ["fcn"]
    models.get_model_weights = lambda name: types.SimpleNamespace(DEFAULT=weights)
    models.get_model = get_model
    segmentation = types.ModuleType("torchvision.models.segmentation")
    detection = types.ModuleType("torchvision.models.detection")
    for name, module in {
        "torchvision": types.ModuleType("torchvision"),
        "torchvision.models": models,
        "torchvision.models.segmentation": segmentation,
        "torchvision.models.detection": detection,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def unreachable(*_args, **_kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(misure.MissingDataError, match=r"fcn-00000000.pth in .*checkpoints"):
        misure.load_model("torchvision:fcn")
    with pytest.raises(misure.InputError, match=r"a segmentation network of torchvision .fcn."):
        misure.load_model("torchvision:vgg")
    trained = Lraspp(2, aux_loss=True)
    torch.save(trained.state_dict(), tmp_path / "checkpoints" / "fcn-00000000.pth")
    model = misure.load_model("torchvision:fcn", device="cpu")
    assert model.class_names == ("__background__", "cat")
    assert model.preprocessing.input_size == 520
    assert torch.equal(model.net.classifier.weight, trained.classifier.weight)


def test_upernet_has_the_form_that_is_expected(tmp_path):
    backbone = ConvNextConfig(
        hidden_sizes=[8, 8, 8, 8],
        depths=[1, 1, 1, 1],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = UperNetConfig(
        backbone_config=backbone,
        hidden_size=8,
        num_labels=3,
        use_auxiliary_head=False,
        auxiliary_in_channels=8,
    )
    UperNetForSemanticSegmentation(config).save_pretrained(tmp_path)
    model = misure.load_model(f"hf:{tmp_path}", device="cpu", processor=False)
    assert model(torch.rand(2, 3, 48, 64)).shape == (2, 3, 48, 64)


def _mask2former_folder(folder):
    backbone = SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=6,
        id2label={0: "wall", 1: "car", 2: "sky"},
    )
    Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)


def _eomt_folder(folder):
    hf_folders.eomt(folder, id2label={0: "wall", 1: "car", 2: "sky"})


@pytest.mark.parametrize("make", [_mask2former_folder, _eomt_folder])
def test_masks_and_classes_of_queries_become_logits_of_classes(make, tmp_path):
    make(tmp_path)
    model = misure.load_model(f"hf:{tmp_path}", device="cpu", processor=False)
    assert model.class_names == ("wall", "car", "sky")
    image = torch.rand(1, 3, 64, 64)
    raw = model.net(image)
    shares = raw.class_queries_logits.softmax(-1)
    masks = raw.masks_queries_logits.sigmoid()
    by_hand = sum(shares[:, q, :3, None, None] * masks[:, q, None] for q in range(masks.shape[1]))
    by_hand = nn.functional.interpolate(by_hand.log(), (64, 64), mode="bilinear")
    assert torch.allclose(model(image), by_hand, atol=1e-4)
    target = misure.segment(model, image[0]).target(point=(9, 9))
    assert misure.explain(model, image[0], target, max_passes=60).dice >= 0.9


def _onnx_file(path, *, channels_last=False, location=""):
    """A network of bright and dark pixels; `location`: where its file says that its weights are."""
    head = onnx.helper
    weights = numpy_helper.from_array(np.float32([-10, 10]).reshape(2, 1, 1, 1), "w")
    if location:
        weights.ClearField("raw_data")
        weights.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "8")):
            entry = weights.external_data.add()
            entry.key, entry.value = key, value
    bias = numpy_helper.from_array(np.float32([5, -5]), "b")
    nodes = [head.make_node("Conv", ["c", "w", "b"], ["y"])]
    if channels_last:
        nodes.insert(0, head.make_node("Transpose", ["x"], ["c"], perm=[0, 3, 1, 2]))
        nodes.append(head.make_node("Transpose", ["y"], ["t"], perm=[0, 2, 3, 1]))
    else:
        nodes.insert(0, head.make_node("Identity", ["x"], ["c"]))
    sides = ["n", "h", "v", 1] if channels_last else ["n", 1, "h", "v"]
    images = head.make_tensor_value_info("x", onnx.TensorProto.FLOAT, sides)
    classes = [2 if side == 1 else side for side in sides]
    logits = head.make_tensor_value_info(
        "t" if channels_last else "y", onnx.TensorProto.FLOAT, classes
    )
    graph = head.make_graph(nodes, "g", [images], [logits], [weights, bias])
    model = head.make_model(graph, opset_imports=[head.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("channels_last", [False, True])
def test_onnx_with_its_channels_last(tmp_path, channels_last):
    _onnx_file(tmp_path / "net.onnx", channels_last=channels_last)
    model = misure.load_model(f"onnx:{tmp_path}/net.onnx", device="cpu")
    assert model.num_channels == 1
    image = torch.zeros(1, 20, 28)
    image[0, 5:9, 6:17] = 1
    assert torch.equal(misure.predicted_target(model, image, 1).region, image[0] > 0)


@pytest.mark.parametrize(
    ("shape", "is_last"),
    [
        (("n", "h", "w", 3), True),
        (("n", "h", "w", 6), True),
        ((1, 256, 256, 5), True),
        ((1, 64, 32, 32), False),
        (("n", 3, "h", "w"), False),
        ((1, 1, 16, 16), False),
        ((1, 5, 64, 3), None),
        ((1, 64, 16, 16), None),
        (("n", "c", "h", "w"), False),
    ],
)
def test_onnx_inputs_tell_where_their_channels_are(tmp_path, shape, is_last):
    head = onnx.helper
    tensors = [
        head.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("x", "y")
    ]
    graph = head.make_graph(
        [head.make_node("Identity", ["x"], ["y"])], "g", tensors[:1], tensors[1:]
    )
    model = head.make_model(graph, opset_imports=[head.make_opsetid("", 17)], ir_version=9)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    spec = f"onnx:{tmp_path}/net.onnx"
    if is_last is None:
        with pytest.raises(misure.InputError, match="Say input_channels_last=True or"):
            misure.load_model(spec, device="cpu")
        is_last = True
        found = misure.load_model(spec, device="cpu", input_channels_last=True)
    else:
        found = misure.load_model(spec, device="cpu")
    num = shape[-1] if is_last else shape[1]
    assert found.num_channels == (num if isinstance(num, int) else None)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "link.bin", "../" * 60 + "a"])
def test_onnx_weights_outside_of_its_folder_are_not_read(tmp_path, location):
    folder = tmp_path / "network"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(np.float32([-10, 10]).tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    _onnx_file(folder / "net.onnx", location=location)
    with pytest.raises(misure.InputError, match="expected the weights of .* in its own folder"):
        misure.load_model(f"onnx:{folder}/net.onnx", device="cpu")
    (folder / "own.bin").write_bytes(np.float32([-10, 10]).tobytes())
    _onnx_file(folder / "net.onnx", location="own.bin")
    assert misure.load_model(f"onnx:{folder}/net.onnx", device="cpu").num_channels == 1


def test_specs_that_are_nearly_right_get_the_right_one(tmp_path):
    for name in ("hub", "mine"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine" / "model.safetensors").touch()
    for spec, meant in {
        f"{tmp_path}/hub": f"hf:{tmp_path}/hub",
        f"{tmp_path}/mine": f"trained:{tmp_path}/mine",
        "x.onnx": "onnx:x.onnx",
        "x.pt2": "export:x.pt2",
        "x.pt": "torchscript:x.pt",
        "nets.py:unet": "python:nets.py:unet",
        "trangle": "triangle",
        "onxx:x.onnx": "onnx:x.onnx",
        "torchscrpt:net": "torchscript:net",
    }.items():
        with pytest.raises(misure.InputError) as caught:
            misure.load_model(spec)
        assert str(caught.value).endswith(f"got {spec!r}. Did you mean {meant!r}?")
    with pytest.raises(misure.InputError, match="'class_name'. Did you mean 'class_names'"):
        misure.load_model("triangle", class_name="a,b")


def test_a_device_that_is_not_here_is_one_short_sentence():
    with pytest.raises(misure.InputError) as caught:
        misure.load_model("triangle", device="nope")
    assert str(caught.value).startswith("load_model: expected a device that is here (auto, cpu")
    assert str(caught.value).endswith("got 'nope'.")
    assert len(str(caught.value)) < 150


def test_which_specs_run_code():
    assert [spec for spec in LOADERS if runs_code(f"{spec}:x")] == [
        *("torchscript", "export", "python", "function"),
    ]
    takers = [spec for spec in LOADERS if "trust" in LOADERS[spec].options]
    assert takers == ["monai", "bioimageio", "ultralytics", "nnunet"]
    for spec in takers:
        assert runs_code(f"{spec}:x", {"trust": True})
        assert not runs_code(f"{spec}:x", {"trust": False})
        with pytest.raises(misure.InputError, match="expected trust as true or false, got 'yes'"):
            misure.load_model(f"{spec}:x", trust="yes")
    with pytest.raises(misure.InputError, match="expected options .* got 'trust'"):
        misure.load_model("triangle", trust=True)
    assert runs_code("Python:x.py:f")
    assert not runs_code("{model}")
