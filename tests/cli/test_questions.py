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
    assert done.output.startswith(f"{hidden.sentence}\n{hidden.classes_sentence}\n")
    assert hidden.target.made_from == "the annotation"
    assert f"{hidden.cost.pass_equivalents} pass equivalents" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--question", "blocking", "--class", 1], "by one of --missed, --box, --polygon and"),
        (
            ["--question", "blocking", "--class", 1, "--box", "1,1,5,5", "--point", "2,2"],
            "got --box and --point",
        ),
        (["--question", "blocking", "--point", "2,2"], "expected --class, the class that"),
        (["--class", 1, "--polygon", "1,2,3,4,5"], "a --polygon of three corners or more"),
        (
            ["--question", "leverage", "--class", 1, "--preset", "quick"],
            "edge_px, max_passes with --question leverage, got preset",
        ),
        (["--question", "leverage", "--class", 1, "--robust", 0.9], "no --robust with --question"),
        (
            ["--question", "necessary", "--class", 1, "--stability"],
            "--stability with --question sufficient or complete",
        ),
        (
            ["--question", "blocking", "--missed", "mask.json#a"],
            "FILE.json#ID with a number as ID",
        ),
        (["--question", "blocking", "--missed", "mask.json"], "found none at mask.json"),
        (["--missed", "mask.png", "--class", 1], "got --question sufficient with --missed"),
        (["--question", "blocking", "--missed", "mask.png"], "expected --class, the class that"),
        (
            ["--question", "blocking", "--missed", "mask.png", "--class", 1, "--instance", 0],
            "options that choose an object with --missed",
        ),
        (
            ["--question", "necessary", "--class", 1, "--other-image", "image.png"],
            "--other-image with --question sufficient or complete",
        ),
        (["--class", 1, "--option", "robust=0.9"], "expected --robust SHARE, got the option"),
        (
            ["--question", "all", "--class", 1, "--option", "lost_dice=0.3"],
            "with --option, got lost_dice, which is none",
        ),
        (
            ["--question", "complete", "--class", 1, "--lost-dice", 1],
            "--lost-dice of at least 0 and below 1, got 1.0",
        ),
        (["--class", 1, "--robust", 2], "robust above 0 and below 1, got 2.0"),
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


@pytest.mark.parametrize(
    ("arguments", "made_from", "num_pixels", "asked_dice"),
    [
        (["--box", "8,8,15,17"], "the box 8,8,15,17", 63, 0.5),
        (["--polygon", "10,10,10,14,14,14,14,10"], "the polygon", 25, 0.7),
        (["--point", "12,12"], "a disc of radius 1 px around the point 12,12", 5, 0.7),
    ],
)
def test_a_mark_stands_for_an_annotation(
    folder, arguments, made_from, num_pixels, asked_dice, monkeypatch
):
    monkeypatch.chdir(folder)
    asked = ["--question", "blocking", "--class", 1, "--max-passes", 60]
    done = _explain(folder, *asked, *arguments)
    assert done.exit_code == 0, done.output
    assert f"draw class 1 in {made_from}: Dice " in done.output
    (out,) = folder.glob("misure-image-1-*")
    hidden = misure.HiddenRegion.load(out / "blocking.npz")
    assert hidden.target.made_from == made_from
    assert int(hidden.target.region.sum()) == num_pixels
    assert hidden.values.threshold == asked_dice
    assert f"; {asked_dice:.2f} was asked for)." in done.output
    assert json.loads((out / "blocking.json").read_text())["target"]["made_from"] == made_from
    assert _explain(folder, *asked, *arguments, "--force").exit_code == 0


def test_a_mark_on_what_is_drawn_is_refused(folder):
    asked = ["--question", "blocking", "--class", 1, "--point", "12,12", "--out", folder / "out"]
    done = _explain(folder, *asked, net="own")
    assert done.exit_code == 2
    assert "does not draw, it reaches a Dice of 1.000 with the whole image" in done.output
    assert not (folder / "out").exists()


def _coco(folder, *polygons):
    content = {
        "images": [{"id": 7, "file_name": "image.png", "height": 30, "width": 30}],
        "annotations": [
            {"id": number, "image_id": 7, "category_id": 3, "segmentation": [polygon]}
            for number, polygon in enumerate(polygons, start=40)
        ],
        "categories": [{"id": 3, "name": "dining table"}, {"id": 4, "name": "cup"}],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return folder / "instances.json"


SQUARE = [10, 10, 15, 10, 15, 15, 10, 15]
CORNER = [0, 0, 4, 0, 4, 4, 0, 4]
TABLES = ["--model-option", "class_names=ground,diningtable", "--max-passes", 60]


def test_an_annotation_of_coco_names_its_object_and_its_class(folder, monkeypatch):
    pytest.importorskip("pycocotools.mask")
    monkeypatch.chdir(folder)
    asked = ["--question", "blocking", *TABLES, "--missed"]
    file = _coco(folder, SQUARE, CORNER)
    done = _explain(folder, *asked, f"{file}#40")
    assert done.exit_code == 0, done.output
    out = folder / "misure-image-diningtable-annotation-40"
    hidden = misure.HiddenRegion.load(out / "blocking.npz")
    assert hidden.target.made_from == "the annotation 40"
    expected = np.zeros((30, 30), bool)
    expected[10:15, 10:15] = True
    assert np.array_equal(hidden.target.region, expected)
    assert "makes the model draw the diningtable in the annotation 40: Dice 1.00" in done.output
    assert "draws ground (100 %); with the region hidden diningtable (100 %)." in done.output
    several = _explain(folder, *asked, file, "--class", "diningtable")
    assert several.exit_code == 2
    assert "got 40 (dining table, 2.8 % of the image), 41 (dining table" in several.output
    one = _explain(folder, *asked, file, "--class", "diningtable", "--point", "12,12")
    assert one.exit_code == 0, one.output
    other = _explain(folder, *asked, f"{file}#40", "--class", "ground")
    assert other.exit_code == 2
    assert "of class ground, got 40 (dining table" in other.output


def test_a_photograph_that_its_tag_turns_does_not_lie_as_it_was_annotated(folder):
    pytest.importorskip("pycocotools.mask")
    picture = Image.open(folder / "image.png")
    exif = picture.getexif()
    exif[0x0112] = 3  # upside down
    picture.save(folder / "image.png", exif=exif)
    asked = ["--question", "blocking", *TABLES, "--out", folder / "out"]
    done = _explain(folder, *asked, "--missed", _coco(folder, SQUARE))
    assert done.exit_code == 2
    assert "its EXIF tag turns" in done.output


def test_leverage_is_a_map_in_units_of_dice(folder):
    asked = ["--class", 1, "--question", "leverage", "--out", folder / "out", "--max-passes", 5]
    done = _explain(folder, *asked, "--option", "num_parts=8", net="own")
    assert done.exit_code == 0, done.output
    out = folder / "out"
    record = json.loads((out / "leverage.json").read_text())
    assert record["image"] == str(folder / "image.png")
    assert len(record["parts"]) == 4  # of eight, for five passes
    assert done.output.startswith(record["sentence"])
    assert "5 pass equivalents" in done.output
    arrays = np.load(out / "leverage.npz")
    assert np.array_equal(np.isnan(arrays["leverage"]), ~arrays["target"])
    assert (arrays["leverage"][arrays["target"]] == 0).all()  # each pixel speaks for itself
    assert json.loads(str(arrays["record"])) == record
    with Image.open(out / "leverage.png") as picture:
        assert picture.width > 1.5 * picture.height > 600


def test_stability_is_said_beside_the_region(folder, monkeypatch):
    monkeypatch.setattr("misure.reports.folders.save_pictures", lambda *_, **__: None)  # slow
    asked = ["--class", 1, "--preset", "quick", "--stability", "--out", folder / "out"]
    done = _explain(folder, *asked, net="own")
    assert done.exit_code == 0, done.output
    record = json.loads((folder / "out" / "stability.json").read_text())
    assert set(record["by_change"]) == {"shift", "noise", "jpeg", "seed"}
    assert record["left_out"] == {}
    assert done.output.startswith("Explained again, the region has an IoU with the first of ")
    assert f"({record['passes']} pass equivalents more)" in done.output


@pytest.mark.usefixtures("real_pictures")
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


def test_leverage_of_a_volume_lies_on_its_voxels(folder):
    volume = toys.OwnBrightness.image(3)[0].numpy()
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(volume, affine), folder / "volume.nii.gz")
    arguments = [
        "explain", folder / "volume.nii.gz", "--model", f"python:{folder}/nets.py:own",
        "--class", 1, "--question", "leverage", "--max-passes", 4, "--out", folder / "out",
    ]  # fmt: skip
    done = CliRunner().invoke(main, [str(one) for one in arguments])
    assert done.exit_code == 0, done.output
    written = nibabel.load(folder / "out" / "leverage.nii.gz")
    values = np.asarray(written.dataobj)
    assert np.array_equal(written.affine, affine)
    assert np.array_equal(np.isfinite(values), volume > 0.5)


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
