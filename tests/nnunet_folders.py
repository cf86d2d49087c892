"""Small result folders of nnU-Net v2: hand-written plans, networks trained for a few steps."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from scipy.ndimage import gaussian_filter

LABELS = {"background": 0, "dark": 1, "bright": 2}
REGIONS = {"background": 0, "whole": [1, 2], "core": [2]}


def make_plans(
    *,
    patch: Sequence[int],
    spacing: Sequence[float],
    normalisation: Sequence[str] = ("ZScoreNormalization",),
    masked: Sequence[bool] = (False,),
    transpose: Sequence[int] = (0, 1, 2),
    reader: str = "SimpleITKIO",
    resampling: str = "resample_data_or_seg_to_shape",
    options: Mapping[str, Any] | None = None,
    name: str = "3d_fullres",
    **more: Any,
) -> dict[str, Any]:
    """The plans of a network with two stages."""
    dims = len(patch)
    usual = {"is_seg": False, "force_separate_z": None}
    is_ours = resampling == "resample_data_or_seg_to_shape"
    data = (
        dict(options)
        if options is not None
        else usual | ({"order": 3, "order_z": 0} if is_ours else {})
    )
    probabilities = data | ({"order": 1} if "order" in data else {})
    configuration = {
        "data_identifier": f"nnUNetPlans_{name}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(patch),
        "median_image_size_in_voxels": list(patch),
        "spacing": list(spacing),
        "normalization_schemes": list(normalisation),
        "use_mask_for_norm": list(masked),
        "resampling_fn_data": resampling,
        "resampling_fn_seg": resampling,
        "resampling_fn_data_kwargs": data,
        "resampling_fn_seg_kwargs": data | {"is_seg": True},
        "resampling_fn_probabilities": resampling,
        "resampling_fn_probabilities_kwargs": probabilities,
        "batch_dice": False,
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": 2,
                "features_per_stage": [4, 8],
                "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
                "kernel_sizes": [[3] * dims] * 2,
                "strides": [[1] * dims, [2] * dims],
                "n_conv_per_stage": [1, 1],
                "n_conv_per_stage_decoder": [1],
                "conv_bias": True,
                "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
                "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }
    statistics = {
        "mean": 100.0, "std": 60.0, "percentile_00_5": 5.0, "percentile_99_5": 180.0,
        "min": 0.0, "max": 300.0, "median": 90.0,
    }  # fmt: skip
    return {
        "dataset_name": "Dataset999_Toy",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": list(spacing),
        "original_median_shape_after_transp": list(patch),
        "image_reader_writer": reader,
        "transpose_forward": list(transpose),
        "transpose_backward": [int(axis) for axis in np.argsort(transpose)],
        "configurations": {name: configuration | more},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            str(channel): statistics for channel in range(len(normalisation))
        },
    }


def make_image(
    shape: Sequence[int], num_channels: int = 1, *, border: int = 0, seed: int = 0
) -> np.ndarray:
    """Blobs (C, *spatial) float32 of three levels, with zeros in a border."""
    random = np.random.default_rng(seed)
    blobs = gaussian_filter(random.normal(size=shape), 3)
    cuts = np.quantile(blobs, [0.6, 0.85])
    image = (
        20 + 90.0 * np.digitize(blobs, cuts) + random.normal(scale=8, size=(num_channels, *shape))
    )
    image = np.clip(image, 1, 255)
    if border:
        inside = np.zeros(shape, dtype=bool)
        inside[tuple(slice(border, side - border // 2) for side in shape)] = True
        image = image * inside
    return image.astype(np.float32)


def make_folder(
    path: Path,
    plans: dict[str, Any],
    labels: Mapping[str, Any] = LABELS,
    *,
    folds: Sequence[str] = ("0",),
    trainer: str = "nnUNetTrainer",
    mirror_axes: Sequence[int] | None = None,
    steps: int = 60,
    more: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a result folder whose networks have learnt to tell the three levels of `make_image`."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    name = next(iter(plans["configurations"]))
    configuration = plans["configurations"][name]
    num_channels = len(configuration["normalization_schemes"])
    dataset = {
        "channel_names": {str(channel): f"T{channel + 1}" for channel in range(num_channels)},
        "labels": dict(labels),
        "numTraining": 1,
        "file_ending": ".png" if plans["image_reader_writer"] == "NaturalImage2DIO" else ".nii.gz",
    }
    has_regions = any(isinstance(value, list) for value in labels.values())
    if has_regions:
        dataset["regions_class_order"] = [1, 2]
    path.mkdir(parents=True)
    (path / "plans.json").write_text(json.dumps(plans))
    (path / "dataset.json").write_text(json.dumps(dataset))
    manager = PlansManager(json.loads(json.dumps(plans)))
    for fold in folds:
        net = _trained(manager, name, num_channels, has_regions, len(folds) + int(fold), steps)
        arguments = {
            "plans": plans, "configuration": name, "fold": fold, "dataset_json": dataset,
            "device": torch.device("cpu"),
        }  # fmt: skip
        checkpoint = {
            "network_weights": net.state_dict(),
            "optimizer_state": {},
            "grad_scaler_state": None,
            "logging": {"mean_fg_dice": [np.float32(0.5)], "ema_fg_dice": [np.float64(0.5)]},
            "_best_ema": np.float64(0.5),
            "current_epoch": 1,
            "init_args": arguments,
            "trainer_name": trainer,
            "inference_allowed_mirroring_axes": mirror_axes and tuple(mirror_axes),
        } | dict(more or {})
        (path / f"fold_{fold}").mkdir()
        torch.save(checkpoint, path / f"fold_{fold}" / "checkpoint_final.pth")
    return path


def _trained(
    manager: Any, name: str, num_channels: int, has_regions: bool, seed: int, steps: int
) -> torch.nn.Module:
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    configuration = manager.get_configuration(name)
    torch.manual_seed(seed)
    net = get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        num_channels,
        2 if has_regions else 3,
        deep_supervision=False,
    )
    optimizer = torch.optim.Adam(net.parameters(), 2e-2)
    dims = len(configuration.patch_size)
    for step in range(steps):
        image = make_image([16] * dims, num_channels, seed=1000 * seed + step)
        levels = torch.from_numpy(np.digitize(image.mean(0), [65, 155]))[None]
        inputs = torch.from_numpy((image - image.mean()) / image.std())[None]
        logits = net(inputs)
        if has_regions:
            regions = torch.stack([levels >= 1, levels >= 2], 1).float()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, regions)
        else:
            loss = torch.nn.functional.cross_entropy(logits, levels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def write_case(folder: Path, image: np.ndarray, affine: np.ndarray) -> list[str]:
    """Writes the channels of an image (C, I, J, K) as nnU-Net names them; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for channel, volume in enumerate(image):
        path = folder / f"case_{channel:04d}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(volume, affine), path)
        paths.append(str(path))
    return paths


def predict(
    folder: Path, files: list[str], out: Path, folds: Sequence[str], mirroring: bool
) -> Any:
    """What nnU-Net itself predicts for one case: its file, and probabilities (K, I, J, K)."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    out.mkdir(parents=True, exist_ok=True)
    predictor = nnUNetPredictor(
        use_mirroring=mirroring, device=torch.device("cpu"), allow_tqdm=False
    )
    predictor.initialize_from_trained_model_folder(str(folder), tuple(folds))
    predictor.predict_from_files_sequential([files], [str(out / "case")], save_probabilities=True)
    probabilities = np.load(out / "case.npz")["probabilities"]
    return out / "case.nii.gz", probabilities
