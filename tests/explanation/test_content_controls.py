import pytest
import torch

import misure
import toys
from misure.explanation.content_controls import fitted_to, make_content_controls


def _explained(**options):
    model = toys.model_of(toys.OwnBrightness())
    image = toys.square_image()
    target = misure.predicted_target(model, image, 1)
    return misure.explain(model, image, target, num_minimality_tests=0, max_passes=60, **options)


def test_the_image_turned_is_not_called_another_image():
    found = _explained()
    assert found.transfer_from == "turned"
    assert found.transfer_dice < 0.5


def test_another_image_is_named_and_used():
    bright = _explained(other_image=torch.ones(1, 30, 30), other_image_name="bright.png")
    assert (bright.transfer_from, bright.values.transfer_resized) == ("bright.png", False)
    assert bright.transfer_dice > 0.9  # it segments whatever is bright in this outline
    dark = _explained(other_image=torch.zeros(1, 30, 30))
    assert (dark.transfer_from, dark.transfer_dice) == ("tensor", 0)


def test_another_shape_is_scaled_and_cropped_and_that_is_said():
    wide = torch.zeros(1, 10, 40)
    wide[..., 15:25] = 1
    fitted = fitted_to(wide, torch.zeros(1, 30, 30))
    assert fitted.shape == (1, 30, 30)
    assert fitted.mean() > 0.9  # the middle third fills it, at one scale in both directions
    found = _explained(other_image=wide)
    assert found.values.transfer_resized
    volume = fitted_to(torch.rand(2, 4, 5, 6), torch.zeros(2, 8, 8, 8))
    assert volume.shape == (2, 8, 8, 8)


def test_what_cannot_stand_for_the_image_is_an_error():
    image = torch.zeros(1, 8, 8)
    for other in (torch.zeros(3, 8, 8), torch.zeros(1, 8, 8, 8), torch.full((1, 8, 8), torch.nan)):
        with pytest.raises(misure.InputError, match="expected another image of 1 channel and 2"):
            make_content_controls(image, other_image=other)
