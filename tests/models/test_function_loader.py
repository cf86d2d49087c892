"""Networks that are only a function of NumPy arrays."""

import pytest
import torch

import misure
import toys
from misure.models.loaders import load_model

FILE = """
import numpy as np

def bright(images):
    assert images.dtype == np.float32
    evidence = images[:, :1] - 0.5
    return np.concatenate([-evidence, evidence], axis=1)

def whole_numbers(images):
    return np.zeros((len(images), 2, 30, 30), dtype=int)

answer = 42
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rules.py"
    path.write_text(FILE)
    return path


def test_a_function_is_explained_by_forward_passes_alone(file):
    model = load_model(f"function:{file}:bright")
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    found = misure.explain(
        model, image, target, num_changes=0, dice_threshold=1.0, one_minimal=True,
        minimality_cell_px=1,
    )  # fmt: skip
    assert torch.equal(found.minimally_sufficient_region, target.region)
    assert found.preset == "readable"
    assert found.cost.backward_passes == 0
    with pytest.raises(misure.InputError, match=r"needs none \(readable"):
        misure.explain(model, image, target, preset="smallest")


@pytest.mark.parametrize(
    ("function", "message"),
    [("answer", "to be a function, got int"), ("none", "raised AttributeError")],
)
def test_what_is_no_function_is_an_error(file, function, message):
    with pytest.raises(misure.InputError, match=message):
        load_model(f"function:{file}:{function}")


def test_a_result_that_is_no_array_of_scores_is_an_error(file):
    model = load_model(f"function:{file}:whole_numbers")
    with pytest.raises(misure.ModelError, match="expected logits .* returned a int64 tensor"):
        misure.predicted_target(model, toys.square_image(), 1)
