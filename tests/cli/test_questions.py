"""`misure explain --question`, on toys whose answer is known."""

import json
import re

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import misure
import toys
from misure.cli.app import main

NETWORK = """
import torch
class Inhibitor(torch.nn.Module):
    def forward(self, images):
        last = images[:, -1:].flatten(1).amax(1).view(-1, 1, *[1] * (images.ndim - 2))
        evidence = 10 * torch.minimum(images[:, :1] - 0.5, 0.5 - last)
        return torch.cat([-evidence, evidence], 1)
def own():
    from misure.testing.toys import OwnBrightness
    return OwnBrightness()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nets.py").write_text(NETWORK)
    image = (255 * toys.Beacon.image()).byte().movedim(0, -1).numpy()
    Image.fromarray(image).save(tmp_path / "image.png")
    mask = toys.Beacon.image()[0].numpy() > 0.5
    Image.fromarray((255 * mask).astype(np.uint8)).save(tmp_path / "mask.png")
    return tmp_path


def _explain(folder, *arguments, net="Inhibitor"):
    start = ["explain", folder / "image.png", "--model", f"python:{folder}/nets.py:{net}"]
    return CliRunner().invoke(main, [str(one) for one in [*start, *arguments]])


def _missed(folder, *arguments):
    asked = ["--question", "blocking", "--missed", folder / "mask.png", "--class", 1]
    return _explain(folder, *asked, "--out", folder / "out", "--max-passes", 90, *arguments)


def test_what_stands_in_the_way_is_written_and_said(folder):
    done = _missed(folder)
    assert done.exit_code == 0, done.output
    assert {path.name for path in (folder / "out").iterdir()} >= {
        "blocking.json", "blocking.npz", "blocking.png",
    }  # fmt: skip
    hidden = misure.HiddenRegion.load(folder / "out" / "blocking.npz")
    assert json.loads((folder / "out" / "blocking.json").read_text()) == hidden.record()
    beacon = toys.Beacon.image()[2] > 0.5
    assert not (beacon & ~hidden.region).any()
    assert hidden.dice >= 0.9
    assert hidden.values.image == str(folder / "image.png")
    assert done.output.startswith(hidden.sentence)
    assert f"{hidden.cost.pass_equivalents} pass equivalents" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--question", "blocking", "--class", 1], "got --question blocking without --missed"),
        (["--missed", "mask.png", "--class", 1], "got --question sufficient with --missed"),
        (["--question", "blocking", "--missed", "mask.png"], "expected --class, the class that"),
        (
            ["--question", "blocking", "--missed", "mask.png", "--class", 1, "--instance", 0],
            "options that choose an object with --missed",
        ),
        (
            ["--question", "necessary", "--class", 1, "--other-image", "image.png"],
            "--other-image with --question sufficient alone",
        ),
        (["--class", 1, "--robust", 2], "at_least above 0 and below 1, got 2.0"),
    ],
)
def test_questions_that_do_not_fit_are_refused(folder, arguments, said, monkeypatch):
    monkeypatch.chdir(folder)
    done = _explain(folder, *arguments, "--out", folder / "out")
    assert done.exit_code == 2
    assert said in done.output
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda mask: 3 * (mask > 0), "with the class 1, got .* with the numbers 0, 3. A mask has"),
        (lambda mask: mask[:20], r"of the image's shape \(30, 30\), got \(20, 30\)"),
        (lambda mask: 0 * mask, "with the numbers 0. A mask"),
    ],
)
def test_annotations_that_do_not_fit_are_refused(folder, change, said):
    mask = np.array(Image.open(folder / "mask.png"))
    Image.fromarray(change(mask).astype(np.uint8)).save(folder / "mask.png")
    done = _missed(folder)
    assert done.exit_code == 2
    assert not (folder / "out").exists()
    assert re.search(said, " ".join(done.output.split()))


def test_a_point_chooses_one_of_the_annotated_objects(folder):
    mask = np.array(Image.open(folder / "mask.png"))
    mask[25:28, 2:5] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    done = _missed(folder, "--point", "12,12")
    assert done.exit_code == 0, done.output
    hidden = misure.HiddenRegion.load(folder / "out" / "blocking.npz")
    assert int(hidden.target.region.sum()) == 25
    assert "on the annotated object" in _missed(folder, "--point", "0,0", "--force").output


def test_all_questions_are_answered_in_one_folder(folder):
    done = _explain(
        folder,
        "--class",
        1,
        "--question",
        "all",
        "--preset",
        "quick",
        "--out",
        folder / "out",
        net="own",
    )
    assert done.exit_code == 0, done.output
    out = folder / "out"
    assert {path.name for path in out.iterdir()} >= {
        "answer.json", "explanation.json", "explanation.npz", "overview.png", "necessary.json",
        "necessary.npz", "necessary.png", "surroundings.json", "surroundings.png",
    }  # fmt: skip
    record = json.loads((out / "answer.json").read_text())
    lines = done.output.splitlines()
    assert lines[: len(record["summary"])] == record["summary"]
    assert record["necessary"]["is_found"]
    assert not record["surroundings"]["is_found"]
    assert sum(record["passes"].values()) <= 250
    assert f"{sum(record['passes'].values())} pass equivalents" in lines[-1]
    assert misure.Explanation.load(out / "explanation.npz").dice >= 0.9


def test_volumes_get_their_region_as_nifti(folder):
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    volume = toys.OwnBrightness.image(3)[0].numpy()
    nibabel.save(nibabel.Nifti1Image(volume, affine), folder / "volume.nii.gz")
    done = CliRunner().invoke(
        main,
        [
            "explain", str(folder / "volume.nii.gz"), "--model", f"python:{folder}/nets.py:own",
            "--class", "1", "--question", "necessary", "--out", str(folder / "out"),
            "--max-passes", "60", "--quiet",
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.output == ""
    written = nibabel.load(folder / "out" / "necessary_region.nii.gz")
    hidden = misure.HiddenRegion.load(folder / "out" / "necessary.npz")
    assert np.array_equal(np.asarray(written.dataobj) > 0, hidden.region.numpy())
    assert np.array_equal(written.affine, affine)
    assert hidden.values.spacing_mm == [2.0, 2.0, 2.0]
