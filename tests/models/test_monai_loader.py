"""MONAI bundles, against MONAI's own preprocessing, inferer and postprocessing."""

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

import misure
from misure.errors import InputError
from misure.models.loaders.monai_config import Resolver
from misure.models.loaders.monai_steps import parts_of, transforms_of
from misure.models.preprocessing import Preprocessing
from misure.models.volumes.preprocessing import bound_preprocessing

nets = pytest.importorskip("monai.networks.nets")
bundle = pytest.importorskip("monai.bundle")

LOAD = [
    {"_target_": "LoadImaged", "keys": "image"},
    {"_target_": "EnsureChannelFirstd", "keys": "image"},
]
TURN = {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS", "labels": None}
RESAMPLE = {
    "_target_": "Spacingd",
    "keys": ["image", "label"],
    "pixdim": [1.5, 1.5, 2.0],
    "mode": ["bilinear", "nearest"],
}
INVERT = {
    "_target_": "Invertd",
    "keys": "pred",
    "transform": "@preprocessing",
    "orig_keys": "image",
    "nearest_interp": False,
}
SAVE = {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"}


def of_image(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": name, "keys": "image", **arguments}


NORMALIZE = of_image("NormalizeIntensityd", nonzero=True, channel_wise=True)


def spleen() -> tuple[dict[str, Any], dict[str, Any]]:
    """Configuration and metadata laid out as those of `spleen_ct_segmentation` of the model zoo."""
    config = {
        "imports": ["$import glob", "$import os"],
        "bundle_root": "/workspace/spleen",
        "output_dir": "$@bundle_root + '/eval'",
        "dataset_dir": "/workspace/data",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "num_classes": 3,
        "network_def": {
            "_target_": "UNet",
            "spatial_dims": 3,
            "in_channels": 1,
            "out_channels": "@num_classes",
            "channels": [4, 8],
            "strides": [2],
            "norm": "batch",
        },
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                *LOAD,
                TURN,
                of_image("Spacingd", pixdim=[1.5, 1.5, "$4 / 2"], mode="bilinear"),
                of_image("ScaleIntensityRanged", a_min=-57, a_max=164, b_min=0, b_max=1, clip=True),
                of_image("EnsureTyped"),
            ],
        },
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": [16, 16, 8],
            "sw_batch_size": 4,
            "overlap": 0.5,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                INVERT,
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                SAVE,
            ],
        },
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": "$@bundle_root + '/models/model.pt'",
                "load_dict": {"model": "@network"},
            }
        ],
        "run": ["$@evaluator.run()"],
    }
    return config, metadata(1, ["background", "spleen", "liver"])


def brats() -> tuple[dict[str, Any], dict[str, Any]]:
    """As `spleen`, of `brats_mri_segmentation`: four sequences, three regions that overlap."""
    config, _ = spleen()
    config["network_def"] = {
        "_target_": "SegResNet",
        "blocks_down": [1, 1],
        "blocks_up": [1],
        "init_filters": 8,
        "in_channels": 4,
        "out_channels": 3,
        "dropout_prob": 0.2,
    }
    config["preprocessing"]["transforms"] = [*LOAD, TURN, RESAMPLE, NORMALIZE]
    config["inferer"]["mode"] = "gaussian"
    config["postprocessing"]["transforms"][::2] = [
        {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
        {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.55},
    ]
    return config, metadata(4, ["Tumor core", "Whole tumor", "Enhancing tumor"])


def binary() -> tuple[dict[str, Any], dict[str, Any]]:
    """One output with a threshold; nearest neighbours; a crop, padding and a plain inferer."""
    config, _ = spleen()
    config["num_classes"] = 1
    config["preprocessing"]["transforms"] = [
        *LOAD,
        TURN,
        RESAMPLE,
        of_image("CropForegroundd", source_key="image", margin=1),
        of_image("ScaleIntensityd", minv=-1),
        of_image("DivisiblePadd", k=4),
    ]
    config["inferer"] = {"_target_": "SimpleInferer"}
    config["postprocessing"]["transforms"][0] = {
        "_target_": "Activationsd",
        "keys": "pred",
        "sigmoid": True,
    }
    config["postprocessing"]["transforms"][1] = {**INVERT, "nearest_interp": True}
    config["postprocessing"]["transforms"][2] = {
        "_target_": "AsDiscreted",
        "keys": "pred",
        "threshold": 0.5,
    }
    return config, metadata(1, ["lesion"])


def metadata(num_channels: int, names: list[str]) -> dict[str, Any]:
    pred = {
        "type": "image",
        "num_channels": len(names),
        "channel_def": {str(i): name for i, name in enumerate(names)},
    }
    image: dict[str, Any] = {"type": "image", "num_channels": num_channels}
    if num_channels == 4:
        image["channel_def"] = {"0": "T1c", "1": "T1", "3": "FLAIR", "2": "T2"}
    return {"network_data_format": {"inputs": {"image": image}, "outputs": {"pred": pred}}}


def write(folder: Path, config: dict[str, Any], about: dict[str, Any]) -> Path:
    """Writes a bundle with random weights that give each class a part of the volume."""
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    (folder / "configs" / "metadata.json").write_text(json.dumps(about))
    parser = bundle.ConfigParser(copy.deepcopy(config))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        net = parser.get_parsed_content("network_def")
    torch.save(net.state_dict(), folder / "models" / "model.pt")
    return folder


def volume(path: Path, num_channels: int) -> Path:
    """A body of noise within zeros, stored obliquely, with sides of 0.9, 1.1 and 2.2 mm."""
    rng = np.random.default_rng(2)
    voxels = np.zeros((22, 25, 13, num_channels), np.float32)
    body = rng.normal(60, 40, (16, 18, 10, num_channels))
    voxels[3:19, 4:22, 2:12] = body.clip(1).astype(np.float32)
    turn = [[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]]
    affine = np.eye(4)
    affine[:3, :3] = np.array(turn) @ np.diag([-0.9, 1.1, 2.2])
    affine[:3, 3] = [30, -20, 10]
    nibabel.save(nibabel.Nifti1Image(voxels[..., 0] if num_channels == 1 else voxels, affine), path)
    return path


def by_monai(folder: Path, path: Path) -> torch.Tensor:
    """The prediction (K or 1, *spatial) of the bundle's own evaluation, without saving it."""
    parser = bundle.ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    parser["bundle_root"] = str(folder)
    parser["postprocessing"]["transforms"].pop()
    before, after, inferer, net = (
        parser.get_parsed_content(name)
        for name in ("preprocessing", "postprocessing", "inferer", "network_def")
    )
    net.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
    allowing = pytest.importorskip("monai.transforms.utils").allow_missing_keys_mode
    with warnings.catch_warnings(), torch.no_grad(), allowing(before):
        warnings.simplefilter("ignore")
        data = before({"image": str(path)})
        image = data["image"]
        pred = inferer(image.as_tensor()[None], net.eval())[0]
        data["pred"] = type(image)(pred, affine=image.affine)
        return after(data)["pred"].as_tensor()


@pytest.mark.parametrize("make", [spleen, brats, binary])
def test_the_segmentation_is_that_of_the_bundle_by_monai(tmp_path, make):
    config, about = make()
    folder = write(tmp_path / "bundle", config, about)
    num_channels = about["network_data_format"]["inputs"]["image"]["num_channels"]
    path = volume(tmp_path / "volume.nii.gz", num_channels)
    expected = by_monai(folder, path)
    model = misure.load_model(f"monai:{folder}")
    found = misure.segment(model, path)
    names = about["network_data_format"]["outputs"]["pred"]["channel_def"].values()
    assert model.class_names == (("background",) if make is binary else ()) + tuple(names)
    assert model.multilabel == (make is brats)
    assert model.channel_names == (("T1c", "T1", "T2", "FLAIR") if make is brats else ())
    num_there = 0
    for index in range(found.num_classes):
        own = found.class_region(index)
        theirs = expected[index] > 0 if make is brats else expected[0] == index
        num_there += int(theirs.sum()) > 100
        assert 2 * int((own & theirs).sum()) / max(1, int(own.sum() + theirs.sum())) >= (
            0.9999 if bool(theirs.any()) else 0
        )
        assert bool(own.any()) == bool(theirs.any())
    assert num_there >= 2


def test_a_class_of_a_bundle_is_explained_with_gradients(tmp_path):
    folder = write(tmp_path / "bundle", *spleen())
    path = volume(tmp_path / "volume.nii.gz", 1)
    model = misure.load_model(f"monai:{folder}")
    options: dict[str, Any] = {"preset": "sufficient_region", "num_minimality_tests": 0}
    explanation = misure.explain(model, path, "spleen", **options)
    assert explanation.sufficient_region.shape == (22, 25, 13)
    assert explanation.sufficient_dice >= 0.9
    image = misure.read_image(path)
    bound = model.for_image(image, torch.from_numpy(nibabel.load(path).affine))
    image.requires_grad_()
    bound(image[None])[:, 1].sum().backward()
    assert image.grad is not None
    assert bool(torch.isfinite(image.grad).all())
    inside = (image > -57) & (image < 164) & (image != 0)
    assert float((image.grad != 0)[inside].float().mean()) > 0.5


TRANSFORMS: dict[str, list[dict[str, Any]]] = {
    "range": [of_image("ScaleIntensityRanged", a_min=-10, a_max=90, b_min=-1, b_max=1, clip=True)],
    "range without ends": [of_image("ScaleIntensityRanged", a_min=-10, a_max=90)],
    "scale by channel": [of_image("ScaleIntensityd", channel_wise=True, minv=-1, maxv=2)],
    "factor": [of_image("ScaleIntensityd", minv=None, maxv=None, factor=0.5)],
    "percentiles": [
        of_image(
            "ScaleIntensityRangePercentilesd",
            lower=5,
            upper=95,
            b_min=0,
            b_max=1,
            clip=True,
            relative=True,
            channel_wise=True,
        )
    ],
    "normalize": [of_image("monai.transforms.NormalizeIntensityd")],
    "normalize what is not 0": [TURN, RESAMPLE, NORMALIZE],
    "fixed": [
        of_image("NormalizeIntensityd", subtrahend=[1, 2], divisor=[4, 5], channel_wise=True)
    ],
    "diagonal": [of_image("Spacingd", pixdim=[2.0], diagonal=True)],
    "crop": [
        TURN,
        RESAMPLE,
        of_image("CropForegroundd", source_key="image", margin=3, k_divisible=8),
    ],
    "crop within": [of_image("CropForegroundd", source_key="image", margin=6, allow_smaller=True)],
    "divisible": [of_image("DivisiblePadd", k=16, method="end", mode="reflect")],
    "pad": [of_image("SpatialPadd", spatial_size=[27, 25, -1])],
    "pad or crop": [of_image("ResizeWithPadOrCropd", spatial_size=[27, 12, 14])],
    "centre": [of_image("CenterSpatialCropd", roi_size=[11, 30, -1])],
    "resize": [of_image("Resized", spatial_size=[16, 28, 16], mode="trilinear")],
    "resize by area": [of_image("Resized", spatial_size=[11, 25, -1])],
    "others' keys": [{"_target_": "Foreignd", "keys": "label", "value": "$import os"}],
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_give_the_numbers_of_monai(tmp_path, name):
    each = TRANSFORMS[name]
    path = volume(tmp_path / "volume.nii", 2)
    known = [*LOAD, *[one for one in each if one["_target_"] != "Foreignd"]]
    parser = bundle.ConfigParser({"all": {"_target_": "Compose", "transforms": known}})
    allowing = pytest.importorskip("monai.transforms.utils").allow_missing_keys_mode
    made = parser.get_parsed_content("all")
    with allowing(made):
        expected = made({"image": str(path)})["image"].as_tensor()
    resolver = Resolver({}, tmp_path)
    parts = parts_of(transforms_of([*LOAD, *each], resolver), resolver, ())
    image = misure.read_image(path)
    prepared = bound_preprocessing(parts, image, nibabel.load(path).affine, Preprocessing())
    inputs = prepared.to_input(image[None])[0]
    torch.testing.assert_close(inputs, expected, atol=2e-3, rtol=1e-6)


def changed(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """`spleen` with other values; None leaves one out."""
    config, about = spleen()
    for name, value in changes.items():
        target: Any = config
        *path, last = name.split("__")
        for key in path:
            target = target[key]
        target[last] = value
    return config, about


WRITES = "$__import__('pathlib').Path('{}').touch()"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": "$len([1, 2, 3])"}, "trust"),
        ({"num_classes": WRITES}, "trust"),
        ({"num_classes": "$@num_classes + 1"}, "go round"),
        ({"num_classes": "@nothing"}, "nothing"),
        ({"network_def__channels": ["$2 ** 99"]}, "trust"),
        ({"network_def___target_": "subprocess.Popen"}, "subprocess.Popen.*trust"),
        ({"network_def___target_": "os.path.UNet"}, "trust"),
        ({"network_def__act": {"_target_": "os.system", "command": "true"}}, "trust"),
        ({"network_def__no_such": 1}, "arguments of UNet"),
        ({"preprocessing__transforms": [*LOAD, of_image("Lambdad", func="$print")]}, "without=Lam"),
        ({"preprocessing__transforms": [*LOAD, of_image("os.Spacingd", pixdim=[1])]}, "Spacingd"),
        (
            {"preprocessing__transforms": [*LOAD, {**RESAMPLE, "padding_mode": "zeros"}]},
            "padding_mode='border'",
        ),
        (
            {
                "postprocessing__transforms": [
                    {"_target_": "KeepLargestConnectedComponentd", "keys": "pred"}
                ]
            },
            "without=KeepLargest",
        ),
        ({"inferer___target_": "SliceInferer"}, "SliceInferer"),
        ({"inferer__overlap": "much"}, "SlidingWindowInferer|overlap"),
    ],
)
def test_code_and_what_is_not_known_is_refused_by_name(tmp_path, changes, message):
    folder, mark = write(tmp_path / "bundle", *spleen()), tmp_path / "mark"
    config, _ = changed(**changes)
    text = json.dumps(config).replace(WRITES, WRITES.format(mark))
    (folder / "configs" / "inference.json").write_text(text)
    with pytest.raises(InputError, match=message):
        misure.load_model(f"monai:{folder}")
    assert not mark.exists()


def test_transforms_are_left_out_if_the_user_says_so(tmp_path):
    config, about = spleen()
    folder = write(tmp_path / "bundle", config, about)
    path = volume(tmp_path / "volume.nii.gz", 1)
    expected = misure.segment(misure.load_model(f"monai:{folder}"), path)
    config["preprocessing"]["transforms"].append(of_image("Lambdad", func="$lambda x: x"))
    config["postprocessing"]["transforms"].insert(0, {"_target_": "FillHolesd", "keys": "pred"})
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    model = misure.load_model(f"monai:{folder}", without="Lambdad,FillHolesd")
    assert torch.equal(misure.segment(model, path).class_map(), expected.class_map())


def test_a_trusted_bundle_may_use_expressions_and_networks_of_its_own(tmp_path):
    config, about = spleen()
    folder = write(tmp_path / "bundle", config, about)
    path = volume(tmp_path / "volume.nii.gz", 1)
    expected = misure.segment(misure.load_model(f"monai:{folder}"), path)
    (folder / "nets_of_bundle.py").write_text(
        "from monai.networks.nets import UNet\n\ndef make(**options):\n    return UNet(**options)\n"
    )
    config["network_def"]["_target_"] = "nets_of_bundle.make"
    config["network_def"]["channels"] = "$[2 ** n for n in (2, 3)]"
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="trust"):
        misure.load_model(f"monai:{folder}")
    model = misure.load_model(f"monai:{folder}", trust=True)
    assert torch.equal(misure.segment(model, path).class_map(), expected.class_map())


def test_bundles_in_yaml_and_nested_weights_are_read(tmp_path):
    yaml = pytest.importorskip("yaml")
    config, about = spleen()
    folder = write(tmp_path / "bundle", config, about)
    file = folder / "configs" / "inference.json"
    file.with_suffix(".yaml").write_text(yaml.safe_dump(config))
    file.unlink()
    weights = torch.load(folder / "models" / "model.pt", weights_only=True)
    torch.save({"model": weights, "epoch": 3}, folder / "models" / "model.pt")
    assert misure.load_model(f"monai:{folder}").class_names == ("background", "spleen", "liver")
    file.with_suffix(".yaml").write_text("!!python/object/apply:os.getcwd []")
    with pytest.raises(InputError, match="expected a configuration"):
        misure.load_model(f"monai:{folder}")


def test_folders_that_are_no_bundles_are_named(tmp_path):
    with pytest.raises(InputError, match="none at"):
        misure.load_model(f"monai:{tmp_path / 'none'}")
    with pytest.raises(InputError, match=r"inference\.json"):
        misure.load_model(f"monai:{tmp_path}")
    folder = write(tmp_path / "bundle", *spleen())
    (folder / "models" / "model.pt").rename(folder / "models" / "model.ts")
    with pytest.raises(InputError, match="torchscript:"):
        misure.load_model(f"monai:{folder}")
