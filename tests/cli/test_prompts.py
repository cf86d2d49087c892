"""`--prompt`, on a promptable network whose masks are known."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import misure
from misure.cli.app import main
from prompt_toys import two_squares


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nets.py").write_text("from prompt_toys import nearby\n")
    pixels = (255 * two_squares()[0]).byte().numpy()
    Image.fromarray(np.stack([pixels] * 3, -1)).save(tmp_path / "squares.png")
    return tmp_path


def run(folder, command, *arguments, fails=0):
    start = [command, folder / "squares.png", "--model", f"python:{folder}/nets.py:nearby"]
    result = CliRunner().invoke(main, [str(each) for each in [*start, *arguments]])
    assert result.exit_code == fails, result.output
    return result.output


def test_prompts_are_the_classes_of_an_image(folder):
    said = run(folder, "classes", "--prompt", "point:10,10", "--prompt", "box:8,30,18,40")
    rows = [line.split() for line in said.splitlines()[1:3]]
    listed = [["1", "box", "8,30,18,40", "0", "100"], ["0", "point", "10,10", "0", "64"]]
    assert [row[:5] for row in rows] == listed


def test_the_mask_of_one_prompt_is_explained(folder):
    out = folder / "out"
    run(folder, "explain", "--prompt", "point:10,10", "--max-passes", 60, "--out", out)
    record = json.loads((out / "explanation.json").read_text())
    assert record["target"]["class_name"] == "point 10,10"
    assert record["target"]["pixels"] == 64
    assert record["model_settings"]["prompts"] == ["point:10,10"]


def test_the_dependence_on_the_prompt_is_written(folder):
    out = folder / "out"
    asked = ["--question", "prompt", "--option", "num_prompts=7", "--seed", 2, "--out", out]
    said = run(folder, "explain", "--prompt", "point:12,35", "--prompt", "point:10,10",
               "--class", "point 10,10", *asked)  # fmt: skip
    record = json.loads((out / "prompt.json").read_text())
    assert said.startswith(record["sentence"])
    assert "1 pass equivalent in" in said
    assert (record["prompt"], record["seed"]) == ("point:10,10", 2)
    assert [len(change["outcomes"]) for change in record["changes"]] == [7, 7]
    with np.load(out / "prompt.npz") as arrays:
        assert arrays["target"].sum() == 64
        assert arrays["agreement"].shape == (30, 44)
    with Image.open(out / "prompt.png") as picture:
        assert picture.width > 1000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["explain", "--class", "0"], "expected a prompt"),
        (["explain", "--prompt", "point:1,2", "--prompt", "point:9,9"], "expected --class or"),
        (["explain", "--prompt", "point:40,2"], "inside the image of 30 rows and 44 columns"),
        (["explain", "--prompt", "text:horse"], "got a text"),
        (["classes", "--prompt", "1,2"], "expected a prompt as point:R,C"),
        (
            ["explain", "--prompt", "point:10,10", "--question", "prompt", "--preset", "quick"],
            "num_prompts, shift_px, spreads, seed with --question prompt, got preset",
        ),
        (
            ["explain", "--prompt", "point:10,10", "--question", "prompt", "--robust", "0.9"],
            "no --robust with --question prompt",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(folder, arguments, says):
    command, *rest = arguments
    assert says in " ".join(run(folder, command, *rest, fails=2).split())


def test_a_network_without_prompts_refuses_the_question(folder):
    start = ["explain", folder / "squares.png", "--model", "triangle", "--class", "1"]
    asked = [*start, "--prompt", "point:1,2"]
    result = CliRunner().invoke(main, [str(each) for each in asked])
    assert result.exit_code == 2
    assert "takes images alone" in result.output


@pytest.mark.usefixtures("in_this_process")
def test_a_run_explains_the_masks_of_all_prompts(folder):
    (folder / "nets.py").rename(folder.parent / "nets.py")
    asked = ["run", folder, "--model", f"python:{folder.parent}/nets.py:nearby", "--out",
             folder.parent / "run", "--preset", "quick", "--prompt", "point:10,10",
             "--prompt", "box:8,30,18,40"]  # fmt: skip
    result = CliRunner().invoke(main, [str(each) for each in asked])
    assert result.exit_code == 0, result.output
    objects = misure.read_run(folder.parent / "run")
    found = sorted((each.target.class_name, each.target.pixels) for each in objects)
    assert found == [("box 8,30,18,40", 100), ("point 10,10", 64)]
