import json
import shutil

import h5py
import nibabel
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import misure
from misure.cli.app import main
from misure.datasets import Reading, open_dataset
from misure.datasets.synapse.dataset import CLASS_NAMES, SynapseSlices, SynapseVolumes, is_phantom
from misure.datasets.synapse.labels import (
    BTCV_LABELS,
    LABEL_MAPS,
    TEST_CASES,
    TRAIN_CASES,
    label_map,
)
from misure.datasets.synapse.prepare import prepare_synapse

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
        with pytest.raises(
            misure.InputError, match="a label map, btcv, totalsegmentator or NUMBER"
        ):
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


def test_numbers_in_other_files_are_not_read(tmp_path):
    path = tmp_path / "test_vol_h5/case0001.npy.h5"
    image, label = _arrays()
    _write_h5(tmp_path / "secret.h5", image=image, label=label)
    _write_h5(path, label=label)
    with h5py.File(path, "a") as file:
        file["image"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "image")
    with pytest.raises(misure.InputError, match="expected data sets image and label"):
        SynapseVolumes(tmp_path)[0]
    (tmp_path / "secret.bin").write_bytes(image.tobytes())
    with h5py.File(path, "w") as file:
        outside = [(str(tmp_path / "secret.bin"), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("image", image.shape, image.dtype, external=outside)
        file["label"] = label
    with pytest.raises(misure.InputError, match="they lie in another file"):
        SynapseVolumes(tmp_path)[0]


def test_arrays_without_a_shape(tmp_path):
    path = tmp_path / "test_vol_h5/case0001.npy.h5"
    _write_h5(path, image=h5py.Empty("f"), label=_arrays()[1])
    with pytest.raises(misure.InputError, match="expected an HDF5 file with image and label"):
        SynapseVolumes(tmp_path)[0]


@pytest.mark.parametrize("number", [0, "NaN", "1" + "0" * 400])
def test_affines_that_are_none_are_left_out(tmp_path, number):
    _prepared(tmp_path)
    row = f"[{', '.join([str(number)] * 4)}]"
    record = (
        '{"misure_version": "0.1.0", "class_names": [], "settings": {"labels": {}, "intensity": "", '
        '"test": "published", "phantom": false}, "cases": {"case0001": {"split": "test", "shape": '
        '[3, 4, 4], "voxel_size_mm": [1, 1, 1], "organs": [], "files": {}, "affine": AFFINE}}}'
    )
    (tmp_path / "prepare.json").write_text(record.replace("AFFINE", str(np.eye(4).tolist())))
    assert torch.equal(SynapseVolumes(tmp_path)[0].affine, torch.eye(4, dtype=torch.float64))
    for content in (record.replace("AFFINE", f"[{', '.join([row] * 4)}]"), "[" * 200_000):
        (tmp_path / "prepare.json").write_text(content)
        assert SynapseVolumes(tmp_path)[0].affine is None


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
    monkeypatch.setattr("misure.datasets.synapse.files.VOXEL_LIMIT", 100)
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


def _stored_as(path, codes, to):
    file = nibabel.load(path)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(file.affine), nibabel.orientations.axcodes2ornt(codes)
    )
    nibabel.save(file.as_reoriented(turn), to)


def _phantom(folder, *options):
    arguments = ["prepare", "phantom", str(folder), "--size", "40", "--slices", "12", *options]
    result = CliRunner().invoke(main, [*arguments, "--cases", "5"])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    output = _phantom(folder)
    assert "5 phantoms, no patients" in output
    assert "3 cases for training, 2 for testing (PHANTOM); 0 were there already" in output
    return folder


def test_a_phantom_is_prepared_and_read(phantom):
    assert is_phantom(phantom)
    assert is_phantom(phantom / "raw")
    test, train = SynapseSlices(phantom), SynapseSlices(phantom, "train")
    assert test.is_phantom
    assert {key.split("/")[0] for key in test.keys} == {"case0008", "case0022"}
    assert {key.split("_")[0] for key in train.keys} == {"case0031", "case0007", "case0009"}
    assert len(train) == 36
    lists = phantom / "lists"
    assert lists.joinpath("train.txt").read_text().split() == train.keys
    assert lists.joinpath("test_vol.txt").read_text().split() == ["case0008", "case0022"]
    raw = SynapseSlices(phantom / "raw")
    assert raw.keys == test.keys
    raw_train = SynapseSlices(phantom / "raw", "train")
    assert len({key.split("/")[0] for key in raw_train.keys}) == 3
    for i in range(0, len(test), 5):
        assert torch.equal(raw[i].image, test[i].image)
        assert torch.equal(raw[i].annotation, test[i].annotation)


def test_organs_of_a_phantom_lie_where_they_belong(phantom):
    for volume in (SynapseVolumes(phantom)[i] for i in range(2)):
        assert volume.annotation.unique().tolist() == list(range(9))
        middle = {
            name: (volume.annotation == i).nonzero().double().mean(0)
            for i, name in enumerate(CLASS_NAMES)
        }
        for left, right in (("spleen", "liver"), ("left kidney", "right kidney")):
            assert middle[left][2] > middle[right][2]  # right is on the left
        assert middle["stomach"][1] < middle["aorta"][1]  # front is up
        assert middle["liver"][0] > middle["right kidney"][0]  # feet first
        hu = volume.image[0] * 400 - 125
        assert hu[volume.annotation == 5].mean() == pytest.approx(108, abs=20)


def test_the_affine_is_kept(phantom):
    sample = SynapseVolumes(phantom)[0]
    record = json.loads((phantom / "prepare.json").read_text())
    assert record["settings"]["phantom"]
    assert record["cases"]["case0008"]["voxel_size_mm"] == pytest.approx([220 / 12, 9, 9])
    raw = nibabel.load(phantom / "raw/img/img0008.nii.gz")
    assert raw.header["descrip"].item() == b"misure phantom"
    voxel = [4, 20, 11]
    at = sample.affine.numpy() @ [*voxel, 1]
    i, j, k = (np.linalg.inv(raw.affine) @ at)[:3].round().astype(int)
    expected = (float(raw.dataobj[i, j, k]) + 125) / 400
    assert float(sample.image[0, *voxel]) == pytest.approx(min(max(expected, 0), 1), abs=1e-6)


def test_slices_know_their_place(phantom):
    volume = SynapseVolumes(phantom)[0]
    for spec in (f"synapse:{phantom}", f"synapse-train:{phantom}"):
        samples = open_dataset(spec)
        sample = samples[3]
        case, _, number = sample.key.replace("/", "_").rpartition("_slice")
        whole = torch.tensor(
            json.loads((phantom / "prepare.json").read_text())["cases"][case]["affine"]
        )
        step = torch.tensor([int(number), 5.0, 7.0, 1.0], dtype=torch.float64)
        in_plane = torch.tensor([0.0, 5.0, 7.0, 1.0], dtype=torch.float64)
        assert torch.allclose(whole.double() @ step, sample.affine @ in_plane)
    assert volume.affine is not None


def test_the_same_seed_gives_the_same_files(phantom, tmp_path):
    _phantom(tmp_path, "--raw-only")
    assert not (tmp_path / "prepare.json").exists()
    orientations = set()
    for path in sorted(phantom.glob("raw/*/*.nii.gz")):
        assert path.read_bytes() == (tmp_path / path.relative_to(phantom)).read_bytes()
        orientations.add(nibabel.aff2axcodes(nibabel.load(path).affine))
    assert len(orientations) == 4
    _phantom(tmp_path / "other", "--raw-only", "--seed", "1")
    name = "raw/img/img0008.nii.gz"
    assert (tmp_path / "other" / name).read_bytes() != (phantom / name).read_bytes()


def test_the_same_body_stored_in_two_ways_prepares_alike(phantom, tmp_path):
    for number, codes in (("0001", "RAS"), ("0002", "SPL"), ("0003", "AIL")):
        for part in ("img", "label"):
            (tmp_path / f"raw/{part}").mkdir(parents=True, exist_ok=True)
            _stored_as(
                phantom / f"raw/{part}/{part}0008.nii.gz",
                codes,
                tmp_path / f"raw/{part}/{part}{number}.nii.gz",
            )
    misure_prepare(tmp_path / "raw", tmp_path / "out")
    prepared = SynapseVolumes(tmp_path / "out")
    expected = SynapseVolumes(phantom)[0]
    assert is_phantom(tmp_path / "out")  # the headers of copies say so, too
    for sample in (prepared[i] for i in range(3)):
        assert torch.equal(sample.image, expected.image)
        assert torch.equal(sample.annotation, expected.annotation)
        assert torch.allclose(sample.affine, expected.affine, atol=1e-4)


def misure_prepare(raw, out, *options, exit_code=0):
    result = CliRunner().invoke(main, ["prepare", "synapse", str(raw), str(out), *options])
    assert result.exit_code == exit_code, result.output
    return " ".join(result.output.split())


def test_it_goes_on_where_it_stopped(phantom, tmp_path):
    raw, out = phantom / "raw", tmp_path / "out"
    misure_prepare(raw, out)
    files = [out / "test_vol_h5/case0008.npy.h5", out / "train_npz/case0007_slice003.npz"]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    files[0].unlink()
    files[1].unlink()
    assert "3 were there already" in misure_prepare(raw, out)
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    assert {p for p in before if before[p] == after[p]} == {
        p for p in before if "0007" not in p.name
    }
    assert files[0].exists()
    assert not list(out.rglob("*unfinished*"))
    shutil.rmtree(out / "lists")
    assert "5 were there already" in misure_prepare(raw, out)
    assert (out / "lists/train.txt").exists()
    said = misure_prepare(raw, out, "--labels", "8=1", exit_code=2)
    assert "expected the settings that" in said
    assert "got others: labels: {'0': 0, '1': 7," in said
    assert "there, {'8': 1} now. Name another folder." in said
    known = json.loads((out / "prepare.json").read_text())
    entry = {"split": "test", "shape": "x", "files": {}}
    for damaged in (
        [], known | {"cases": {"case0001": {}}},
        known | {"cases": {"case0001": entry}},
        known | {"cases": {"case0001": known["cases"]["case0008"] | {"split": "dev"}}},
        known | {"more": 1},
    ):  # fmt: skip
        (out / "prepare.json").write_text(json.dumps(damaged))
        assert "expected a folder that misure prepared" in misure_prepare(raw, out, exit_code=2)
    (out / "prepare.json").write_text("[" * 200_000)
    assert "expected a folder that misure prepared" in misure_prepare(raw, out, exit_code=2)


def test_files_of_somebody_else_are_left_alone(phantom, tmp_path):
    foreign = tmp_path / "out/train_npz/case0007_slice900.npz"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"somebody's")
    said = misure_prepare(phantom / "raw", tmp_path / "out", exit_code=2)
    assert "or one that misure prepared, got" in said
    assert "with case0007_slice900.npz, which misure did not write" in said
    assert [path.name for path in (tmp_path / "out").rglob("*.*")] == [foreign.name]


def test_a_case_of_other_raw_files_is_made_anew_and_said_so(phantom, tmp_path):
    raw = shutil.copytree(phantom / "raw", tmp_path / "raw")
    misure_prepare(raw, tmp_path / "out")
    (raw / "img/img0008.nii.gz").write_bytes((raw / "img/img0007.nii.gz").read_bytes())
    (raw / "label/label0008.nii.gz").write_bytes((raw / "label/label0007.nii.gz").read_bytes())
    said = misure_prepare(raw, tmp_path / "out")
    assert "4 were there already" in said
    assert "Made again, as their raw files have changed: case0008." in said


def test_preparing_killed_at_the_first_case_goes_on(phantom, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("misure.datasets.synapse.prepare._entry", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare_synapse(phantom / "raw", tmp_path / "out")
    assert any((tmp_path / "out").rglob("case*"))
    assert "0 were there already" in misure_prepare(phantom / "raw", tmp_path / "out")


def test_other_cases_and_labels(phantom, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for part in ("img", "label"):
        for number in ("0001", "0077"):
            source = phantom / f"raw/{part}/{part}0008.nii.gz"
            (raw / f"{part}{number}.nii.gz").write_bytes(source.read_bytes())
    said = misure_prepare(raw, tmp_path / "a")
    assert "0 cases for training, 2 for testing (PHANTOM); 0" in said  # also of copies
    assert "Not in the published split, so for testing: case0077. Use --test" in said
    said = misure_prepare(raw, tmp_path / "b", "--test", "0077")
    assert "1 case for training, 1 for testing (PHANTOM); 0" in said
    assert SynapseVolumes(tmp_path / "b").keys == ["case0077"]
    said = misure_prepare(raw, tmp_path / "c", "--test", "0002", exit_code=2)
    assert "expected test cases among those in" in said
    chosen = ",".join(f"{i}={int(i == 6) * 5}" for i in range(14))
    pair = f"{raw}/img0001.nii.gz,{raw}/label0001.nii.gz"
    misure_prepare(pair, tmp_path / "d", "--labels", chosen)
    assert SynapseVolumes(tmp_path / "d")[0].annotation.unique().tolist() == [0, 5]
    said = misure_prepare(pair, tmp_path / "e", "--labels", "8=1", exit_code=2)
    assert "expected labels among 0, 8, got 1, 2, 3" in said
    assert not (tmp_path / "e").exists()
    (raw / "label77.nii.gz").write_bytes(b"")
    (raw / "img77.nii.gz").write_bytes(b"")
    said = misure_prepare(raw, tmp_path / "f", exit_code=2)
    assert "expected files with different numbers" in said


@pytest.mark.parametrize(
    "options",
    [
        ["--cases", "31"],
        ["--size", "16"],
        ["--slices", "4"],
        ["--cases", "0"],
        ["--size", "100000"],
    ],
)
def test_phantoms_that_cannot_be_made(tmp_path, options):
    result = CliRunner().invoke(main, ["prepare", "phantom", str(tmp_path / "p"), *options])
    assert result.exit_code == 2
    assert "expected" in result.output


def test_phantoms_are_not_mixed_with_other_volumes(tmp_path):
    _phantom(tmp_path)
    _phantom(tmp_path, "--slices", "9")
    assert len(SynapseSlices(tmp_path, "train")) == 27
    assert len(SynapseVolumes(tmp_path)) == 2
    arguments = ["prepare", "phantom", str(tmp_path)]
    result = CliRunner().invoke(main, [*arguments, "--cases", "2"])
    assert "expected a folder without other volumes" in " ".join(result.output.split())
    (tmp_path / "raw/PHANTOM.txt").unlink()
    before = (tmp_path / "raw/img/img0008.nii.gz").read_bytes()
    assert CliRunner().invoke(main, [*arguments, "--cases", "5"]).exit_code == 2
    assert (tmp_path / "raw/img/img0008.nii.gz").read_bytes() == before
