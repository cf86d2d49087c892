"""What the picture of a hidden region shows, and what its panels are called."""

import matplotlib.figure
import numpy as np
import pytest
import torch

import misure
import toys
from misure.explanation.answers.hide import blocking_region, necessary_region
from misure.explanation.presentation import make_presentation
from misure.reports.hidden_picture import save_hidden_picture


class BrightOutside(torch.nn.Module):
    """Foreground is what differs from half grey by a quarter, so that a white fill is, too."""

    def forward(self, images):
        evidence = toys.SHARPNESS * ((images[:, :1] - 0.5).abs() - 0.25)
        return torch.cat([-evidence, evidence], dim=1)


STEP = 0.5 / 255 + 1e-6  # of eight bits


@pytest.fixture
def panels(tmp_path, monkeypatch):
    """Draws a hidden region, and returns what is said and the last image of its three panels."""

    def draw(hidden, model, image, **options):
        figures = []
        monkeypatch.setattr(
            matplotlib.figure.Figure, "savefig", lambda figure, *_, **__: figures.append(figure)
        )
        save_hidden_picture(
            hidden, model, make_presentation(model, image, **options), tmp_path / "hidden.png"
        )
        (figure,) = figures
        return [
            (axes.texts[0].get_text(), np.asarray(axes.images[-1].get_array()) / 255)
            for axes in figure.axes
        ]

    return draw


def test_if_surroundings_are_not_needed_the_picture_hides_all_of_them(panels):
    model, image = toys.model_of(toys.OwnBrightness()), toys.square_image()
    found = necessary_region(model, image, 1, outside_target=True, max_passes=60)
    assert not found.is_found
    image[:, ~found.target.region] = 0.25  # seen only if it is not hidden
    (first, bright), (_, shown), (third, drawn) = panels(found, model, image, baseline_image="mean")
    target = found.target.region.numpy()
    assert first == "bright: all around the target; target outlined"
    assert np.allclose(bright[target], 0.3 * image.numpy()[:, target].mean(), atol=STEP)  # dimmed
    assert np.allclose(bright[~target], 0.25, atol=STEP)
    assert not np.allclose(shown[~target], 0.25, atol=STEP)
    assert third == f"Dice {found.values.dice_with_all_hidden:.2f}"
    assert np.array_equal(drawn[..., 3] > 0, target)


def test_what_is_drawn_on_hidden_pixels_around_the_target_is_pale(panels):
    model, image = toys.model_of(BrightOutside()), torch.full((1, 24, 24), 0.5)
    image[:, 8:16, 8:16] = 1.0
    found = necessary_region(
        model, image, 1, outside_target=True, baseline_image="black", max_passes=60
    )
    assert not found.is_found
    _, _, (title, drawn) = panels(found, model, image, baseline_image="black")
    target = found.target.region.numpy()
    assert title == "Dice 1.00; pale: not counted"
    assert np.allclose(drawn[target][:, 3], 0.65, atol=STEP)
    assert np.allclose(drawn[~target][:, 3], 0.35, atol=STEP)


def test_if_nothing_blocks_an_object_nothing_is_hidden(panels):
    model, image = toys.model_of(toys.OwnBrightness()), toys.square_image()
    missed = torch.zeros(image.shape[1:], dtype=torch.bool)
    missed[:3, :3] = True
    target = misure.missed_target(model, image, missed, class_name="1")
    found = blocking_region(model, image, target, max_passes=60)
    assert not found.is_found
    (first, _), (_, shown), (third, _) = panels(found, model, image)
    assert first == "nothing; target outlined"
    assert np.allclose(shown, image[0].numpy(), atol=STEP)
    assert f"Dice {found.values.dice_with_nothing_hidden:.2f}" in third
    figure = found.plot(model)
    assert figure.texts[0].get_text() == "What keeps the model from drawing this class 1?"
    assert [axes.get_title() for axes in figure.axes] == [
        "What is hidden", "What the network was shown", "What it then draws of this class",
    ]  # fmt: skip
    assert [axes.get_title() for axes in found.plot().axes] == ["What is hidden"]
