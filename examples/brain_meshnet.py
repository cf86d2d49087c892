"""A 3D network in a few lines: brainchop's MeshNet, for `misure explain --model python:...`.

    python examples/brain_meshnet.py t1.nii.gz crop.nii.gz
    MESHNET=FOLDER misure explain crop.nii.gz --model python:examples/brain_meshnet.py:meshnet \\
        --class Thalamus

FOLDER holds `layers.json` (a plain sequence of 3D convolutions and activations, with the class
names) and `weights.safetensors` (its keys are the positions in that sequence), as converted from
https://github.com/neuroneural/brainchop (MIT). The first command prepares a T1 head of 1 mm voxels
as the network wants it: clipped to its 5 % and 95 % quantiles and scaled to [0, 1]. It also crops
it to the middle 96³ voxels, with which a pass takes a second or two instead of a minute.
"""

import json
import os
import sys
from pathlib import Path

import nibabel
import numpy as np
from safetensors.torch import load_file
from torch import nn

import misure


def meshnet() -> misure.SegmentationModel:
    folder = Path(os.environ["MESHNET"])
    description = json.loads((folder / "layers.json").read_text())
    layers = nn.Sequential(*map(_layer, description["layers"]))
    layers.load_state_dict(load_file(folder / "weights.safetensors"))
    return misure.SegmentationModel(
        layers, class_names=description["classes"], num_channels=1, name=folder.name
    )


def _layer(layer: dict[str, int | str]) -> nn.Module:
    if layer["type"] != "conv3d":
        return {"elu": nn.ELU, "relu": nn.ReLU}[str(layer["type"])]()
    return nn.Conv3d(
        int(layer["in"]),
        int(layer["out"]),
        int(layer["kernel"]),
        dilation=int(layer["dilation"]),
        padding=int(layer["padding"]),
    )


def prepare(source: str, crop: str, side: int = 96) -> None:
    """Writes the scaled middle of a head as NIfTI, in its place in the world."""
    head = nibabel.load(source)
    voxels = head.get_fdata(dtype=np.float32)
    low, high = np.quantile(voxels, [0.05, 0.95])
    scaled = nibabel.Nifti1Image(((voxels - low) / (high - low)).clip(0, 1), head.affine)
    middle = [slice((length - side) // 2, (length + side) // 2) for length in voxels.shape]
    nibabel.save(scaled.slicer[tuple(middle)], crop)


if __name__ == "__main__":
    prepare(*sys.argv[1:])
