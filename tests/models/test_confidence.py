"""What the prediction alone tells, weak changes of the image, and corruptions."""

import math

import pytest
import torch

import misure
import toys
from misure.datasets import open_dataset
from misure.images.corruption import CORRUPTIONS, Corruption
from misure.models.augmentation import AUGMENTATIONS, augmented_dices
from misure.models.confidence import BORDER_PX, prediction_record
from misure.models.target import Target
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run


def _target(region, class_index=1, multilabel=False):
    return Target(class_index, region, torch.zeros_like(region), "", multilabel)


def test_figures_are_what_loops_say():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(4, 9, 11, generator=generator)
    region = logits.argmax(0) == 2
    found = prediction_record(logits, _target(region, 2))
    p = logits.softmax(0)

    def near(inside, r, c):
        return any(
            inside[i, j] and math.hypot(i - r, j - c) <= BORDER_PX
            for i in range(9)
            for j in range(11)
        )

    pixels = [(r, c) for r in range(9) for c in range(11)]
    border = [(r, c) for r, c in pixels if near(region, r, c) and near(~region, r, c)]
    for beginning, some in (("", [one for one in pixels if region[one]]), ("border_", border)):
        tops = [sorted((float(x) for x in p[:, r, c]), reverse=True) for r, c in some]
        entropies = [-sum(x * math.log(x) for x in one) / math.log(4) for one in tops]
        wanted = {
            "max_probability": sum(one[0] for one in tops) / len(tops),
            "margin": sum(one[0] - one[1] for one in tops) / len(tops),
            "entropy": sum(entropies) / len(tops),
        }
        for name, figure in wanted.items():
            assert found[beginning + name] == pytest.approx(figure, abs=1e-5), name
    own = p[2]
    soft = 2 * own[region].sum() / (own.sum() + region.sum())
    assert found["soft_dice"] == pytest.approx(float(soft), abs=1e-5)


def test_confidence_in_the_middle_and_at_the_border_are_told_apart():
    logits = torch.full((2, 24, 24), 0.0)
    region = torch.zeros(24, 24, dtype=torch.bool)
    region[4:20, 4:20] = True
    logits[1] = torch.where(region, 9.0, -9.0)
    unsure = logits.clone()
    unsure[1, 4, 4:20] = 0.1
    sure, less = (prediction_record(one, _target(region)) for one in (logits, unsure))
    assert sure["border_max_probability"] > 0.999
    assert less["border_max_probability"] < less["max_probability"] < 0.999


@pytest.mark.parametrize(
    ("rows", "compactness", "at_edge", "num_parts"),
    [
        (["....", ".##.", ".##.", "...."], 1.0, 0.0, 1),
        (["....", "####", "....", "...."], 0.8, 0.2, 1),
        (["#...", "....", "....", "...#"], math.sqrt(2) / 2, 0.5, 2),
    ],
)
def test_form_of_drawn_regions(rows, compactness, at_edge, num_parts):
    region = torch.tensor([[sign == "#" for sign in row] for row in rows])
    logits = torch.stack([-region.float(), region.float()])
    found = prediction_record(logits, _target(region))
    assert found["compactness"] == pytest.approx(compactness)
    assert found["at_image_edge"] == pytest.approx(at_edge)
    assert found["num_parts"] == num_parts


def test_a_cube_is_compact_too_and_multilabel_has_two_classes():
    region = torch.zeros(6, 6, 6, dtype=torch.bool)
    region[1:4, 1:4, 1:4] = True
    logits = torch.where(region, 2.0, -2.0)[None]
    found = prediction_record(logits, _target(region, 0, multilabel=True))
    assert found["compactness"] == pytest.approx(1)
    p = 1 / (1 + math.exp(-2))
    assert found["max_probability"] == pytest.approx(p)
    assert found["margin"] == pytest.approx(2 * p - 1)
    whole = torch.ones(4, 4, dtype=torch.bool)
    without_border = prediction_record(torch.ones(1, 4, 4), _target(whole, 0, multilabel=True))
    assert without_border["border_margin"] is None


def test_augmentations_leave_a_network_of_single_pixels_alone_but_for_what_they_change():
    model = toys.model_of(toys.OwnBrightness())
    image = toys.square_image()
    image[:, :, :5] *= 0.5
    target = misure.predicted_target(model, image, 1)
    with model.counting() as cost:
        (found,) = augmented_dices(model, image, [target])
    assert cost.forward_passes == len(AUGMENTATIONS) == len(found)
    assert found["mirrored"] == 1
    assert all(0 <= dice <= 1 for dice in found.values())
    assert augmented_dices(model, image, [target]) == [found]


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corruptions_begin_at_nothing_and_grow(kind):
    image = toys.random_image(0)
    torch.testing.assert_close(Corruption(kind, 0.0)(image), image)
    weak, strong = (
        float((Corruption(kind, strength)(image, 3) - image).abs().mean())
        for strength in (0.1, 0.4)
    )
    assert 0 < weak < strong
    again = [Corruption(kind, 0.3)(image, 5) for _ in range(2)]
    assert torch.equal(*again)
    assert again[0].min() >= image.min()
    assert again[0].max() <= image.max()


def test_an_occlusion_covers_its_share():
    image = torch.rand(1, 20, 30)
    hidden = Corruption("occlusion", 0.25)(image, 1) != image
    assert float(hidden.float().mean()) == pytest.approx(0.25, abs=0.01)


def test_a_corrupted_data_set_keeps_keys_and_annotations():
    plain = open_dataset("triangle:2")
    noisy, again = (open_dataset("corrupted:noise=0.2,triangle:2") for _ in range(2))
    assert list(noisy.keys) == list(plain.keys)
    assert torch.equal(noisy[1].annotation, plain[1].annotation)
    assert not torch.equal(noisy[1].image, plain[1].image)
    assert torch.equal(noisy[1].image, again[1].image)


@pytest.mark.parametrize(
    "word", ["corrupted:noise=0.1", "corrupted:noise,triangle", "corrupted:fog=0.1,triangle",
             "corrupted:noise=2,triangle", "corrupted:noise=nan,triangle"]
)  # fmt: skip
def test_words_of_corruptions_that_make_no_sense(word):
    with pytest.raises(misure.InputError, match="expected"):
        open_dataset(word)


@pytest.mark.usefixtures("in_this_process")
def test_a_run_records_them_whatever_the_method(tmp_path):
    for method, augmented in (("edges", False), ("misure", True)):
        options = {"max_passes": 60} if method == "misure" else {}
        run(
            "corrupted:blur=0.01,triangle:1",
            "triangle",
            tmp_path / method,
            RunPlan(
                method=method,
                method_options=options,
                test_time_augmentation=augmented,
                instances=True,
            ),
        )
        for record in read_run(tmp_path / method):
            assert 0 < record.prediction.margin <= 1
            assert (record.augmented_dice is not None) == augmented
