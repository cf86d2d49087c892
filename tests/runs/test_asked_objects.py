"""Runs of the one object that each sample asks about."""

from dataclasses import replace

import pytest
import torch

import misure
import toys
from misure.datasets import Sample
from misure.methods import METHODS
from misure.runs.folder import RunFolder
from misure.runs.maps import read_result
from misure.runs.plan import RunPlan
from misure.runs.record import FailedObject
from misure.runs.run import run


@pytest.fixture
def model():
    return toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"))


@pytest.fixture
def sample():
    """Two bright squares, of which the smaller one is asked about."""
    image = torch.zeros(3, 30, 30)
    image[:, 4:8, 4:8] = 1
    image[:, 15:25, 15:25] = 1
    return Sample("two", image, point=(5, 5))


def _records(sample, model, out, **options):
    run([sample], model=model, out=out, plan=RunPlan(objects="asked", **options))
    return RunFolder(out).records()


def test_the_object_at_the_point_is_explained_as_its_method_does_by_itself(model, sample, tmp_path):
    (record,) = _records(sample, model, tmp_path, method="random", seed=4)
    assert (record.key, record.target.pixels) == ("two", 16)
    found = read_result(RunFolder(tmp_path), record, RunFolder(tmp_path).settings())
    target = misure.predicted_target(model, sample.image, point=sample.point)
    alone = METHODS["random"](model, sample.image, target, seed=4)
    assert torch.equal(found.target.region, target.region)
    torch.testing.assert_close(
        found.saliency_map, alone.saliency_map, rtol=0, atol=0, equal_nan=True
    )


@pytest.mark.parametrize(
    ("has_point", "options", "pixels"),
    [
        (False, {}, 116),
        (True, {"classes": ("bright",)}, 116),
        (True, {"instance": 0}, 100),
        (True, {"classes": ("dark",)}, 784),
        (False, {"instance": 1}, 16),
    ],
)
def test_class_and_instance_come_before_the_point(
    model, sample, has_point, options, pixels, tmp_path
):
    asked = sample if has_point else replace(sample, point=None)
    (record,) = _records(asked, model, tmp_path, method="edges", **options)
    assert (record.key, record.target.pixels) == ("two", pixels)


def test_an_object_that_is_not_there_is_a_failure_with_its_reason(model, sample, tmp_path):
    (record,) = _records(sample, model, tmp_path, method="edges", instance=2)
    assert isinstance(record, FailedObject)
    assert "expected an instance from 0 (the largest) to 1, got 2" in record.reason


def test_a_failed_object_is_recorded_with_its_target(model, sample, tmp_path):
    blind = toys.model_of(toys.OwnBrightness(), differentiable=False)
    (record,) = _records(sample, blind, tmp_path, method="saliency")
    assert isinstance(record, FailedObject)
    assert record.target.pixels == 16
    assert "with gradients" in record.reason


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"objects": "some"}, "expected objects all or asked, got 'some'"),
        ({"instance": 1}, "expected instance with objects asked only, got 1 with all"),
        ({"objects": "asked", "instances": True}, "expected at most one class and no instances"),
        ({"objects": "asked", "classes": ("0", "1")}, "expected at most one class"),
    ],
)
def test_choices_that_contradict_each_other_are_errors(model, options, words):
    with pytest.raises(misure.InputError, match=words):
        RunPlan(**options).check(model)


def test_another_tensor_among_the_options_is_another_run(model, sample, tmp_path):
    given = {"other_image": torch.zeros(3, 30, 30), "max_passes": 60}
    _records(sample, model, tmp_path, method_options=given)
    _records(sample, model, tmp_path, method_options=given)
    with pytest.raises(misure.RunFolderError, match="method_options"):
        _records(
            sample, model, tmp_path, method_options={**given, "other_image": torch.ones(3, 30, 30)}
        )
