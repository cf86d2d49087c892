"""`misure explain --question channels`, on toys whose answer is known."""

import json

import nibabel
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from misure.cli.app import main
from toys import ByChannel, square_image

NETWORK = """
import torch
class Halves(torch.nn.Module):
    def forward(self, images):
        is_left = torch.arange(images.shape[-1]) < 10
        evidence = 10 * (torch.where(is_left, images[:, :1], images[:, 1:2]) - 0.5)
        return torch.cat([-evidence, evidence], 1)
"""
NAMED = ("--model-option", "channel_names=t1,t2,flair")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nets.py").write_text(NETWORK)
    generator = torch.Generator().manual_seed(0)
    for num_dimensions in (2, 3):
        image = ByChannel.image(num_dimensions, 3)
        image[2] *= torch.rand(image.shape[1:], generator=generator)
        stored = (255 * image).byte().movedim(0, -1).numpy()
        if num_dimensions == 2:
            Image.fromarray(stored).save(tmp_path / "image.png")
        else:
            file = nibabel.Nifti1Image((stored / 255).astype(np.float32), np.diag([1, 1, 1, 1]))
            nibabel.save(file, tmp_path / "image.nii.gz")
    return tmp_path


def ask(folder, *arguments, image="image.png"):
    start = ["explain", folder / image, "--model", f"python:{folder}/nets.py:Halves", "--class", 1]
    question = [*NAMED, "--question", "channels", "--out", folder / "out", *arguments]
    return CliRunner().invoke(main, [str(one) for one in [*start, *question]])


def test_channels_are_named_and_written(folder):
    done = ask(folder)
    assert done.exit_code == 0, done.output
    assert "Shown together, t1 and t2 (Dice 1.00) suffice for class 1" in done.output
    assert {path.name for path in (folder / "out").iterdir()} >= {"channels.json", "channels.png"}
    record = json.loads((folder / "out" / "channels.json").read_text())
    assert record["channel_names"] == ["t1", "t2", "flair"]
    assert [one["channels"] for one in record["sets"]] == [[0, 1]]
    assert record["is_smallest"]
    assert record["cost"]["forward_passes"] == 1 + 3 * 7


@pytest.mark.slow
@pytest.mark.parametrize("image", ["image.png", "image.nii.gz"])
def test_regions_by_channel_are_written(folder, image):
    options = ["--option", "channels=apart", "--preset", "quick", "--max-passes", 300]
    done = ask(folder, *options, image=image)
    assert done.exit_code == 0, done.output
    assert "flair nowhere" in done.output
    with np.load(folder / "out" / "channel_regions.npz") as arrays:
        region = arrays["region"]
    record = json.loads((folder / "out" / "channel_regions.json").read_text())
    assert record["dice"] >= 0.9
    assert [part["name"] for part in record["parts"]] == ["t1", "t2", "flair"]
    assert record["parts"][2]["share"] == 0
    written = folder / "out" / "channel_regions.nii.gz"
    assert written.exists() == (image == "image.nii.gz")
    if written.exists():
        stored = np.asarray(nibabel.load(written).dataobj)
        assert (np.moveaxis(stored, -1, 0) == region).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--option", "growth=first"], "expected no options but baseline_image, num_draws, max_"),
        (["--option", "channels=alone"], "expected channels=together or channels=apart, got"),
        (["--robust", "0.9"], "expected no --robust with --question channels"),
        (["--max-passes", "3"], "expected max_passes of at least 19, got 3"),
    ],
)
def test_bad_options_are_refused(folder, options, message):
    done = ask(folder, *options)
    assert done.exit_code == 2
    assert message in done.output


def test_an_image_of_one_channel_is_refused(folder):
    nibabel.save(nibabel.Nifti1Image(square_image(3)[0].numpy(), np.eye(4)), folder / "one.nii.gz")
    done = ask(folder, image="one.nii.gz")
    assert done.exit_code == 2


def explain_apart(folder, *arguments, image="image.png"):
    model = ("--model", f"python:{folder}/nets.py:Halves", "--class", 1, *NAMED)
    how = ("--channels", "apart", "--preset", "quick", "--out", folder / "out")
    given = ["explain", folder / image, *model, *how, *arguments]
    return CliRunner().invoke(main, [str(one) for one in given])


@pytest.mark.parametrize(
    ("image", "slices"),
    [
        ("image.png", ()),
        pytest.param("image.nii.gz", (), marks=pytest.mark.slow),
        pytest.param("image.nii.gz", ("--slice", 9), marks=pytest.mark.slow),
    ],
)
def test_both_regions_are_written(folder, image, slices):
    done = explain_apart(folder, *slices, image=image)
    assert done.exit_code == 0, done.output
    assert "flair nowhere" in done.output
    assert "flair         not shown" in done.output
    out = folder / "out"
    assert (out / "by_channel.png").stat().st_size > 5000
    record = json.loads((out / "explanation.json").read_text())["by_channel"]
    assert [one["name"] for one in record["channels"]] == ["t1", "t2", "flair"]
    assert record["channels"][2]["growth_px"] is None
    assert record["dice"] >= 0.9
    with np.load(out / "explanation.npz") as arrays:
        for name in ("sufficient_region_by_channel", "minimally_sufficient_region_by_channel"):
            region, file = arrays[name], out / f"{name}.nii.gz"
            assert region.any(axis=tuple(range(1, region.ndim))).tolist() == [True, True, False]
            assert file.exists() == (image == "image.nii.gz")
            if file.exists():
                stored = np.asarray(nibabel.load(file).dataobj)
                assert stored.shape == (20, 20, 20, 3)
                assert stored.sum((0, 1, 2)).tolist() == region.reshape(3, -1).sum(1).tolist()
                if not slices:
                    assert (np.moveaxis(stored, -1, 0) == region).all()


def test_a_hidden_region_by_channel_is_refused(folder):
    done = explain_apart(folder, "--question", "necessary")
    assert done.exit_code == 2
    assert "expected channels=together for a region that is hidden, got 'apart'" in done.output
