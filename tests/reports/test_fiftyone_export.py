"""A run as a data set of FiftyOne: what is written, and what FiftyOne itself reads of it."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import misure
import toys
from misure.cli.app import main
from misure.datasets.sample import Sample, SampleList
from misure.images.orientation import lay_out, viewing_order
from misure.reports.fiftyone_export import write_fiftyone

PLAN = misure.RunPlan(instances=True, method_options={"preset": "quick", "max_passes": 25})


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run over two photographs, and its export by the command."""
    folder = tmp_path_factory.mktemp("fiftyone")
    (folder / "photos").mkdir()
    pixels = np.zeros((500, 30), np.uint8)  # larger than a thumbnail
    pixels[2:6, 2:6] = pixels[10:26, 10:26] = 255
    Image.fromarray(pixels).save(folder / "photos" / "a b.png")
    Image.fromarray(pixels[::-1]).save(folder / "photos" / "c.png")
    model = toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"), num_channels=1)
    misure.run(str(folder / "photos"), model, folder / "run", PLAN)
    done = CliRunner().invoke(
        main, ["export", str(folder / "run"), "--fiftyone", str(folder / "out")]
    )
    assert done.exit_code == 0, done.output
    assert done.output == f"{folder}/out: 4 objects\n"
    return folder


def _samples(folder):
    return json.loads((folder / "samples.json").read_text("utf-8"))["samples"]


def test_each_object_is_a_sample_with_its_masks_and_figures(exported):
    out, samples = exported / "out", _samples(exported / "out")
    records = {record.key: record for record in misure.read_run(exported / "run")}
    assert [sample["key"] for sample in samples] == list(records)
    assert {sample["filepath"] for sample in samples} == {
        "data/a-b_bright_1.jpg",
        "data/c_bright_1.jpg",
    }
    fields = {field["name"]: field for field in _metadata(out)["sample_fields"]}
    for sample in samples:
        record = records[sample["key"]]
        tensors = misure.Explanation.load(exported / "run" / record.map).tensors()
        for name in ("target", "sufficient_region", "minimally_sufficient_region"):
            mask = np.asarray(Image.open(out / sample[name]["mask_path"]))
            assert np.array_equal(mask, tensors[name].numpy() * np.uint8(255))
        levels = np.asarray(Image.open(out / sample["saliency_map"]["map_path"]))
        known = torch.nan_to_num(tensors["saliency_map"], nan=0.0).clamp(min=0)
        assert np.allclose(levels / 255, known / known.max(), atol=0.5 / 255 + 1e-6)
        with Image.open(out / sample["filepath"]) as picture:
            assert picture.size == (30, 500)
        assert sample["dice"] == pytest.approx(record.minimally_sufficient_region.dice, abs=1e-6)
        assert sample["object"]["label"] == "bright"
        assert sample["instance"] == record.instance
        assert {name for name in sample if name not in ("_id",)} <= fields.keys()
    assert fields["dice"]["ftype"] == "fiftyone.core.fields.FloatField"
    assert _metadata(out)["mask_targets"]["target"] == {"255": "target"}


def _metadata(folder):
    return json.loads((folder / "metadata.json").read_text("utf-8"))


def test_a_volume_is_its_slice_and_what_is_gone_a_thumbnail(tmp_path):
    affine = torch.diag(torch.tensor([1.0, 1, 2, 1], dtype=torch.float64))
    volume = Sample(
        "v", toys.square_image(3), affine=affine, order=viewing_order(affine.numpy(), "")
    )
    model = toys.model_of(toys.OwnBrightness(), class_names=("dark", "left, bright"))
    misure.run(SampleList([volume]), model, tmp_path / "run", PLAN)
    (record,) = misure.read_run(tmp_path / "run")
    (tmp_path / "out").mkdir()
    assert write_fiftyone(tmp_path / "run", tmp_path / "out").num_thumbnails == 1
    (sample,) = _samples(tmp_path / "out")
    assert sample["tags"] == ["thumbnail"]
    assert sample["filepath"] == "data/v_left-bright_1.jpg"
    target = misure.Explanation.load(tmp_path / "run" / record.map).target.region
    plane = lay_out(target, volume.order)[sample["slice_index"]]
    mask = np.asarray(Image.open(tmp_path / "out" / sample["target"]["mask_path"]))
    assert np.array_equal(mask > 0, plane.numpy())
    assert mask.any()


IMPORT = """
import os, sys
os.environ |= {"FIFTYONE_DATABASE_URI": "mongodb://localhost:27017", "FIFTYONE_DO_NOT_TRACK": "true"}
os.environ |= {"FIFTYONE_DATABASE_VALIDATION": "false"}
import mongomock, pymongo
from mongomock.store import ServerStore

STORE = ServerStore.get_server("localhost:27017") if hasattr(ServerStore, "get_server") else ServerStore()

class Client(mongomock.MongoClient):
    _closed = False

    def __init__(self, *args, appname=None, **options):
        super().__init__(*args, _store=STORE, **options)

pymongo.MongoClient = Client
import mongoengine.connection
mongoengine.connection.MongoClient = Client
import fiftyone as fo

dataset = fo.Dataset.from_dir(dataset_dir=sys.argv[1], dataset_type=fo.types.FiftyOneDataset)
for sample in dataset:
    for name in ("target", "sufficient_region", "minimally_sufficient_region"):
        mask = sample[name].get_mask()
        assert mask.shape == (500, 30) and set(mask.flatten()) == {0, 255}, name
    assert sample.saliency_map.get_map().max() == 255
    assert os.path.isfile(sample.filepath)
print(len(dataset), dataset.bounds("dice")[0] >= 0.9, dataset.first().object.label)
"""


@pytest.mark.slow
def test_fiftyone_imports_it(exported):
    """Its database is kept in memory by mongomock: all else is FiftyOne's own code."""
    pytest.importorskip("fiftyone")
    pytest.importorskip("mongomock")
    command = [sys.executable, "-c", IMPORT, str(exported / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "4 True bright"
