"""Baseline images painted in from what is shown: by a library, and by a function of the user's."""

import sys

import pytest
import torch

import misure
import toys
from misure.explanation.inpainting import inpaint, user_inpainting
from misure.explanation.presentation import make_presentations

FILE = """
import numpy as np
CALLS = []
def zeros(image, hidden):
    CALLS.append((image.clone(), hidden.clone()))
    return np.zeros(image.shape, np.float32)
def seeded(image, hidden, seed):
    return image * 0 + seed / 2**31
def of_bytes(image, hidden):
    return image + 255
def too_small(image, hidden):
    return image[:, 1:]
def text(image, hidden):
    return "painted"
def fails(image, hidden):
    raise KeyError("weights")
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "painter.py"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize("shape", [(20, 30), (8, 9, 10)])
def test_a_plane_is_continued_and_nothing_hidden_is_looked_at(shape):
    """A biharmonic function that continues a constant is that constant."""
    region = torch.zeros(shape, dtype=torch.bool)
    region[2:7, 3:8] = True
    image = torch.where(region, 0.25, torch.rand(2, *shape))
    painted = inpaint(image[None], region[None].float(), torch.zeros(1, 2, *shape))
    torch.testing.assert_close(painted, torch.full_like(painted, 0.25))


def test_a_hole_in_a_ramp_is_filled_with_the_ramp():
    ramp = torch.linspace(0, 1, 40).expand(1, 40, 40)
    shown = torch.ones(40, 40)
    shown[15:25, 15:25] = 0
    holed = torch.where(shown.bool(), ramp, 9.0)
    painted = inpaint(holed[None], shown[None], torch.zeros(1, 1, 40, 40))[0]
    torch.testing.assert_close(painted, ramp, atol=1e-3, rtol=0)


def test_a_large_image_is_painted_on_a_coarse_grid():
    image = torch.full((1, 1, 400, 300), 0.5)
    shown = torch.zeros(1, 400, 300)
    shown[:, 100:200, 100:200] = 1
    painted = inpaint(image, shown, torch.zeros(1, 1, 400, 300))
    torch.testing.assert_close(painted, image)


def test_with_nothing_shown_it_is_empty():
    empty = torch.full((1, 1, 8, 8), 0.3)
    assert torch.equal(inpaint(torch.rand(1, 1, 8, 8), torch.zeros(1, 8, 8), empty), empty)


def test_without_the_library_the_cure_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    with pytest.raises(misure.MissingDependencyError, match=r"misure\[inpaint\]"):
        inpaint(torch.rand(1, 1, 8, 8), torch.ones(1, 8, 8), torch.zeros(1, 1, 8, 8))
    model, image = toys.model_of(toys.OwnBrightness()), toys.OwnBrightness.image()
    target = misure.predicted_target(model, image, class_index=1)
    with pytest.raises(misure.MissingDependencyError, match="to paint in what is hidden"):
        misure.robustness(model, image, target, target.region)


def test_a_function_of_the_users_own_stands_where_pixels_are_removed(file):
    model, image = toys.model_of(toys.OwnBrightness()), toys.OwnBrightness.image() + 0.1
    (way,) = make_presentations(model, image, baseline_image=f"python:{file}:zeros")
    region = torch.zeros(30, 30, dtype=torch.bool)
    region[10:20, 10:20] = True
    shown = way.show_regions([region])[0]
    assert torch.equal(shown, torch.where(region, image, 0.0))
    calls = sys.modules["misure_user_painter"].CALLS
    given, hidden = calls[-1]
    assert torch.equal(hidden, ~region)
    assert not given[:, hidden].any()


def test_explain_takes_one_and_records_its_name(file):
    model, image = toys.model_of(toys.OwnBrightness()), toys.OwnBrightness.image()
    target, name = misure.predicted_target(model, image, class_index=1), f"python:{file}:zeros"
    explanation = misure.explain(model, image, target, preset="quick", baseline_image=name)
    assert explanation.settings["baseline_image"] == name
    assert explanation.dice >= 0.9
    assert set(explanation.dice_on_other_baseline_images) == {"mean", "blurred", "noise", "filled"}


def test_robustness_draws_from_it_with_a_seed_of_its_own_each_time(file):
    model, image = toys.model_of(toys.OwnBrightness()), toys.OwnBrightness.image()
    target, options = misure.predicted_target(model, image, class_index=1), {"at_least": None}
    kinds = (f"python:{file}:zeros",)
    found = misure.robustness(model, image, target, target.region, kinds=kinds, **options)
    assert (found.held, found.drawn, found.passes) == (59, 59, 1)
    kinds = (f"python:{file}:seeded",)
    found = misure.robustness(model, image, target, target.region, kinds=kinds, **options)
    assert (found.drawn, found.passes) == (59, 59)
    assert 15 < found.held < 45  # where it paints with less than half the brightness


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("of_bytes", "like those of the image, from 0 to 1, got 255 to 256"),
        ("too_small", r"an image of shape \(1, 30, 30\), got \(1, 29, 30\)"),
        ("text", "got str"),
        ("fails", "raised KeyError: 'weights'"),
        ("missing", "raised AttributeError"),
    ],
)
def test_what_it_returns_is_checked(file, name, message):
    model, image = toys.model_of(toys.OwnBrightness()), toys.OwnBrightness.image()
    target = misure.predicted_target(model, image, class_index=1)
    kinds = (f"python:{file}:{name}",)
    with pytest.raises(misure.InputError, match=message):
        misure.robustness(model, image, target, target.region, kinds=kinds)


def test_a_file_is_run_again_only_if_it_changed(file):
    argument = f"{file}:zeros"
    assert user_inpainting(argument) is user_inpainting(argument)
    with pytest.raises(misure.InputError, match="file"):
        user_inpainting(f"{file}.nothing:zeros")
