"""Model folders written with the real bioimageio.spec: bioimageio.core's own prediction."""

import copy
import socket

import numpy as np
import pytest
import torch
from torch import nn

import misure

pytestmark = [pytest.mark.networks, pytest.mark.filterwarnings("ignore")]

spec = pytest.importorskip("bioimageio.spec")
core = pytest.importorskip("bioimageio.core")
v0_5 = pytest.importorskip("bioimageio.spec.model.v0_5")

ARCHITECTURE = """
import torch

class Net(torch.nn.Module):
    def __init__(self, channels=1, classes=1):
        super().__init__()
        self.first = torch.nn.Conv2d(channels, 5, 3, padding=1)
        self.last = torch.nn.Conv2d(5, classes, 3, padding=1)

    def forward(self, images):
        return self.last(torch.tanh(self.first(images)))
"""


def _net(channels, classes, dims=2):
    space = {}
    exec(ARCHITECTURE, space)
    torch.manual_seed(4)
    net = space["Net"](channels, classes)
    if dims == 3:
        net.first, net.last = (
            nn.Conv3d(channels, 5, 3, padding=1),
            nn.Conv3d(5, classes, 3, padding=1),
        )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(4)
    return net.eval()


class _Turned(nn.Module):
    """A network with its axes in another order: (Y, X, C) without a batch."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        return self.net(image.permute(2, 0, 1)[None])[0].permute(1, 2, 0)


def _step(name, **options):
    kinds = {
        "zero_mean_unit_variance": "ZeroMeanUnitVariance",
        "fixed_zero_mean_unit_variance": "FixedZeroMeanUnitVariance",
        "scale_range": "ScaleRange",
        "scale_linear": "ScaleLinear",
        "clip": "Clip",
        "ensure_dtype": "EnsureDtype",
        "sigmoid": "Sigmoid",
        "softmax": "Softmax",
        "binarize": "Binarize",
    }
    kind = getattr(v0_5, kinds[name] + "Descr")
    kwargs = kind.model_fields.get("kwargs")
    if kwargs is None or not options:
        return kind()
    return kind.model_validate({"id": name, "kwargs": options})


def _axes(names, classes, *, is_output=False, halo=0, size=None):
    axes = []
    for name in names:
        if name == "batch":
            axes.append(v0_5.BatchAxis())
        elif name == "channel":
            labels = [v0_5.Identifier(f"c{number}") for number in range(classes)]
            axes.append(v0_5.ChannelAxis(channel_names=labels))
        elif is_output:
            reference = v0_5.SizeReference(
                tensor_id=v0_5.TensorId("image"), axis_id=v0_5.AxisId(name)
            )
            kind = v0_5.SpaceOutputAxisWithHalo if halo else v0_5.SpaceOutputAxis
            options = {"halo": halo} if halo else {}
            axes.append(kind(id=v0_5.AxisId(name), size=reference, **options))
        else:
            length = size or v0_5.ParameterizedSize(min=16, step=4)
            axes.append(v0_5.SpaceInputAxis(id=v0_5.AxisId(name), size=length))
    return axes


def _write(
    folder,
    net,
    image,
    *,
    names=("batch", "channel", "y", "x"),
    before=(),
    after=(),
    halo=0,
    size=None,
    kinds=("torchscript",),
    channels=1,
    classes=1,
):
    """A model folder, with whatever the library writes; returns its description."""
    folder.mkdir()
    example = torch.from_numpy(image.astype(np.float32))
    with torch.no_grad():
        np.save(folder / "out.npy", net(example).numpy())
    np.save(folder / "in.npy", image)
    (folder / "README.md").write_text("# A network\n")
    weights = {}
    if "torchscript" in kinds:
        torch.jit.trace(net, example).save(str(folder / "weights.pt"))
        weights["torchscript"] = v0_5.TorchscriptWeightsDescr(
            source=folder / "weights.pt", pytorch_version=v0_5.Version("2.6")
        )
    if "onnx" in kinds:
        torch.onnx.export(
            net, (example,), folder / "weights.onnx", dynamo=True, verbose=False,
            dynamic_shapes=({2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC},),
            external_data=False,
        )  # fmt: skip
        weights["onnx"] = v0_5.OnnxWeightsDescr(
            source=folder / "weights.onnx", opset_version=18,
            parent="torchscript" if "torchscript" in kinds else None,
        )  # fmt: skip
    if "pytorch_state_dict" in kinds:
        (folder / "net.py").write_text(ARCHITECTURE)
        torch.save(net.state_dict(), folder / "state.pt")
        weights["pytorch_state_dict"] = v0_5.PytorchStateDictWeightsDescr(
            source=folder / "state.pt",
            pytorch_version=v0_5.Version("2.6"),
            architecture=v0_5.ArchitectureFromFileDescr(
                source=folder / "net.py",
                callable=v0_5.Identifier("Net"),
                kwargs={"channels": channels, "classes": classes},
            ),
            parent="torchscript" if "torchscript" in kinds else None,
        )
    described = v0_5.ModelDescr(
        name="little",
        description="a little network",
        authors=[v0_5.Author(name="A")],
        cite=[v0_5.CiteEntry(text="none", doi=v0_5.Doi("10.1000/xyz123"))],
        license=v0_5.LicenseId("MIT"),
        documentation=v0_5.FileDescr(source=folder / "README.md"),
        inputs=[
            v0_5.InputTensorDescr(
                id=v0_5.TensorId("image"),
                axes=_axes(names, channels, size=size),
                test_tensor=v0_5.FileDescr(source=folder / "in.npy"),
                data=v0_5.IntervalOrRatioDataDescr(type=str(image.dtype)),
                preprocessing=[*before, _step("ensure_dtype", dtype="float32")],
            )
        ],
        outputs=[
            v0_5.OutputTensorDescr(
                id=v0_5.TensorId("scores"),
                axes=_axes(names, classes, is_output=True, halo=halo),
                test_tensor=v0_5.FileDescr(source=folder / "out.npy"),
                postprocessing=list(after),
            )
        ],
        weights=v0_5.WeightsDescr(**weights),
    )
    return spec.save_bioimageio_package_as_folder(
        described, output_path=folder.parent / f"{folder.name}-package"
    )


def _image(channels=1, spatial=(32, 44), dtype="uint8"):
    rng = np.random.default_rng(5)
    coarse = rng.random((channels, *[side // 4 for side in spatial]))
    for axis in range(1, len(spatial) + 1):
        coarse = coarse.repeat(4, axis)
    image = 20 + 150 * coarse + 10 * rng.random((channels, *spatial))
    return image.astype(dtype)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def _own(package, image):
    found = core.predict(
        model=spec.load_description(package, perform_io_checks=False), inputs=image
    )
    return torch.from_numpy(np.asarray(found.members["scores"].data))


BEFORE = {
    "zero_mean_unit_variance": [_step("zero_mean_unit_variance", axes=["channel", "y", "x"])],
    "by channel": [_step("zero_mean_unit_variance", axes=["y", "x"])],
    "of the data set": [_step("zero_mean_unit_variance")],
    "scale_range": [
        _step("scale_range", axes=["y", "x"], min_percentile=1.0, max_percentile=99.0),
        _step("clip", min=0.0, max=1.0),
    ],
    "scale_linear": [_step("scale_linear", gain=1 / 255, offset=-0.5)],
    "scale_linear by channel": [
        _step("scale_linear", axis="channel", gain=[0.01, 0.02], offset=[0.1, 0.2])
    ],
    "fixed": [
        _step("fixed_zero_mean_unit_variance", axis="channel", mean=[90.0, 80.0], std=[40.0, 50.0])
    ],
}


@pytest.mark.parametrize("name", BEFORE)
def test_the_prediction_is_the_librarys_own(tmp_path, name):
    image = _image(2)
    package = _write(
        tmp_path / "net", _net(2, 2), image[None], before=BEFORE[name], channels=2, classes=2
    )
    model = misure.load_model(f"bioimageio:{package}", device="cpu", trust=True)
    ours = model(torch.from_numpy(image)[None].float() / 255)
    theirs = _own(package, image[None])
    assert torch.allclose(ours, theirs, atol=2e-4)
    assert theirs.std() > 0.05
    assert torch.equal(ours.argmax(1), theirs.argmax(1))
    assert model.class_names == ("c0", "c1")


def test_halo_sigmoid_threshold_and_float_images(tmp_path):
    image = _image(1, dtype="float32")
    for number, after in enumerate(([], [_step("binarize", threshold=0.7)])):
        package = _write(
            tmp_path / str(number), _net(1, 1), image[None], halo=4,
            before=[_step("zero_mean_unit_variance", axes=["y", "x"])],
            after=[_step("sigmoid"), *after],
        )  # fmt: skip
        model = misure.load_model(f"bioimageio:{package}", device="cpu", trust=True)
        images, theirs = torch.from_numpy(image)[None], _own(package, image[None])
        assert theirs.shape == (1, 1, 32, 44)
        if not after:
            ours = model.as_module(probabilities=True)(images)[:, 1:]
            assert torch.allclose(ours, theirs, atol=1e-4)
            assert theirs.std() > 0.05
        found = misure.segment(model, image).class_region(1)
        cut = theirs[0, 0] > (0.5 if not after else 0)
        assert torch.equal(found, cut)
        assert 0 < cut.float().mean() < 1


def test_other_axes_and_volumes(tmp_path):
    image = _image(1)
    package = _write(
        tmp_path / "turned", _Turned(_net(1, 2)), image[0, :, :, None], classes=2,
        names=("y", "x", "channel"), before=BEFORE["scale_linear"],
    )  # fmt: skip
    model = misure.load_model(f"bioimageio:{package}", device="cpu", trust=True)
    images = torch.from_numpy(image)[None].float() / 255
    theirs = _own(package, image[0, :, :, None]).movedim(-1, 0)
    assert torch.allclose(model(images.repeat(2, 1, 1, 1)), theirs[None], atol=1e-4)
    volume = _image(1, (16, 20, 24))
    package = _write(
        tmp_path / "volume", _net(1, 2, 3), volume[None], classes=2,
        names=("batch", "channel", "z", "y", "x"),
        before=[_step("scale_range", axes=["channel", "z", "y", "x"], max_percentile=99.8)],
    )  # fmt: skip
    model = misure.load_model(f"bioimageio:{package}", device="cpu", trust=True)
    ours = model(torch.from_numpy(volume)[None].float() / 255)
    assert torch.allclose(ours, _own(package, volume[None]), atol=2e-4)


def test_onnx_needs_no_trust_and_a_state_dict_does(tmp_path):
    image = _image(1)
    kinds = ("onnx", "pytorch_state_dict")
    package = _write(
        tmp_path / "net", _net(1, 2), image[None], classes=2, kinds=kinds,
        before=BEFORE["scale_linear"],
    )  # fmt: skip
    images, theirs = torch.from_numpy(image)[None].float() / 255, _own(package, image[None])
    plain = misure.load_model(f"bioimageio:{package}", device="cpu")
    assert not plain.differentiable
    trusted = misure.load_model(f"bioimageio:{package}", device="cpu", trust=True)
    assert trusted.differentiable
    for model in (plain, trusted):
        assert torch.allclose(model(images), theirs, atol=1e-4)
    with pytest.raises(misure.InputError, match="trust=True .*pytorch_state_dict"):
        misure.load_model(f"bioimageio:{package}", weights="pytorch_state_dict")


def test_statistics_stay_those_of_the_image_that_is_explained(tmp_path):
    image = _image(1)
    package = _write(
        tmp_path / "net", _net(1, 2), image[None], classes=2,
        before=BEFORE["zero_mean_unit_variance"],
    )  # fmt: skip
    model = misure.load_model(f"bioimageio:{package}", device="cpu", trust=True)
    whole = torch.from_numpy(image).float() / 255
    bound = model.for_image(whole)
    hidden = whole.clone()
    hidden[:, 20:] = 0
    ours = bound(hidden[None])
    numbers = (hidden * 255 - (whole * 255).mean()) / ((whole * 255).std(correction=0) + 1e-6)
    assert torch.allclose(ours, model.net.net(numbers[None]), atol=1e-4)
    assert not torch.allclose(ours, model(hidden[None]), atol=0.1)
    target = misure.predicted_target(model, whole, 1)
    found = misure.explain(model, whole, target, max_passes=60)
    assert found.dice >= 0.9
    assert torch.equal(bound.class_region(bound(whole[None]), 1)[0], target.region)


def test_sides_that_the_network_does_not_take_are_continued(tmp_path):
    image = _image(1, (28, 36))
    package = _write(
        tmp_path / "net", _net(1, 2), _image(1)[None], classes=2, before=BEFORE["scale_linear"]
    )
    model = misure.load_model(f"bioimageio:{package}", device="cpu", trust=True)
    odd = image[:, :27, :33]
    padded = np.pad(odd, ((0, 0), (0, 1), (0, 3)), "symmetric")
    theirs = _own(package, padded[None])[..., :27, :33]
    assert torch.allclose(model(torch.from_numpy(odd)[None].float() / 255), theirs, atol=1e-4)
    package = _write(
        tmp_path / "fixed", _net(1, 2), _image(1, (32, 32))[None], classes=2, size=32,
        before=BEFORE["scale_linear"],
    )  # fmt: skip
    model = misure.load_model(f"bioimageio:{package}", device="cpu", trust=True)
    assert model(torch.rand(1, 1, 20, 30)).shape == (1, 2, 20, 30)
    with pytest.raises(misure.InputError, match=r"images of at most \(32, 32\) px"):
        model(torch.rand(1, 1, 40, 30))


def test_what_cannot_be_followed_is_refused(tmp_path):
    image = _image(1)
    package = _write(
        tmp_path / "net", _net(1, 2), image[None], classes=2, before=BEFORE["scale_linear"]
    )
    file = package / "rdf.yaml"
    good = file.read_text()
    for change, message in (
        (lambda text: text.replace("weights.pt", "../net/weights.pt"), "expected"),
        (lambda text: text.replace("source: weights.pt", "source: https://x.org/w.pt"), "expected"),
        (lambda text: text.replace("type: model", "type: dataset"), "the description of a model"),
        (lambda text: "[", "the description of a model"),
        (lambda text: text + "\noutput_of: {source: x}\n", "a model that stands alone"),
    ):
        file.write_text(change(copy.copy(good)))
        with pytest.raises(misure.InputError, match=message):
            misure.load_model(f"bioimageio:{package}", trust=True)
    file.write_text(good)
    with pytest.raises(misure.InputError, match="expected trust=True"):
        misure.load_model(f"bioimageio:{package}")
    with pytest.raises(misure.InputError, match="expected weights among torchscript"):
        misure.load_model(f"bioimageio:{package}", weights="keras_hdf5")
    with pytest.raises(misure.InputError, match=r"expected output=... among scores"):
        misure.load_model(f"bioimageio:{package}", output="masks")
    with pytest.raises(misure.InputError, match="expected no mean, std"):
        misure.load_model(f"bioimageio:{package}", trust=True, mean=0.5)
    (package / "weights.pt").write_bytes(b"something else")
    with pytest.raises(misure.InputError, match="the weights weights.pt"):
        misure.load_model(f"bioimageio:{package}", trust=True)
    with pytest.raises(misure.InputError, match="expected a folder with bioimageio.yaml or rdf.y"):
        misure.load_model(f"bioimageio:{tmp_path}")
