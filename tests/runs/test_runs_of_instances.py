"""Runs of the instances that a network reports, and their Dice with annotated objects."""

import pytest
import torch

from misure.datasets import AnnotatedObject, Sample, SampleList
from misure.models.instances import instance_model
from misure.reliability.annotated import object_dices
from misure.runs.folder import RunFolder
from misure.runs.maps import read_result
from misure.runs.plan import RunPlan
from misure.runs.run import run


def halves(images):
    """One instance in each half: its bright pixels, though those of both halves touch."""
    is_left = torch.arange(images.shape[3]) < images.shape[3] // 2
    return [
        [(0, 0.9, image[0] * is_left), (0, 0.7, image[0] * ~is_left)]
        for image in images.clamp(0, 1)
    ]


def band(top, bottom, left, right):
    region = torch.zeros(24, 32, dtype=torch.bool)
    region[top:bottom, left:right] = True
    return region


@pytest.fixture
def sample():
    """A bright band across both halves; annotated are its left part, and its right one too wide."""
    left, right = band(8, 16, 4, 16), band(8, 16, 14, 28)
    objects = (AnnotatedObject(0, left, "7"), AnnotatedObject(0, right, "8"))
    annotation = torch.where(left | right, 0, -1)
    annotation[:4] = 1  # judged, and nothing
    image = band(8, 16, 4, 28)[None].float()
    return Sample("both", image, annotation=annotation, objects=objects)


def test_each_reported_instance_is_an_object_of_the_run(sample, tmp_path):
    network = instance_model(
        torch.nn.Identity(), halves, class_names="blob", differentiable=False, min_score=0.6
    )
    plan = RunPlan(method="random", instances=True, test_time_augmentation=True)
    run([sample], model=network, out=tmp_path, plan=plan)
    folder = RunFolder(tmp_path)
    records = folder.records()
    assert [record.key for record in records] == ["both#0.0", "both#0.1"]
    assert [record.target.pixels for record in records] == [8 * 12, 8 * 12]
    assert [record.target.score for record in records] == pytest.approx([0.9, 0.7])
    assert [record.target.reported for record in records] == [0, 1]
    assert all(record.augmented_dice["mirrored"] == 1 for record in records)
    loaded = read_result(folder, records[0], folder.settings()).target
    assert int(loaded.ignored.sum()) == 8 * 12
    dices = object_dices(tmp_path, SampleList([sample]))
    assert dices["both#0.0"] == 1.0
    assert dices["both#0.1"] == pytest.approx(2 * 96 / (96 + 8 * 14))
