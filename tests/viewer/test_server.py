"""What the viewer's addresses answer, on right values."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import misure
import toys
import viewing
from misure.cli.app import main
from misure.images.orientation import lay_out
from misure.models.loaders import load_model
from misure.viewer.session import Session

NET = """
import torch
import misure

class OwnBrightness(torch.nn.Module):
    def forward(self, images):
        evidence = 30 * (images[:, :1] - 0.5)
        return torch.cat([-evidence, evidence], 1)

def make():
    return misure.SegmentationModel(OwnBrightness(), class_names=("dark", "a bright thing"))
"""


def _image():
    image = np.zeros((1, 24, 32), np.float32)
    image[0, 4:12, 5:15], image[0, 16:20, 20:30] = 1, 0.8
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("viewer")


@pytest.fixture(scope="module")
def client(folder):
    (folder / "net.py").write_text(NET)
    spec = f"python:{folder}/net.py:make"
    paths = viewing.files({"a": _image(), "b": _image()[:, ::-1].copy()}, folder)
    (folder / "out").mkdir()
    with viewing.viewer_of(paths, load_model(spec), folder / "out", spec=spec) as client:
        yield client


def test_the_state(client, folder):
    status, state = client.json("state")
    assert status == 200
    assert [image["number"] for image in state["images"]] == [0, 1]
    assert state["model"].startswith("python:")
    assert state["presets"] == [*misure.PRESETS]
    assert state["defaults"] == {"preset": "readable", "dice_threshold": 0.9}
    assert state["classes"] == ["dark", "a bright thing"]
    assert state["can_explain"] is True
    assert state["run"] is None
    assert state["out"] == str(folder / "out")


def test_the_working_directory_is_named(folder, monkeypatch):
    monkeypatch.chdir(folder)
    state = Session(None, None, Path()).state()
    assert state["out"] == str(folder)


def test_an_image_and_its_objects(client):
    status, image = client.json("images/0")
    assert status == 200
    assert (image["shape"], image["planes"], image["is_volume"]) == ([24, 32], ["image"], False)
    assert (image["value_range"], image["spacing_mm"]) == ([0, 1], None)
    first, second = image["objects"]
    assert first == {
        "number": 0, "class_index": 1, "class_name": "a bright thing", "instance": 0, "pixels": 80,
        "area_fraction": 80 / 768, "score": None, "centre": [7, 9], "box": [4, 5, 12, 15],
    }  # fmt: skip
    assert (second["instance"], second["pixels"], second["box"]) == (1, 40, [16, 20, 20, 30])


def test_pictures_and_labels(client):
    picture = client.pixels("images/0/picture")
    assert picture.shape == (24, 32)
    assert np.array_equal(picture, np.rint(255 * _image()[0]))
    narrow = client.pixels("images/0/picture?low=0.5&high=1.1&channel=0")
    assert narrow[5, 5] == pytest.approx(255 * 0.5 / 0.6, abs=0.6)
    assert narrow[16, 20] == pytest.approx(255 * 0.3 / 0.6, abs=0.6)
    assert narrow[0, 0] == 0
    assert client.pixels("images/0/picture?max_side=16").shape == (12, 16)
    labels = client.pixels("images/0/labels").astype(int)
    numbers = labels[..., 0] + 256 * labels[..., 1]
    assert np.array_equal(numbers == 1, _image()[0] == 1)
    assert np.array_equal(numbers == 2, _image()[0] == np.float32(0.8))


def test_a_picture_that_the_browser_has_is_not_sent_again(client):
    _, headers, data = client.get("images/0/picture")
    tag = {name.lower(): value for name, value in headers.items()}["etag"]
    assert data
    assert client.get("images/0/picture", {"If-None-Match": tag})[::2] == (304, b"")
    assert client.get("images/1/picture", {"If-None-Match": tag})[0] == 200


def test_superpixels_divide_the_plane(client):
    status, _, data = client.raw(
        "POST", f"/{client.token}/images/0/superpixels", json.dumps({"plane": "image", "slice": 0})
    )
    import io

    from PIL import Image

    numbers = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    numbers = numbers[..., 0] + 256 * numbers[..., 1]
    assert (status, numbers.shape) == (200, (24, 32))
    assert numbers.min() == 1
    assert set(np.unique(numbers)) == set(range(1, numbers.max() + 1))
    assert 20 < numbers.max() <= 250


def test_an_explanation_is_that_of_misure(client):
    entry = client.explained(image=0, object=1, preset="quick", seed=3)
    model = toys.model_of(toys.OwnBrightness(), class_names=("dark", "a bright thing"))
    image = torch.from_numpy(_image())
    target = misure.predicted_target(model, image, 1, instance=1)
    expected = misure.explain(model, image, target, preset="quick", seed=3)
    assert entry["status"] == "done"
    assert entry["sentence"] == expected.summary().replace(" x the target", " × the target")
    assert entry["passes"] == expected.cost.pass_equivalents == entry["max_passes"]
    path = f"explanations/{entry['id']}"
    for name in ("target", "sufficient_region", "minimally_sufficient_region"):
        assert name in entry["regions"]
        mask = client.pixels(f"{path}/regions/{name}")
        assert np.array_equal(mask == 255, expected.tensors()[name].numpy())
    grey, alpha = np.moveaxis(client.pixels(f"{path}/map"), -1, 0)
    saliency = expected.saliency_map.numpy()
    assert np.array_equal(alpha == 255, ~np.isnan(saliency))
    assert grey[alpha > 0].max() == 255
    top = np.nanargmax(saliency)
    assert grey.flat[top] == 255
    assert client.json(f"{path}/regions/nothing")[0] == 404


@pytest.mark.slow
def test_the_figures_are_those_of_the_command_line(client, folder):
    entry = client.explained(image=0, object=0, preset="quick")
    spec = f"python:{folder}/net.py:make"
    command = ["explain", f"{folder}/a.npy", "--model", spec, "--class", "1", "--instance", "0"]
    command += ["--preset", "quick", "--out", str(folder / "by_hand")]
    said = CliRunner().invoke(main, command).output
    lines = [line.split() for line in said.splitlines()]
    assert len(entry["figures"]) > 6
    for label, value, _ in entry["figures"][:7]:
        words = value.replace(" · ", " ").replace("Dice ", "").split()
        name = label.replace(" ", "_") if label.endswith("region") else label
        wanted = [*name.split(), *words]  # the command line may name an option after it
        assert any(
            [word.rstrip(";") for word in line][: len(wanted)] == wanted for line in lines
        ), label


def test_nested_regions_and_the_curve(client):
    entry = client.explained(image=0, object=0, options={"max_passes": 70})
    names = [name for name in entry["regions"] if name.startswith("nested:")]
    assert [f"nested:{threshold:g}" for threshold, *_ in entry["curve"]] == names
    assert len(names) > 2
    for name, (_, area, _) in zip(names, entry["curve"], strict=True):
        mask = client.pixels(f"explanations/{entry['id']}/regions/{name}")
        assert (mask == 255).mean() == pytest.approx(area)


@pytest.mark.slow
def test_saving_writes_what_explain_writes_and_never_over_it(client, folder):
    entry = client.explained(image=0, object=1, preset="quick", options={"max_passes": 30})
    status, saved = client.post(f"explanations/{entry['id']}/save")
    assert status == 200
    assert Path(saved["folder"]) == folder / "out" / "misure-a-a_bright_thing-1"
    again = client.post(f"explanations/{entry['id']}/save")[1]
    assert Path(again["folder"]).name == "misure-a-a_bright_thing-1-2"
    words = entry["command"].split(" --")
    assert words[0].startswith("misure explain ")
    import shlex

    arguments = shlex.split(entry["command"])[1:]
    done = CliRunner().invoke(main, [*arguments, "--out", str(folder / "command")])
    assert done.exit_code == 0, done.output
    ours, theirs = Path(saved["folder"]), folder / "command"
    assert saved["files"] == sorted(p.name for p in theirs.iterdir() if p.name[0] != ".")
    assert sorted(p.name for p in ours.iterdir()) == sorted(p.name for p in theirs.iterdir())
    assert (ours / ".misure.json").read_bytes() == (theirs / ".misure.json").read_bytes()
    mine, other = (misure.Explanation.load(path / "explanation.npz") for path in (ours, theirs))
    for name, tensor in mine.tensors().items():
        assert np.array_equal(tensor, other.tensors()[name], equal_nan=True), name
    records = [mine.record(), other.record()]
    for record in records:
        record["cost"].pop("seconds")
    assert records[0] == records[1]
    overview = client.get(f"explanations/{entry['id']}/picture.png")
    assert overview[0] == 200
    assert overview[2][:8] == b"\x89PNG\r\n\x1a\n"


def test_a_point_names_the_object_that_holds_it_or_another_thing(client):
    entry = client.explained(image=0, point=[17, 25], preset="quick")
    assert entry["object"] == 1
    background = client.explained(image=0, point=[0, 0], preset="quick")
    assert (background["object"], background["class_name"]) == (None, "dark")
    assert "--point 0,0" in background["command"]


def test_the_same_question_is_asked_once(client):
    asked = {"image": 1, "object": 0, "preset": "quick", "seed": 5}
    first, second = (client.explained(**asked)["id"] for _ in range(2))
    assert first == second
    assert client.explained(**asked | {"seed": 6})["id"] != first


def test_what_if_shows_what_was_painted(client):
    visible = np.ones((24, 32), bool)
    visible[4:8, 5:15] = False  # the upper half of the object
    status, answer = client.post(
        "what-if?image=0&object=0&baseline=mean&edge_px=0", viewing.png(visible)
    )
    assert status == 200
    assert answer["dice"] == pytest.approx(2 * 40 / (40 + 80))
    assert answer["area_fraction"] == pytest.approx(visible.mean())
    assert answer["drawn_fraction"] == pytest.approx((40 + 40) / 768)
    assert answer["passes"] == 1
    drawn = client.pixels(f"what-if/{answer['id']}/drawn") == 255
    assert np.array_equal(drawn, (_image()[0] > 0.5) & visible)
    shown = client.pixels(f"what-if/{answer['id']}/shown")
    assert np.array_equal(shown, np.rint(255 * _image()[0] * visible))


def test_what_if_with_another_image_of_the_session(client):
    nothing = viewing.png(np.zeros((24, 32), bool))
    status, answer = client.post("what-if?image=0&object=0&baseline=image:1", nothing)
    assert status == 200
    shown = client.pixels(f"what-if/{answer['id']}/shown")
    assert np.array_equal(shown, client.pixels("images/1/picture"))


def test_a_painted_region_is_checked_as_a_search_checks_its_own(client):
    entry = client.explained(image=0, object=0, preset="quick")
    mask = client.pixels(f"explanations/{entry['id']}/regions/minimally_sufficient_region") == 255
    answer = client.post("what-if?image=0&object=0&baseline=mean", viewing.png(mask))[1]
    status, asked = client.post(f"what-if/{answer['id']}/check", {"preset": "quick"})
    assert (status, asked["what_if"]) == (200, answer["id"])
    checked = client.until(asked["id"], lambda e: e["status"] == "done", kind="checks")
    assert (checked["passes"], checked["unit"]) == (checked["max_passes"], "passes")
    assert checked["dice"] == answer["dice"]
    assert checked["suffices"] is True
    found = {label: value for label, value, _ in entry["figures"]}
    painted = {label: value for label, value, _ in checked["figures"]}
    for label in ("on other baseline images", "under small changes", "another image in it"):
        assert painted[label] == found[label]
    assert painted["painted region"] == found["minimally sufficient region"]
    assert painted["painted region"].endswith(", in 1 part")
    assert painted["another image in it"].endswith("turned by 180°")  # names no option
    assert checked["sentence"].split(".")[0] == entry["sentence"].split(".")[0]


@pytest.mark.slow
def test_a_volume_that_is_stored_another_way(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    volume = np.zeros((10, 12, 8), np.float32)  # right, back, feet
    volume[2:5, 3:9, 1:6] = 1
    affine = np.diag([-2.0, 1.0, 3.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "v.nii.gz")
    model = toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"))
    with viewing.viewer_of([tmp_path / "v.nii.gz"], model, tmp_path) as client:
        status, image = client.json("images/0")
        order = _order_of(tmp_path / "v.nii.gz")
        laid_out = lay_out(torch.from_numpy(volume), order)
        assert status == 200
        assert image["shape"] == [8, 12, 10] == list(laid_out.shape)
        assert image["spacing_mm"] == [3, 1, 2]
        assert image["planes"] == ["axial", "coronal", "sagittal"]
        (found,) = image["objects"]
        box = found["box"]
        inside = torch.zeros_like(laid_out)
        inside[tuple(slice(*ends) for ends in zip(box[:3], box[3:], strict=True))] = 1
        assert inside.equal(laid_out)
        assert laid_out[tuple(found["centre"])] == 1
        for axis, name in enumerate(image["planes"]):
            for number in (2, 4, 6):
                expected = laid_out.select(axis, number).numpy()
                where = f"plane={name}&slice={number}"
                assert np.array_equal(client.pixels(f"images/0/picture?{where}"), 255 * expected)
                assert np.array_equal(client.pixels(f"images/0/labels?{where}")[..., 0], expected)
        entry = client.explained(image=0, point=found["centre"], preset="quick")
        assert (entry["object"], entry["status"]) == (0, "done")
        target = client.pixels(f"explanations/{entry['id']}/regions/target?plane=sagittal&slice=6")
        assert np.array_equal(target == 255, laid_out[:, :, 6].numpy() == 1)
        saved = client.post(f"explanations/{entry['id']}/save")[1]
        assert "target.nii.gz" in saved["files"]
        _what_ifs_of_a_volume(client, laid_out.numpy() == 1)


def _order_of(path):
    from misure.images.volumes import volume_of

    return volume_of(path).order


def _what_ifs_of_a_volume(client, object_there):
    hidden = np.zeros(object_there.shape, bool)
    answer = client.post(
        "what-if?image=0&object=0&plane=coronal&slice=5&depth=slices",
        viewing.png(hidden[:, 5]),
    )[1]
    left = object_there.sum() - object_there[:, 5].sum()
    assert answer["dice"] == pytest.approx(2 * left / (left + object_there.sum()))
    both = client.post(
        f"what-if?image=0&object=0&plane=coronal&slice=6&base={answer['id']}",
        viewing.png(hidden[:, 6]),
    )[1]
    left -= object_there[:, 6].sum()
    assert both["dice"] == pytest.approx(2 * left / (left + object_there.sum()))
    visible = object_there.copy()
    visible[3] = False
    stacked = visible.reshape(-1, visible.shape[-1])
    whole = client.post("what-if?image=0&object=0&depth=volume", viewing.png(stacked))[1]
    left = visible.sum()
    assert whole["dice"] == pytest.approx(2 * left / (left + object_there.sum()))
    column = object_there.any(0)
    through = client.post(
        "what-if?image=0&object=0&plane=axial&slice=0&depth=all", viewing.png(column)
    )[1]
    assert through["dice"] == 1
    assert through["area_fraction"] == pytest.approx(column.mean())


def test_without_a_network_images_can_be_looked_at_and_no_more(tmp_path):
    from misure.datasets.image_files import ImageFiles
    from misure.viewer.session import Session

    session = Session(ImageFiles(viewing.files({"a": _image()}, tmp_path)), None, tmp_path)
    with viewing.served(session) as client:
        assert client.json("state")[1]["can_explain"] is False
        assert client.json("images/0")[1]["objects"] == []
        assert client.pixels("images/0/picture").max() == 255
        for path in ("explanations", "what-if?image=0&object=0"):
            body = {"image": 0, "point": [1, 1]} if path == "explanations" else viewing.png([[1]])
            assert client.post(path, body)[0] == 404


def test_all_objects_are_counted_also_those_that_are_not_numbered(tmp_path):
    image = np.zeros((1, 96, 96), np.float32)
    image[0, ::3, ::3] = 1
    image[0, 0, 1] = 1  # the first of 32 x 32 is the largest
    model = toys.model_of(toys.OwnBrightness())
    with viewing.viewer_of(viewing.files({"a": image}, tmp_path), model, tmp_path) as client:
        found = client.json("images/0")[1]
    assert (len(found["objects"]), found["left_out"]) == (1000, 24)
    assert [one["pixels"] for one in found["objects"][:2]] == [2, 1]


def test_a_volume_of_which_nobody_knows_how_it_lies_is_cut_as_it_is_stored(tmp_path):
    volume = np.zeros((1, 4, 5, 6), np.float32)
    volume[0, 0, 1, 2] = 1
    model = toys.model_of(toys.OwnBrightness())
    with viewing.viewer_of(viewing.files({"a": volume}, tmp_path), model, tmp_path) as client:
        image = client.json("images/0")[1]
        assert image["is_oriented"] is False
        assert image["plane_labels"] == ["axis 0", "axis 1", "axis 2"]
        (row, column), *others = np.argwhere(
            client.pixels("images/0/picture?plane=coronal&slice=1")
        )
        assert ((row, column), others) == ((0, 2), [])


@pytest.mark.slow
def test_a_class_with_a_long_name_is_saved(tmp_path):
    names = ("dark", "x" * 300)
    model = toys.model_of(toys.OwnBrightness(), class_names=names)
    out = tmp_path / "out"
    out.mkdir()
    with viewing.viewer_of(viewing.files({"a": _image()}, tmp_path), model, out) as client:
        entry = client.explained(image=0, object=0, preset="quick")
        status, saved = client.post(f"explanations/{entry['id']}/save")
    assert (status, [Path(saved["folder"])]) == (200, list(out.iterdir()))
    name = Path(saved["folder"]).name
    assert len(name) == 200
    assert name.startswith("misure-a-xxx")
    assert name.endswith("x-0")


def test_what_is_painted_is_saved_with_a_script_that_checks_it_again(client, folder):
    visible = _image()[0] == 1
    visible[:2, :7] = True
    asked = "what-if?image=0&object=0&baseline=image:1&edge_px=1"
    made = client.post(asked, viewing.png(visible))[1]
    told = client.post(f"what-if/{made['id']}/check", {"dice_threshold": 0.8})[1]
    checked = client.until(told["id"], lambda e: e["status"] == "done", kind="checks")
    status, saved = client.post(f"what-if/{made['id']}/save", {"dice_threshold": 0.8})
    assert status == 200, saved
    assert saved["files"] == ["check.py", "painted_region.npy", "painted_region.png"]
    there = Path(saved["folder"])
    assert np.array_equal(np.load(there / "painted_region.npy"), visible)
    assert np.array_equal(np.asarray(Image.open(there / "painted_region.png")) == 255, visible)
    done = subprocess.run(
        [sys.executable, there / "check.py"], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == checked["sentence"]
    assert checked["passes"] == checked["max_passes"]


def test_the_script_finds_a_network_that_is_named_from_where_the_viewer_was_started(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    spec, paths = "python:net.py:make", viewing.files({"a": _image()}, tmp_path)
    with viewing.viewer_of(paths, load_model(spec), Path("out"), spec=spec) as client:
        made = client.post("what-if?image=0&object=0", viewing.png(_image()[0] == 1))[1]
        saved = client.post(f"what-if/{made['id']}/save", {"preset": "quick"})[1]
    done = subprocess.run(
        [sys.executable, "check.py"], capture_output=True, text=True, check=False,
        cwd=saved["folder"], env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "suffice" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text")
def test_a_name_that_is_no_text_is_looked_at_and_saved(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path / "a") + b"\xff.npy"))
    np.save(path, _image())
    model = toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"))
    with viewing.viewer_of([path], model, tmp_path / "out") as client:
        assert client.json("state")[0] == client.json("images/0")[0] == 200
        made = client.post("what-if?image=0&object=0", viewing.png(_image()[0] == 1))[1]
        status, saved = client.post(f"what-if/{made['id']}/save")
    assert status == 200
    assert repr(str(path)) in (Path(saved["folder"]) / "check.py").read_text(encoding="utf-8")


def test_a_painted_slice_of_a_volume_is_saved_where_it_lies(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    volume = np.zeros((10, 12, 8), np.float32)
    volume[2:5, 3:9, 1:6] = 1
    path = tmp_path / "v.nii.gz"
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([-2.0, 1.0, 3.0, 1.0])), path)
    model = toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"))
    with viewing.viewer_of([path], model, tmp_path) as client:
        shown = lay_out(torch.from_numpy(volume), _order_of(path)).numpy() == 1
        stacked = viewing.png(shown.reshape(-1, shown.shape[-1]))
        made = client.post("what-if?image=0&object=0&depth=volume", stacked)[1]
        saved = client.post(f"what-if/{made['id']}/save")[1]
    there = Path(saved["folder"])
    assert saved["files"] == ["check.py", "painted_region.nii.gz", "painted_region.npy"]
    assert np.array_equal(np.load(there / "painted_region.npy"), volume == 1)
    written = nibabel.load(there / "painted_region.nii.gz")
    assert np.array_equal(np.asarray(written.dataobj), volume)


def test_what_cannot_be_saved_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    model = toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"))
    out = tmp_path / "out"
    out.mkdir()
    with viewing.viewer_of(viewing.files({"a": _image()}, tmp_path), model, out) as client:
        entry = client.explained(image=0, object=0, preset="quick")
        out.rmdir()
        status, saved = client.post(f"explanations/{entry['id']}/save")
        assert (status, saved["made_again"]) == (200, str(out))
        assert "made_again" not in client.post(f"explanations/{entry['id']}/save")[1]
        before = sorted(tmp_path.rglob("*"))

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(misure.Explanation, "save", full)
        status, refused = client.post(f"explanations/{entry['id']}/save")
        monkeypatch.undo()
        assert status == 400
        assert refused["error"] == (
            "expected a folder that can be written to, nothing was saved in "
            f"{out}: No space left on device."
        )
        assert sorted(tmp_path.rglob("*")) == before
        shutil.rmtree(out)
        out.write_text("")  # a file in its place
        status, refused = client.post(f"explanations/{entry['id']}/save")
        assert status == 400
        assert "expected a folder that can be written to" in refused["error"]


def test_the_channels_of_a_volume_are_shown_alike_everywhere(tmp_path):
    volume = np.random.default_rng(0).random((3, 4, 5, 6)).astype(np.float32)
    model = toys.model_of(toys.OwnBrightness())
    with viewing.viewer_of(viewing.files({"a": volume}, tmp_path), model, tmp_path) as client:
        image = client.json("images/0")[1]
        assert image["is_colour"] is False
        mask = viewing.png(np.ones((20, 6), bool))
        made = client.post("what-if?image=0&object=0&depth=volume", mask)[1]["id"]
        first = client.pixels("images/0/picture?channel=0")
        assert np.array_equal(client.pixels("images/0/picture"), first)
        for asked in ("", "channel=2", "channel=1&low=0.2&high=0.5"):
            picture = client.pixels(f"images/0/picture?{asked}")
            assert picture.shape == (5, 6)
            assert np.array_equal(client.pixels(f"what-if/{made}/shown?{asked}"), picture)
        assert client.json("images/0/picture?channel=rgb")[0] == 400


def test_an_image_that_changed_is_not_opened_again_as_if_it_had_not(tmp_path, monkeypatch):
    """Only the newest image stays open, so that the first is read a second time."""
    monkeypatch.setattr("misure.viewer.session._OPEN_MB", 0)
    (tmp_path / "net.py").write_text(NET)
    paths = viewing.files({"a": _image(), "b": _image()}, tmp_path)
    with viewing.viewer_of(paths, load_model(f"python:{tmp_path}/net.py:make"), tmp_path) as client:
        for number in (0, 1, 0, 1):
            assert client.json(f"images/{number}")[0] == 200
        np.save(paths[0], 1 - _image())
        status, answer = client.json("images/0")
        assert status == 400
        assert "a.npy has changed since" in answer["error"]
        assert client.json("images/1")[0] == 200
