"""`misure classes`: one line an object, a picture of them, and the next command."""

import json
import re
import shlex

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import toys
from misure.cli.app import main
from misure.cli.terminal import table
from misure.images.orientation import AS_STORED
from misure.images.regions import component_numbers
from misure.models.listed_objects import list_objects
from misure.models.segmentation import segment
from misure.testing import OwnBrightness
from misure.testing.toys import square_image

NETS = """
import torch
from misure.models.binding import Binding, FoundObject
from misure.models.model import SegmentationModel
from misure.testing import OwnBrightness
from misure.testing.toys import SHARPNESS

class Two(torch.nn.Module):
    '''Dark, grey (the class "a cat's; x") and bright (the class "dot").'''
    def forward(self, images):
        x = images[:, :1]
        return torch.cat([0.25 - x, 0.25 - (x - 0.5).abs(), x - 0.75], 1) * SHARPNESS

def two():
    return SegmentationModel(Two(), class_names=("background", "a cat's; x", "dot"))

def walls():
    return SegmentationModel(Two(), class_names=("wall", "a cat's; x", "dot"))
"""


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path):
    """A ring and a square of grey, 23 bright dots; and the network that tells them apart."""
    pixels = np.zeros((60, 70), np.uint8)
    pixels[5:35, 5:35] = 128
    pixels[10:30, 10:30] = 0
    pixels[40:50, 50:70] = 128
    for number in range(23):
        pixels[2 + 4 * (number % 12), 40 + 6 * (number // 12)] = 255
    pixels[54:57, 3:6] = 255
    (tmp_path / "my images").mkdir()
    Image.fromarray(pixels).save(tmp_path / "my images" / "a b.png")
    (tmp_path / "nets.py").write_text(NETS)
    return tmp_path


def network(folder, function="two"):
    return "--model", f"python:{folder}/nets.py:{function}", "--device", "cpu"


def cells(line):
    return re.split(r"  +", line.strip())


def test_each_object_has_a_line_with_a_pixel_inside_and_more_are_counted(folder):
    picture = folder / "my images" / "a b.png"
    done = run("classes", picture, *network(folder))
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    header = ["class_index", "class_name", "N", "pixels", "area", "centre"]
    assert cells(lines[0]) == header
    assert cells(lines[1])[:3] == ["0", "background", "3,468"]
    ring, square = cells(lines[2]), cells(lines[3])
    assert ring[:4] == ["1", "a cat's; x", "0", "500"]
    assert square[:4] == ["1", "a cat's; x", "1", "200"]
    dots = [cells(line) for line in lines[4:24]]
    assert [dot[2] for dot in dots] == [str(number) for number in range(20)]
    assert dots[0][1:] == ["dot", "0", "9", "0.2 %", "55,4"]
    assert lines[24] == (
        "dot: the largest 20 of 24 objects are listed, 4 more have the next numbers N."
    )
    with Image.open(picture) as file:
        pixels = np.asarray(file)
    parts = component_numbers(torch.from_numpy(pixels == 128)).numpy()
    for number, row in ((1, ring), (2, square)):
        place = tuple(map(int, row[-1].split(",")))
        assert parts[place] == number
    assert run("classes", picture, *network(folder), "--quiet").output == ""


def test_the_next_command_is_one_that_works(folder, monkeypatch):
    monkeypatch.chdir(folder / "my images")
    done = run("classes", "a b.png", *network(folder), "--out", "drawn.png")
    command = shlex.split(done.output.splitlines()[-1])
    assert command[:7] == [
        "misure",
        "explain",
        "a b.png",
        "--class",
        "a cat's; x",
        "--instance",
        "0",
    ]
    assert command[7:] == list(network(folder))
    quick = ["--preset", "sufficient_region", "--max-passes", "60", "--out", "out"]
    explained = run(*command[1:], *quick)
    assert explained.exit_code == 0, explained.output
    centre = cells(done.output.splitlines()[3])[-1]
    pointed = run("explain", "a b.png", *command[7:], "--point", centre, *quick[:-1], "at")
    assert pointed.exit_code == 0, pointed.output
    assert "4.8 % of the image (1.00 × the target" in pointed.output  # 200 of 4,200 pixels
    with Image.open("drawn.png") as drawn:
        assert drawn.text["Title"] == "misure classes"
        colours = np.asarray(drawn.convert("RGB")).reshape(-1, 3)
    assert (np.abs(colours.astype(int) - (230, 159, 0)).max(1) < 30).any()


def test_a_class_whose_name_nobody_can_type_is_explained_by_its_number(tmp_path):
    (tmp_path / "net.py").write_text(
        "from misure.models.model import SegmentationModel\n"
        "from misure.testing import OwnBrightness\n"
        "def make():\n"
        "    return SegmentationModel(OwnBrightness(), class_names=('background', 'a\\x1bb'))\n"
    )
    np.save(tmp_path / "one.npy", np.pad(np.ones((1, 8, 9), np.float32), [(0, 0), (5, 5), (5, 5)]))
    spec = ["--model", f"python:{tmp_path}/net.py:make"]
    said = run("classes", str(tmp_path / "one.npy"), *spec)
    assert said.exit_code == 0, said.output
    assert shlex.split(said.output.splitlines()[-1])[3:5] == ["--class", "1"]


def test_a_folder_names_its_images_and_the_first_object_to_explain(folder):
    Image.fromarray(np.zeros((60, 70), np.uint8)).save(folder / "my images" / "Empty.png")
    done = run("classes", folder / "my images", *network(folder))
    lines = done.output.splitlines()
    assert cells(lines[1])[:3] == ["Empty.png", "0", "background"]
    assert cells(lines[3])[:3] == ["a b.png", "1", "a cat's; x"]
    assert f"explain '{folder}/my images/a b.png' --class" in lines[-1]
    drawn = run("classes", folder / "my images", *network(folder), "--out", folder / "x.png")
    assert "expected one image with --out, got a folder of 2" in drawn.output


def test_only_a_class_named_as_a_background_is_one_line(folder):
    empty = folder / "empty.png"
    Image.fromarray(np.zeros((60, 70), np.uint8)).save(empty)
    assert "nothing but the background" in run("classes", empty, *network(folder)).output
    done = run("classes", empty, *network(folder, "walls"))
    assert cells(done.output.splitlines()[1])[:3] == ["0", "wall", "0"]


def test_a_volume_has_centres_with_three_numbers(tmp_path):
    import nibabel

    nibabel.save(nibabel.Nifti1Image(square_image(3)[0].numpy(), np.eye(4)), tmp_path / "v.nii")
    code = "from misure.testing import OwnBrightness\n"
    (tmp_path / "nets.py").write_text(code)
    model = ("--model", f"python:{tmp_path}/nets.py:OwnBrightness", "--device", "cpu")
    done = run("classes", tmp_path / "v.nii", *model, "--out", tmp_path / "v.png")
    assert done.exit_code == 0, done.output
    (row,) = (cells(line) for line in done.output.splitlines() if line.startswith("1 "))
    assert "voxels" in cells(done.output.splitlines()[0])
    listed = list_objects(segment(toys.model_of(OwnBrightness()), square_image(3)))
    centre = listed[-1].objects[0].centre
    assert row[-1] == ",".join(map(str, centre))
    assert square_image(3)[(0, *centre)] == 1
    assert (tmp_path / "v.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.jpg", "expected a picture to write that ends with .png"), ("b.png", "something else")],
)
def test_a_picture_never_replaces_another_file(folder, name, words):
    picture = folder / "my images" / "a b.png"
    Image.open(picture).save(folder / "b.png")
    done = run("classes", picture, *network(folder), "--out", folder / name)
    assert done.exit_code == 2
    assert words in done.output


def test_reported_objects_that_others_cover_have_no_pixel_to_name_them():
    from misure.models.binding import FoundObject
    from misure.models.segmentation import Segmentation

    regions = torch.zeros(3, 8, 8, dtype=torch.bool)
    regions[0, :6, :6] = regions[1, 1:3, 1:3] = regions[2, 4:8, 4:8] = True
    scores = (0.9, 0.5, 0.95)
    objects = [FoundObject(1, *pair) for pair in zip(scores, regions, strict=True)]
    logits = torch.stack([torch.zeros(8, 8), regions.any(0) * 2.0 - 1])
    found = Segmentation(toys.model_of(OwnBrightness()), logits, torch.device("cpu"), objects)
    listed = list_objects(found)[0].objects
    assert [(each.instance, each.num_pixels, each.score) for each in listed] == [
        (0, 36, 0.9), (1, 16, 0.95), (2, 4, 0.5)
    ]  # fmt: skip
    assert listed[2].centre is None
    for each in listed[:2]:
        target = found.target(1, point=each.centre)
        assert int(target.region.sum()) == each.num_pixels


def test_a_table_fits_the_terminal_and_loses_nothing():
    rows = [["a", "words that say what it is, and more of them"], ["b", "x" * 50]]
    assert table(["n", "what"], rows).splitlines()[1] == f"a  {rows[0][1]}"
    narrow = table(["n", "what"], rows, width=30).splitlines()
    assert max(map(len, narrow)) <= 30
    assert "".join(narrow).count("x") == 50
    assert table(["n", "what"], rows, width=160) == table(["n", "what"], rows)


def test_json_lists_the_same_objects(folder):
    picture = folder / "my images" / "a b.png"
    done = run("classes", picture, *network(folder), "--json")
    assert done.exit_code == 0, done.output
    (image,) = json.loads(done.stdout)
    assert image["image"] == str(picture)
    background, ring, dots = image["classes"]
    assert background == {
        "class_index": 0,
        "class_name": "background",
        "num_pixels": 3468,
        "area_fraction": 3468 / 4200,
        "num_objects": background["num_objects"],
        "objects": [],
    }
    assert [one["instance"] for one in ring["objects"]] == [0, 1]
    assert ring["objects"][1]["num_pixels"] == 200
    assert (dots["num_objects"], len(dots["objects"])) == (24, 20)
    lines = run("classes", picture, *network(folder)).output.splitlines()
    assert cells(lines[3])[-1] == ",".join(map(str, ring["objects"][1]["centre"]))


@pytest.mark.parametrize("num_classes", [2, 9])
def test_the_picture_calls_an_object_as_the_list_does(num_classes, tmp_path, monkeypatch):
    from misure.models.listed_objects import list_objects
    from misure.models.segmentation import Segmentation
    from misure.reports import objects_picture

    written = []
    monkeypatch.setattr(
        objects_picture, "_write_number", lambda axes, name, *rest: written.append(name)
    )
    logits = -torch.ones(num_classes + 1, 20, 20)
    logits[0] = 0
    for index in range(1, num_classes + 1):
        logits[index, 2 * index - 1, :4] = logits[index, 2 * index - 1, 8:10] = 1
    names = ["background", *(f"a very long class {index}" for index in range(num_classes))]
    model = toys.model_of(OwnBrightness(), class_names=names)
    listed = list_objects(Segmentation(model, logits, torch.device("cpu")))
    objects_picture.save_objects_picture(
        torch.rand(1, 20, 20), listed, tmp_path / "x.png", order=AS_STORED, name="x"
    )
    assert sorted(one.split()[-1] for one in written) == sorted(["0", "1"] * num_classes)
    assert all(one in "01" for one in written) == (num_classes < 8)
