"""How much the rest of a target depends on each part of it, on networks whose answer is known."""

import pytest
import torch
from torch import nn

import misure
from misure._util.records import decode, encode
from misure.explanation.answers.leverage import LeverageRecord
from toys import Beacon, OwnBrightness, model_of, square_image


class Head(nn.Module):
    """A pixel is foreground if it is bright and a very bright pixel is seen somewhere."""

    def forward(self, images):
        brightest = images.flatten(1).amax(1).view(-1, *[1] * (images.ndim - 1)) - 1.5
        evidence = torch.minimum(images[:, :1] - 0.5, brightest)
        return torch.cat([-evidence, evidence], 1)

    @staticmethod
    def image(num_dimensions):
        image = square_image(num_dimensions)
        image[(0, *[10] * num_dimensions)] = 2.0
        return image


@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_only_the_part_that_the_rest_depends_on_has_leverage(num_dimensions):
    image = Head.image(num_dimensions)
    result = misure.leverage(model_of(Head()), image, 1, num_parts=8)
    assert 4 <= len(result.parts) <= 8
    holds_head = [
        bool(piece.region(image.shape[1:])[(10,) * num_dimensions]) for piece in result.pieces
    ]
    assert holds_head == [True] + [False] * (len(result.parts) - 1)
    assert [part.leverage for part in result.parts] == [float(holds) for holds in holds_head]
    values = result.map()
    assert (torch.isnan(values) == ~result.target.region).all()
    assert values[result.target.region].sum() == result.pieces[0].num_px
    assert result.cost.forward_passes == 1 + len(result.parts)
    assert result.sentence().endswith("0 % of the rest is left (Dice 0.00).")


@pytest.mark.parametrize("toy", [OwnBrightness, Beacon])
@pytest.mark.parametrize("num_dimensions", [2, 3])
def test_no_part_has_leverage_where_pixels_speak_for_themselves(toy, num_dimensions):
    result = misure.leverage(model_of(toy()), toy.image(num_dimensions), 1, num_parts=16)
    assert {part.leverage for part in result.parts} == {0.0}
    assert {part.share_left for part in result.parts} == {1.0}
    assert sum(part.share for part in result.parts) == pytest.approx(1)
    assert "none of" in result.sentence()


def test_what_is_drawn_outside_counts_against_the_rest():
    class Spreads(nn.Module):  # without its first column, the target grows by the row below
        def forward(self, images):
            drawn = images > 0.5
            whole = images[:, :, 10:15, 10].flatten(1).sum(1).view(-1, 1, 1, 1) == 5
            below = torch.zeros_like(drawn)
            below[:, :, 15, 10:15] = True
            evidence = torch.where(drawn | (below & ~whole), 1.0, -1.0)
            return torch.cat([-evidence, evidence], 1)

    result = misure.leverage(
        model_of(Spreads(), differentiable=False), square_image(), 1, num_parts=2
    )
    part = next(part for part in result.parts if part.leverage > 0)
    rest = round(25 * (1 - part.share))
    assert part.dice == pytest.approx(2 * rest / (2 * rest + 5))
    assert part.added == pytest.approx(5 / rest)
    assert part.share_left == 1
    added = (
        f"and as much as {100 * part.added:.0f} % of it is drawn beside it (Dice {part.dice:.2f})"
    )
    assert result.sentence().endswith(f"100 % of the rest is left, {added}.")


def test_a_target_of_one_pixel_has_no_parts():
    image = torch.zeros(1, 9, 9)
    image[0, 4, 4] = 1
    result = misure.leverage(model_of(OwnBrightness()), image, 1)
    assert result.parts == ()
    assert torch.isnan(result.map()).all()
    assert "too small to be divided" in result.sentence()


def test_the_same_seed_gives_the_same_and_it_survives_json():
    model, image = model_of(Head()), Head.image(2)
    first, again = (misure.leverage(model, image, 1, seed=2) for _ in range(2))
    assert first.parts == again.parts
    record = first.record()
    assert decode(encode(record), LeverageRecord, "leverage") == record
    with pytest.raises(misure.InputError, match="leverage: expected num_parts of 2 or more"):
        misure.leverage(model, image, 1, num_parts=1)


@pytest.mark.parametrize(("baseline_image", "num_parts"), [("mean", 6), ("mean,blurred", 3)])
def test_a_budget_makes_fewer_parts(baseline_image, num_parts):
    model, image = model_of(Head()), Head.image(2)
    options = {"baseline_image": baseline_image, "num_parts": 8}
    with model.counting() as spent:
        result = misure.leverage(model, image, misure.predicted_target(model, image, 1), **options)
    spent_for_target = 1
    whole = result.cost.forward_passes
    assert spent.forward_passes == whole + spent_for_target
    some = misure.leverage(model, image, 1, max_passes=7, **options)
    assert 2 <= len(some.parts) <= num_parts < len(result.parts)
    assert some.cost.forward_passes <= 7
    assert some.parts[0].leverage == 1  # the head is in one of them
    unchanged = misure.leverage(model, image, 1, max_passes=whole, **options)
    assert unchanged.parts == result.parts


def test_a_budget_has_to_do_for_two_parts():
    model, image = model_of(Head()), Head.image(2)
    with pytest.raises(misure.InputError, match="leverage: expected max_passes of 3 or more, for"):
        misure.leverage(model, image, 1, max_passes=2)
    with pytest.raises(misure.InputError, match="max_passes of 5 or more, for two parts, got 4"):
        misure.leverage(model, image, 1, max_passes=4, baseline_image="mean,blurred")
    assert len(misure.leverage(model, image, 1, max_passes=3).parts) == 2
