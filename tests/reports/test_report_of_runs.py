"""What the report takes from the runs beside the pictures: annotations, settings, sizes."""

import base64
import io

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from PIL import Image

import misure
import toys
from misure.datasets import Sample, SampleList
from misure.explanation.by_channel_record import ByChannelRecord, RegionOfChannel
from misure.reports.annotations import Annotated, annotations_of
from misure.reports.cards import Numbered, channels_of, columns_of
from misure.reports.page import write_report
from misure.reports.planes import object_pictures
from misure.reports.settings_table import settings_table
from misure.runs.alignment import AlignedObject
from misure.runs.folder import RunFolder
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    """A run over one image, and the image with an annotation that is a column short."""
    folder = tmp_path_factory.mktemp("annotated")
    model = toys.model_of(toys.Beacon())
    image = toys.beacon_image()
    plan = RunPlan(method_options={"max_passes": 40, "num_minimality_tests": 0}, thumbnail_px=20)
    run(SampleList([Sample("a", image)]), model, folder / "run", plan)
    (record,) = read_run(folder / "run")
    target = RunFolder(folder / "run").read_map(record.map)["target"]
    annotation = target.long().clone()
    annotation[:, int(target.nonzero()[:, 1].max())] = 0
    return folder / "run", SampleList([Sample("a", image, annotation)]), target, annotation > 0


def test_the_annotation_is_in_the_planes_and_its_dice_among_the_figures(annotated):
    path, dataset, target, region = annotated
    (record,) = read_run(path)
    (found,) = annotations_of([path], [dataset], {})
    dice = 2 * int((target & region).sum()) / int(target.sum() + region.sum())
    assert 0 < dice < 1
    assert found[record.key].dice == pytest.approx(dice)
    assert torch.equal(found[record.key].region, region)
    columns = columns_of([AlignedObject([record], [None])], [{}], [found], Numbered())
    assert columns["runs"][0]["figures"]["annotated_dice"] == [pytest.approx(dice, abs=1e-6)]
    pictures = object_pictures(RunFolder(path), record, 100, found[record.key].region)
    with Image.open(io.BytesIO(base64.b64decode(pictures["planes"]))) as picture:
        assert np.array_equal(np.asarray(picture)[..., 1] >> 7 == 1, region.numpy())
    assert pictures["size"] == [30, 30]
    assert annotations_of([path], [], {}) == [{}]


def test_packed_annotations_of_volumes_are_as_before():
    region = torch.rand(3, 5, 7) > 0.5
    assert torch.equal(Annotated.of(0.5, region).region, region)


def test_annotations_of_other_data_are_one_sentence(annotated, tmp_path):
    path, dataset, _, _ = annotated
    with pytest.raises(misure.InputError, match="one data set of annotations for all runs"):
        write_report([path], tmp_path / "r.html", annotations=[dataset, dataset])
    other = SampleList([Sample("b", torch.zeros(3, 30, 30))])
    with pytest.raises(misure.InputError, match="'a'"):
        write_report([path], tmp_path / "r.html", annotations=[other])
    with pytest.raises(misure.InputError, match="picture_px of 16 or more"):
        write_report([path], tmp_path / "r.html", picture_px=3)


def test_thumbnails_are_as_large_as_the_plan_says(annotated):
    path, *_ = annotated
    (record,) = read_run(path)
    with Image.open(path / record.thumbnail) as picture:
        assert picture.size == (20, 20)
    with pytest.raises(misure.InputError, match="thumbnail_px from 16 to"):
        RunPlan(thumbnail_px=3).check(toys.model_of(toys.Beacon()))


def test_settings_that_differ_stand_apart_from_the_others(annotated):
    path, *_ = annotated
    file = RunFolder(path).file()
    settings = replace(file.settings, seed=5, method_options={"max_passes": 9})
    table = settings_table([file, replace(file, settings=settings)])
    assert table["differing"] == [
        {"name": "options: max_passes", "values": ["40", "9"]},
        {"name": "options: num_minimality_tests", "values": ["0", "–"]},
        {"name": "seed", "values": ["0", "5"]},
    ]
    same = {row["name"]: row["values"] for row in table["same"]}
    assert same["device"] == ["cpu"]
    (begun,) = same["begun (UTC)"]
    assert len(begun) == len("2026-01-01 00:00:00")
    assert begun.startswith("20")


def test_regions_by_channel_are_rows():
    channels = [
        RegionOfChannel(
            number=0, name="t1", growth_px=2.5, sufficient_area_fraction=0.5, area_fraction=0.25
        ),
        RegionOfChannel(
            number=1, name="t2", growth_px=None, sufficient_area_fraction=0, area_fraction=0
        ),
    ]
    record = ByChannelRecord(
        channels=channels, sufficient_area_fraction=0.25, area_fraction=0.125, sufficient_dice=0.95,
        dice=0.9, sufficient_dice_by_baseline_image={}, dice_by_baseline_image={}, cell_px=2,
        num_blocks=3, is_one_minimal=True, stopped_by="end", passes=9,
    )  # fmt: skip
    table = channels_of(record)
    assert table["rows"] == [["t1", 2.5, 0.5, 0.25], ["t2", None, 0, 0]]
    assert table["said"] == (
        "With other places in each channel, 12.5 % of all pixels of all channels suffice, Dice 0.900 "
        "(sufficient region 25.0 %, Dice 0.950)."
    )
