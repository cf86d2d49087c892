"""What a newcomer types: missing files, folders, commands and options that are none."""

import shlex

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from misure.cli.app import main
from misure.models.loaders import missing_path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def said(*arguments):
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    return " ".join(done.output.split())


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    for name in ("cat.png", "dog.png"):
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "pictures" / name)
    return tmp_path


@pytest.mark.usefixtures("here")
def test_everything_that_is_missing_is_named_before_the_network_is_loaded(monkeypatch):
    def load(*_arguments, **_options):
        raise AssertionError("loaded")

    monkeypatch.setattr("misure.models.loaders.load_model", load)
    text = said("explain", "ct.nii.gz", "--model", "onnx:net.onnx", "--class", 1)
    assert "explain: expected an image file, found none at ct.nii.gz." in text
    assert "And expected a network, found none at net.onnx (--model onnx:net.onnx)." in text
    text = said("classes", "pictures/cta.png", "--model", "triangel")
    assert "found none at pictures/cta.png. Did you mean 'cat.png'?" in text
    assert "got 'triangel'. Did you mean 'triangle'?" in text
    text = said("explain", "no/a.png", "--model", "triangle", "--class", 1, "--other-image", "b")
    assert "There is no folder no." in text
    assert "found none at b." in text
    text = said("explain", "pictures/cat.png", "--model", "triangle", "--class", 1, "--question",
                "blocking", "--missed", "truth.json#3")  # fmt: skip
    assert "expected an annotation, found none at truth.json#3" in text


@pytest.mark.usefixtures("here")
def test_a_folder_of_images_gives_the_commands_for_it():
    text = said("explain", "pictures", "--model", "triangle", "--class", 1)
    assert "expected one image, got a folder of 2 images." in text
    command = shlex.split(text.partition("begin with: ")[2].removesuffix("."))
    assert command == ["misure", "classes", "pictures/cat.png", "--model", "triangle"]
    assert run(*command[1:], "--device", "cpu").exit_code == 0
    assert "misure run pictures --model triangle --out run." in text


@pytest.mark.usefixtures("here")
def test_what_is_missing_or_no_command_says_what_to_type():
    text = said("explain")
    assert "Missing argument 'IMAGE'. First see what the network finds: misure classes" in text
    assert "Missing option '--model'. First see" in said("explain", "pictures/cat.png")
    assert "misure run FOLDER --model SPEC --out RUN" in said("run", "pictures")
    assert "No such command 'explian'. Did you mean 'explain'?" in said("explian", "a.png")
    assert "misure classes pictures/cat.png --model SPEC" in said("pictures/cat.png")
    assert "there is none in pictures" in said("status", "pictures")


def test_the_help_names_each_command_under_what_it_is_for():
    text = run("--help").output
    places = [text.index(word) for word in ("One image:", "  classes", "  explain", "Whole data sets:",
                                            "  run ", "  status", "Comparison", "  compare")]  # fmt: skip
    assert places == sorted(places)


def test_paths_in_specs(here):
    (here / "net.py").touch()
    assert missing_path("python:net.py:make") == ""
    assert missing_path("python:no.py:make") == "no.py"
    assert missing_path("hf:nvidia/segformer") == ""
    assert missing_path("hf:./models/none") == "./models/none"
    assert missing_path("trained:nets/one") == "nets/one"
    assert missing_path("triangle") == missing_path("torchvision:fcn_resnet50") == ""
