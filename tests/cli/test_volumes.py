"""Volumes of several files and of other formats, on the command line."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

import misure
import toys
from misure.cli.app import main

AFFINE = np.array([[-2.0, 0, 0, 30], [0, -2, 0, 40], [0, 0, 5, -50], [0, 0, 0, 1]])
CODE = f"""
import sys
sys.path.insert(0, {str(Path(toys.__file__).parent)!r})
import torch, toys

class OfTheSecond(torch.nn.Module):
    def __init__(self, num):
        super().__init__()
        self.num, self.own = num, toys.OwnBrightness()
    def forward(self, x):
        assert x.shape[1] == self.num
        return self.own(x[:, -1:])

def one():
    return OfTheSecond(1)

def two():
    return OfTheSecond(2)
"""
VOLUME = np.zeros((12, 11, 10), np.float32)
VOLUME[4:8, 4:8, 4:8] = 1
TARGET = VOLUME > 0
QUICK = ["--class", "1", "--preset", "sufficient_region", "--max-passes", "40", "--quiet"]


def _run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    (folder / "nets.py").write_text(CODE)
    (folder / "imagesTs").mkdir()
    for number, voxels in enumerate((np.zeros_like(VOLUME), VOLUME)):
        image = nibabel.Nifti1Image(voxels, AFFINE)
        nibabel.save(image, folder / f"imagesTs/case_000{number}.nii.gz")
    return folder


def _two(folder):
    return "--model", f"python:{folder}/nets.py:two", "--model-option", "num_channels=2"


def _one(folder):
    return "--model", f"python:{folder}/nets.py:one", "--model-option", "num_channels=1"


def _files(folder):
    return ",".join(f"{folder}/imagesTs/case_000{number}.nii.gz" for number in (0, 1))


def test_classes_of_several_files(folder):
    done = _run("classes", _files(folder), *_two(folder))
    assert done.exit_code == 0, done.output
    assert f"{TARGET.sum():,}" in done.output


@pytest.mark.parametrize("extra", [(), pytest.param(("--slice", "6"), marks=pytest.mark.slow)])
def test_channels_in_several_files(folder, tmp_path, monkeypatch, extra):
    monkeypatch.chdir(tmp_path)
    done = _run("explain", _files(folder), *_two(folder), *QUICK, *extra)
    assert done.exit_code == 0, done.output
    out = tmp_path / ("misure-case-slice6-1" if extra else "misure-case-1")
    assert json.loads((out / "explanation.json").read_text())["image"] == _files(folder)
    written = nibabel.load(out / "target.nii.gz")
    assert np.allclose(written.affine, AFFINE)
    assert written.shape == TARGET.shape
    inside = np.asarray(written.dataobj) > 0
    assert inside.any()
    assert not (inside & ~TARGET).any()
    assert extra or np.array_equal(inside, TARGET)
    labels = nibabel.load(out / "labels.nii.gz")
    assert np.allclose(labels.affine, AFFINE)
    assert np.array_equal(np.isin(np.asarray(labels.dataobj), (1, 3)), inside)
    assert {path.name for path in out.glob("labels*")} == {
        "labels.nii.gz",
        "labels.ctbl",
        "labels.txt",
    }


def test_wrong_files_of_channels_are_one_sentence(folder):
    first = folder / "imagesTs/case_0000.nii.gz"
    for image, words in (
        (first, "expected 2 channels, got 1"),
        (f"{first},{folder}/none.nii.gz", "expected an image file, found none at"),
        (f"{folder}/imagesTs/case_0001.nii.gz,{first}", "in the order 0000, 0001, got files"),
    ):
        done = _run("explain", image, *_two(folder), *QUICK)
        assert done.exit_code == 2
        assert words in done.output
        assert len(done.output.strip().splitlines()) == 1


def test_a_run_over_cases(folder, tmp_path):
    model = misure.load_model(f"python:{folder}/nets.py:two", num_channels=2, device="cpu")
    plan = misure.RunPlan(method="input_x_gradient")
    misure.run(str(folder / "imagesTs"), model=model, out=tmp_path / "run", plan=plan)
    records = misure.read_run(tmp_path / "run")
    assert [record.key for record in records] == ["case#1"]
    assert np.allclose(records[0].affine, AFFINE)
    done = _run("export", tmp_path / "run", "--nifti", tmp_path / "out")
    assert done.exit_code == 0, done.output
    written = list((tmp_path / "out").rglob("target.nii.gz"))
    assert len(written) == 1
    assert np.allclose(nibabel.load(written[0]).affine, AFFINE)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["nrrd", "mha", "dicom"])
def test_regions_lie_on_the_voxels_of_other_formats(folder, tmp_path, suffix):
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.Cast(sitk.ReadImage(f"{folder}/imagesTs/case_0001.nii.gz") * 100, sitk.sitkInt16)
    path = tmp_path / f"v.{suffix}"
    if suffix == "dicom":
        path.mkdir()
        for k in range(image.GetDepth()):
            plane = image[:, :, k]
            where = image.TransformIndexToPhysicalPoint((0, 0, k))
            plane.SetMetaData("0020|000e", "1.2.3")
            plane.SetMetaData("0020|0032", "\\".join(map(str, where)))
            plane.SetMetaData("0020|0037", "1\\0\\0\\0\\1\\0")
            writer = sitk.ImageFileWriter()
            writer.KeepOriginalImageUIDOn()
            writer.SetFileName(str(path / f"{99 - k}.dcm"))
            writer.Execute(plane)
    else:
        sitk.WriteImage(image, str(path))
    for extra in ((), ("--slice", "6")):
        out = tmp_path / f"out{len(extra)}"
        done = _run("explain", path, *_one(folder), *QUICK, *extra, "--out", out)
        assert done.exit_code == 0, done.output
        written = nibabel.load(out / "target.nii.gz")
        assert np.allclose(written.affine, AFFINE)
        inside = np.asarray(written.dataobj) > 0
        assert inside.any()
        assert not (inside & ~TARGET).any()
        assert extra or np.array_equal(inside, TARGET)
