
import h5py
import numpy as np
import pytest
import torch

import misure
from misure.datasets import Reading, open_dataset
from misure.datasets.synapse import CLASS_NAMES, SynapseSlices, SynapseVolumes
from misure.datasets.synapse_labels import (
    BTCV_LABELS,
    LABEL_MAPS,
    TEST_CASES,
    TRAIN_CASES,
    label_map,
)

NUM_SLICES, SIDE = 3, 6


def _arrays(side=SIDE):
    rng = np.random.default_rng(0)
    image = rng.random((NUM_SLICES, side, side)).astype(np.float32)
    label = np.zeros(image.shape, np.float32)  # as published: floats
    label[1, 2, 3], label[2, 0, 1] = 8, 5
    return image, label


def _write_h5(path, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def _prepared(folder, axis=0):
    image, label = (np.moveaxis(one, 0, axis) for one in _arrays())
    _write_h5(folder / "test_vol_h5/case0001.npy.h5", image=image, label=label)
    (folder / "train_npz").mkdir()
    for k, (plane, labels) in enumerate(zip(*_arrays(), strict=True)):
        np.savez(folder / f"train_npz/case0005_slice{k:03d}.npz", image=plane, label=labels)


def test_numbers_of_the_organs():
    named = {name: LABEL_MAPS["btcv"][i] for i, name in enumerate(BTCV_LABELS)}
    assert named["aorta"] == 1
    assert named["stomach"] == 8
    assert [i for i, name in enumerate(BTCV_LABELS) if named[name]] == [1, 2, 3, 4, 6, 7, 8, 11]
    for name, index in named.items():
        assert index == 0 or CLASS_NAMES[index] == name
    total = LABEL_MAPS["totalsegmentator"]
    assert [total[i] for i in (1, 2, 3, 4, 5, 6, 7, 52, 117)] == [7, 4, 3, 2, 5, 8, 6, 1, 0]
    assert (len(TRAIN_CASES), len(TEST_CASES)) == (18, 12)
    assert not set(TRAIN_CASES) & set(TEST_CASES)
    for text in ("", "x", "1=9", "-1=2", "1:2"):
        with pytest.raises(misure.InputError, match="expected btcv, totalsegmentator or NUMBER"):
            label_map(text)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_prepared_files_of_either_axis_order(tmp_path, axis):
    _prepared(tmp_path, axis)
    image, label = _arrays()
    slices = open_dataset(f"synapse:{tmp_path}", Reading(1, intensity="window:-125:275"))
    assert slices.keys == ["case0001/slice001", "case0001/slice002"]
    assert torch.equal(slices[1].image, torch.from_numpy(image[2:3]))
    assert torch.equal(slices[1].annotation, torch.from_numpy(label[2]).long())
    volume = open_dataset(f"synapse-volumes:{tmp_path}")[0]
    assert volume.key == "case0001"
    assert torch.equal(volume.image, torch.from_numpy(image)[None])
    assert torch.equal(volume.annotation, torch.from_numpy(label).long())
    assert volume.affine is None
    chosen = open_dataset(f"synapse-volumes:{tmp_path}", Reading(slice_index=0))[0]
    assert torch.equal(chosen.image, torch.from_numpy(image[:1]))


def test_training_slices(tmp_path):
    _prepared(tmp_path)
    slices = SynapseSlices(tmp_path, "train")
    assert slices.keys == [f"case0005_slice00{k}" for k in range(3)]
    assert len(slices) == 3
    assert slices[1].annotation.unique().tolist() == [0, 8]
    assert slices.class_names == CLASS_NAMES
    assert not slices.is_phantom
    assert open_dataset(f"synapse-train:{tmp_path}").keys == slices.keys
    with pytest.raises(misure.InputError, match="expected split 'train' or 'test', got 'val'"):
        SynapseSlices(tmp_path, "val")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"image": _arrays()[0]}, "expected data sets image and label in .*, got image"),
        (
            {"image": _arrays()[0], "label": _arrays()[1][:2]},
            r"of one shape with 3 axes, got \(3, 6, 6\) and \(2, 6, 6\)",
        ),
        ({"image": _arrays()[0][0], "label": _arrays()[1][0]}, "one shape with 3 axes"),
        (
            {"image": _arrays()[0], "label": _arrays()[1].astype("S1")},
            "expected numbers as image and label, got float32 and .S1",
        ),
        (
            {"image": _arrays()[0] * 400 - 125, "label": _arrays()[1]},
            r"expected an image in \[0, 1\], got -1.* Hounsfield units, run misure prepare",
        ),
        ({"image": _arrays()[0], "label": _arrays()[1] + 4}, "expected labels from 0 to 8, got 12"),
        ({"image": _arrays()[0], "label": _arrays()[1] / 16}, "expected whole numbers as labels"),
    ],
)
def test_bad_volumes(tmp_path, arrays, words):
    _write_h5(tmp_path / "test_vol_h5/case0001.npy.h5", **arrays)
    with pytest.raises(misure.InputError, match=words):
        SynapseVolumes(tmp_path)[0]


def test_bad_files(tmp_path, monkeypatch):
    _prepared(tmp_path)
    path = tmp_path / "test_vol_h5/case0001.npy.h5"
    with pytest.raises(misure.InputError, match="expected a slice from 0 to 2, got 3 for case0001"):
        SynapseVolumes(tmp_path, Reading(slice_index=3))[0]
    with pytest.raises(misure.InputError, match="expected no --slice for a data set of slices"):
        SynapseSlices(tmp_path, reading=Reading(slice_index=3))
    for reading in (Reading(3), Reading(1, intensity="percentiles:1:99")):
        with pytest.raises(
            misure.InputError, match="expected a network of 1 channel and intensity"
        ):
            SynapseSlices(tmp_path, reading=reading)
    monkeypatch.setattr("misure.datasets.synapse_files.VOXEL_LIMIT", 100)
    with pytest.raises(misure.InputError, match="expected at most 100 voxels"):
        SynapseVolumes(tmp_path)[0]
    monkeypatch.undo()
    for content in (path.read_bytes()[:700], b"text"):
        path.write_bytes(content)
        with pytest.raises(misure.InputError, match="expected an HDF5 file with image and label"):
            SynapseVolumes(tmp_path)[0]
    slices = SynapseSlices(tmp_path, "train")
    for k, arrays in enumerate(
        [{"image": np.zeros((2, 2))}, {"image": np.array([{}]), "label": [0]}]
    ):
        np.savez(tmp_path / f"train_npz/case0005_slice00{k}.npz", **arrays)
        with pytest.raises(misure.InputError, match="expected arrays image and label in"):
            slices[k]
    for spec in ("synapse:", "synapse:nowhere"):
        with pytest.raises(misure.MissingDataError, match="expected a folder after the colon"):
            open_dataset(spec)
    for part in ("test_vol_h5", "train_npz"):
        folder = tmp_path / f"only_{part}"
        (folder / part).mkdir(parents=True)
        with pytest.raises(misure.MissingDataError, match=f"expected {part}/case000"):
            SynapseSlices(folder, "test" if part == "test_vol_h5" else "train")
