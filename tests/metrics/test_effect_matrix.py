"""Context effects over a data set, on a network whose answer is known."""

import math

import pytest
import torch

import misure
from misure._util.records import decode, encode
from misure.datasets import Sample
from misure.metrics.effect_cells import EffectCell, ObjectEffect
from misure.metrics.effect_matrix import ContextEffectMatrix, EffectMatrixRecord
from toys import OwnBrightness, Pair, model_of

NAMES = ("background", "rider", "horse")


def _samples(number: int) -> list[Sample]:
    """The pair, moved down a little from image to image."""
    return [Sample(f"s{i}", Pair.image().roll(i - 3, 1)) for i in range(number)]


def test_a_class_that_another_needs_comes_out_with_its_interval_and_examples():
    matrix = misure.context_effect_matrix(model_of(Pair(), class_names=NAMES), _samples(6))
    assert [cell.target_name for cell in matrix.cells] == ["horse", "horse", "rider", "rider"]
    cell = matrix.cell("rider", "horse")
    assert (cell.effect, cell.low, cell.high) == (1, 1, 1)
    assert (cell.control_effect, cell.beyond_chance, cell.beyond_low) == (0, 1, 1)
    assert (cell.num_objects, cell.num_images, cell.num_controls) == (6, 6, 6)
    assert cell.examples == tuple(f"s{i}#1" for i in range(5))
    assert matrix.cell("horse", "rider").effect == 0
    assert matrix.cell("horse", "dog") is None
    assert matrix.dependencies() == [cell]
    (sentence,) = matrix.sentences()
    assert sentence == (
        "Hiding the horse takes 1.00 of the Dice of the rider (mean of 6 objects in 6 images, "
        "95 % interval 1.00 to 1.00); as large a region elsewhere takes 0.00. Strongest in s0#1."
    )
    targets, hidden, effects = matrix.table()
    assert (targets, hidden) == (["horse", "rider"], ["background", "horse", "rider"])
    assert effects[1, 1] == 1
    assert effects[0, 2] == 0
    assert math.isnan(effects[0, 1])
    # a segmentation; two objects, each with the other class and three controls, and the background
    assert matrix.cost.forward_passes == 6 * (1 + 2 * (4 + 1))
    assert matrix.num_images == 6
    assert decode(encode(matrix.record()), EffectMatrixRecord, "matrix") == matrix.record()


def test_too_few_images_give_no_interval_and_no_dependency():
    matrix = misure.context_effect_matrix(model_of(Pair(), class_names=NAMES), _samples(4))
    assert matrix.cell("rider", "horse").low is None
    assert matrix.dependencies() == []
    assert "too few images" in matrix.cell("rider", "horse").sentence()
    assert matrix.sentences()[0].startswith("No class was found to depend on another")


def test_only_the_asked_classes_are_targets_and_instances_are_told_apart():
    model = model_of(OwnBrightness(), class_names=("background", "cell"))
    image = torch.zeros(1, 30, 30)
    image[0, 2:8, 2:8], image[0, 20:24, 20:24] = 1, 1
    samples = [Sample("a", image)]
    matrix = misure.context_effect_matrix(model, samples, classes=["cell"], instances=True)
    assert [each.key for each in matrix.objects] == ["a#1.0", "a#1.0", "a#1.1", "a#1.1"]
    assert matrix.cell("cell", "cell").num_objects == 2
    assert "the rest of the cell" in matrix.cell("cell", "cell").sentence()
    with pytest.raises(misure.InputError, match="context_effect_matrix: expected a class"):
        misure.context_effect_matrix(model, samples, classes=["dog"])


def test_the_difference_to_chance_is_paired():
    def effect(i: int, own: float, control: float | None) -> ObjectEffect:
        return ObjectEffect(
            key=f"s{i}#1",
            case=f"s{i}",
            target_name="a",
            hidden_name="b",
            effect=own,
            control_effect=control,
            area_fraction=0.1,
        )

    # objects differ much in how easily they break, but each exceeds its own control by 0.1
    levels = (0.0, 0.2, 0.4, 0.6, 0.8)
    cell = EffectCell.of([effect(i, level + 0.1, level) for i, level in enumerate(levels)])
    assert cell.beyond_chance == pytest.approx(0.1)
    assert cell.beyond_low == pytest.approx(0.1)
    assert cell.low < 0.3
    assert cell.is_dependency
    cell = EffectCell.of([effect(i, 0.5, None) for i in range(6)])
    assert (cell.effect, cell.control_effect, cell.is_dependency) == (0.5, None, False)


def test_the_matrix_of_a_run_is_made_of_its_records(tmp_path):
    model = model_of(Pair(), class_names=NAMES)
    few = {"preset": "quick", "max_passes": 120, "baseline_image": "mean"}
    plan = misure.RunPlan(method_options=few, questions=("effects",))
    misure.run(_samples(5), model, tmp_path / "run", plan)
    records = misure.read_run(tmp_path / "run")
    matrix = ContextEffectMatrix.of_records("toy", records)
    cell = matrix.cell("rider", "horse")
    assert (cell.effect, cell.low, cell.high, cell.beyond_low) == (1, 1, 1, 1)
    assert cell.examples == tuple(f"s{i}#1" for i in range(5))
    assert matrix.cell("horse", "rider").effect == 0
    assert matrix.dependencies() == [cell]
    assert matrix.num_images == 5
    assert matrix.cost.forward_passes == sum(record.passes["effects"] for record in records)
    few |= {"max_passes": 60}
    misure.run(_samples(1), model, tmp_path / "none", misure.RunPlan(method_options=few))
    assert ContextEffectMatrix.of_records("toy", misure.read_run(tmp_path / "none")) is None
