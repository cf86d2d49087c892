"""What is found in a volume is written back as NIfTI, voxel on voxel."""

import csv
import json

import nibabel
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import misure
from misure.cli.app import main
from misure.datasets import Reading, open_dataset
from misure.images.orientation import as_stored, lay_out, viewing_order

LAS = np.array([[-2.0, 0, 0, 30], [0, 3, 0, -40], [0, 0, 5, -50], [0, 0, 0, 1]])
SLANTED = np.array([[0, 0, 2.0, 3], [-3, 0, 0, 9], [0, 5, 0, 7], [0, 0, 0, 1]])  # axes elsewhere
pytestmark = pytest.mark.usefixtures("in_this_process", "blank_pictures")
FOUND = ("target", "sufficient_region", "minimally_sufficient_region", "saliency_map")

NETWORK = """
import torch

class Net(torch.nn.Module):
    def forward(self, images):
        evidence = 10 * (images[:, :1] - 0.5)
        return torch.cat([-evidence, evidence], dim=1)

def make():
    return Net()
"""


one_volume = pytest.mark.parametrize("volume", [LAS], ids=["las"], indirect=True)
"""For what does not depend on how a volume lies."""


@pytest.fixture(params=[LAS, SLANTED], ids=["las", "slanted"])
def volume(tmp_path, request):
    """A bright box in a dark volume, and its voxels."""
    (tmp_path / "net.py").write_text(NETWORK)
    box = np.zeros((14, 12, 10), bool)
    box[3:7, 5:9, 2:6] = True
    (tmp_path / "images").mkdir()
    path = tmp_path / "images" / "head.nii.gz"
    nibabel.save(nibabel.Nifti1Image(box.astype(np.float32), request.param), path)
    return path, box, request.param


def _invoke(*arguments):
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done


def _model(folder):
    return ("--model", f"python:{folder}/net.py:make", "--model-option", "probabilities=false")


def _read(folder, affine):
    found = {}
    for name in FOUND:
        file = nibabel.load(folder / f"{name}.nii.gz")
        assert np.allclose(file.affine, affine)
        found[name] = file.get_fdata()
        assert file.get_data_dtype() == (np.float32 if name == "saliency_map" else np.uint8)
    return found


def test_regions_of_a_volume_lie_on_it(volume, tmp_path):
    path, box, affine = volume
    out = tmp_path / "out"
    _invoke("explain", path, *_model(tmp_path), "--class", 1, "--max-passes", 51, "--out", out)
    found = _read(out, affine)
    assert np.array_equal(found["target"] > 0, box)
    saved = misure.Explanation.load(out / "explanation.npz")
    assert np.array_equal(
        found["minimally_sufficient_region"] > 0, saved.minimally_sufficient_region.numpy()
    )
    assert np.allclose(found["saliency_map"], saved.saliency_map.numpy(), equal_nan=True)


def test_regions_of_a_slice_lie_in_its_plane(volume, tmp_path):
    path, box, affine = volume
    order = viewing_order(affine, "a test")
    laid_out = lay_out(torch.from_numpy(box), order)
    number = int(laid_out.flatten(1).any(1).nonzero()[0])
    out = tmp_path / "out"
    _invoke(
        "explain", path, *_model(tmp_path), "--class", 1, "--slice", number, "--max-passes", 51,
        "--out", out,
    )  # fmt: skip
    wanted = torch.zeros_like(laid_out)
    wanted[number] = laid_out[number]
    assert np.array_equal(_read(out, affine)["target"] > 0, as_stored(wanted, order).numpy())


@pytest.fixture
def opened(monkeypatch):
    """The names of the NIfTI files that are opened, as often as they are."""
    names, load = [], nibabel.load

    def counted(path, **options):
        names.append(path.name)
        return load(path, **options)

    monkeypatch.setattr(nibabel, "load", counted)
    return names


def test_a_file_is_opened_twice_to_be_explained_and_once_as_a_sample(volume, tmp_path, opened):
    path, box, affine = volume
    number = int(
        np.argwhere(lay_out(torch.from_numpy(box), viewing_order(affine, "")).numpy())[0, 0]
    )
    _invoke(
        "explain", path, *_model(tmp_path), "--class", 1, "--slice", number, "--max-passes", 49,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert opened == [path.name] * 2
    opened.clear()
    for reading in (Reading(), Reading(slice_index=number)):
        assert open_dataset(str(path.parent), reading)[0].affine is not None
    assert opened == [path.name] * 2
    opened.clear()
    (tmp_path / "labels").mkdir()
    nibabel.save(
        nibabel.Nifti1Image(box.astype(np.uint8), affine), tmp_path / "labels" / "l.nii.gz"
    )
    pair = f"{path},{tmp_path}/labels/l.nii.gz"
    assert open_dataset(f"nifti:{pair}", Reading(slice_index=number))[0].annotation.any()
    assert opened == [path.name, "l.nii.gz"]


def test_a_run_over_volumes_is_exported_as_volumes(volume, tmp_path):
    path, box, affine = volume
    _invoke(
        "run", path.parent, *_model(tmp_path), "--out", tmp_path / "run", "--option",
        "max_passes=51",
    )  # fmt: skip
    done = _invoke("export", tmp_path / "run", "--nifti", tmp_path / "volumes")
    assert "1 object" in done.output
    found = _read(tmp_path / "volumes" / "head_1", affine)
    assert np.array_equal(found["target"] > 0, box)


def _voxels_in(path, affine):
    """Which voxels of a volume with this affine another volume's ones lie on."""
    file = nibabel.load(path)
    ones = np.argwhere(file.get_fdata() > 0)
    places = nibabel.affines.apply_affine(np.linalg.inv(affine) @ file.affine, ones)
    assert np.allclose(places, places.round(), atol=1e-4)
    return {tuple(place) for place in places.round().astype(int).tolist()}


def _folders(out):
    """Key -> folder of each object of an export."""
    with (out / "objects.csv").open(encoding="utf-8") as file:
        return {row["key"]: row["folder"] for row in csv.DictReader(file)}


def test_runs_over_slices_are_exported_to_their_places(volume, tmp_path):
    path, box, affine = volume
    (tmp_path / "labels").mkdir()
    nibabel.save(nibabel.Nifti1Image(box.astype(np.uint8), affine), tmp_path / "labels" / path.name)
    order = viewing_order(affine, "a test")
    laid_out = lay_out(torch.from_numpy(box), order)
    numbers = [int(one) for one in laid_out.flatten(1).any(1).nonzero()[:, 0]]
    edges = (*_model(tmp_path), "--method", "edges")
    _invoke("run", f"nifti-slices:{path.parent},{tmp_path}/labels", *edges, "--out", tmp_path / "a")
    _invoke("run", path.parent, "--slice", numbers[0], *edges, "--out", tmp_path / "b")
    for run, number, key in (
        *(("a", number, f"head/slice{number:03d}#1") for number in numbers),
        ("b", numbers[0], "head.nii.gz#1"),
    ):
        _invoke("export", tmp_path / run, "--nifti", tmp_path / f"{run}-volumes")
        place = tmp_path / f"{run}-volumes" / _folders(tmp_path / f"{run}-volumes")[key]
        wanted = torch.zeros_like(laid_out)
        wanted[number] = laid_out[number]
        in_plane = as_stored(wanted, order).numpy()
        found = _voxels_in(place / "target.nii.gz", affine)
        assert found == {tuple(one) for one in np.argwhere(in_plane).tolist()}


@one_volume
def test_a_damaged_record_is_one_sentence(volume, tmp_path):
    _invoke(
        "run", volume[0].parent, *_model(tmp_path), "--out", tmp_path / "run", "--method", "edges"
    )
    (records,) = (tmp_path / "run").glob("records-*.jsonl")
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    for change, words in (
        ({"affine": [[1, 2], [3]]}, "affine is not 4 x 4"),
        ({"affine": "x"}, "Expected `array | null`, got `str` - at `$.affine`"),
        ({"map": None}, "Expected `str`, got `null` - at `$.map`"),
    ):
        damaged = [line | change if line.get("status") == "done" else line for line in lines]
        records.write_text("".join(json.dumps(line) + "\n" for line in damaged))
        command = ["export", str(tmp_path / "run"), "--nifti", str(tmp_path / "volumes")]
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 2, done.output
        assert words in " ".join(done.output.split())


def test_a_run_without_volumes_says_so(tmp_path):
    _invoke(
        "run", "triangle:1", "--model", "triangle", "--method", "edges", "--out", tmp_path / "run"
    )
    done = CliRunner().invoke(
        main, ["export", str(tmp_path / "run"), "--nifti", str(tmp_path / "volumes")]
    )
    assert done.exit_code == 2
    assert "expected a run over volumes" in done.output


def test_laying_out_can_be_undone():
    volume = torch.arange(24).reshape(2, 3, 4)
    for affine in (LAS, SLANTED, np.eye(4)):
        order = viewing_order(affine, "a test")
        assert torch.equal(as_stored(lay_out(volume, order), order), volume)


@one_volume
def test_a_list_names_the_cases_to_open(volume, tmp_path):
    _, box, affine = volume
    for name in ("a", "b"):
        for folder, kind in (("im", np.float32), ("la", np.uint8)):
            (tmp_path / folder).mkdir(exist_ok=True)
            image = nibabel.Nifti1Image(box.astype(kind), affine)
            nibabel.save(image, tmp_path / folder / f"{name}.nii.gz")
    (tmp_path / "only.txt").write_text("b\n")
    spec = f"nifti:{tmp_path}/im,{tmp_path}/la"
    assert open_dataset(spec).keys == ["a", "b"]
    assert open_dataset(f"{spec},{tmp_path}/only.txt").keys == ["b"]
    (tmp_path / "only.txt").write_text("c\n")
    with pytest.raises(misure.InputError, match=r"cases of .* got c"):
        open_dataset(f"{spec},{tmp_path}/only.txt")
    with pytest.raises(misure.InputError, match="a text file with one case a line"):
        open_dataset(f"{spec},{tmp_path}/gone.txt")


@one_volume
def test_names_in_a_run_never_lead_out_of_the_folder(volume, tmp_path):
    path, _, _ = volume
    run = ("run", path.parent, *_model(tmp_path), "--out", tmp_path / "run", "--method", "edges")
    _invoke(*run)
    (map_file,) = (tmp_path / "run" / "maps").rglob("*.npz")
    with np.load(map_file) as arrays:
        kept = dict(arrays)
    np.savez(map_file, **kept, **{"../../evil": np.zeros((2, 2, 2), np.float32)})
    (records,) = (tmp_path / "run").glob("records-*")
    records.write_text(records.read_text().replace('"key": "head.nii.gz#1"', '"key": ".."'))
    _invoke("export", tmp_path / "run", "--nifti", tmp_path / "a" / "volumes")
    written = [one for one in (tmp_path / "a").rglob("*") if one.is_file()]
    written.remove(tmp_path / "a" / "volumes" / ".misure.json")
    assert len(written) == 3  # the table of objects, and two volumes of one
    assert {one.parent.parent for one in written if one.name.endswith("nii.gz")} == {
        tmp_path / "a" / "volumes"
    }
    assert not list(tmp_path.glob("evil*"))
    map_file.write_bytes(b"garbage")
    done = CliRunner().invoke(
        main, ["export", str(tmp_path / "run"), "--nifti", str(tmp_path / "b")]
    )
    assert done.exit_code == 2
    assert "export: expected a map in" in done.output
