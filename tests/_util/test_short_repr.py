"""Texts of results: one short line for each."""

import inspect

import numpy as np
import pytest
import torch

import misure
import toys
from misure._util.short_repr import MOST, brief, one_line, short_repr
from misure.datasets import Sample

MOST_OF_ANY = 300


def test_values_are_named_by_their_size():
    assert brief(torch.zeros(2, 3, dtype=torch.bool)) == "bool (2, 3)"
    assert brief(np.zeros((4, 5), np.float32)) == "float32 (4, 5)"
    assert brief({"mean": 0.5, "noise": 1.0}) == "{'mean': 0.5, 'noise': 1}"
    assert brief({str(number): number for number in range(9)}) == "{9 items}"
    assert brief((1, 2)) == "(1, 2)"
    assert brief("x" * 100) == "'" + "x" * 39 + "…'"
    assert one_line("a\x1b[31m", 20) == "a\\x1b[31m"
    assert len(short_repr([], "x" * 1000)) == MOST


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the public functions return, of real work on a toy with hostile and long names."""
    names = ["background", "a very long name of a class " * 8]
    model = toys.model_of(toys.Beacon(), class_names=names)
    image = toys.beacon_image(2)
    segmentation = misure.segment(model, image)
    target = misure.predicted_target(model, image, 1)
    answer = misure.answer(model, image, target, questions=["all", "channels"], max_passes=300)
    samples = [Sample("one", image)]
    folder = tmp_path_factory.mktemp("run") / "run"
    plan = misure.RunPlan(method_options={"preset": "quick"})
    progress = misure.run(samples, model, folder, plan)
    missing = segmentation.missed(~target.region & (image[0] > 2) | target.region, 1)
    return [
        model, image, segmentation, target, answer, answer.explanation, answer.necessary,
        answer.surroundings, answer.reasons, answer.effects, answer.channels, answer.cost,
        answer.explanation.values, answer.necessary.values, answer.reasons.values, missing,
        answer.explanation.minimality, *answer.explanation.sufficiency_curve,
        *answer.effects.effects, *answer.channels.effects, *segmentation.found_classes(),
        misure.leverage(model, image, target, num_parts=4),
        misure.channel_regions(model, image, target, explanation=answer.explanation),
        misure.stability_of(
            model, image, target, explanation=answer.explanation, changes=["noise"],
            preset="quick",
        ),
        misure.robustness(model, image, target, target.region, num_images=10, kinds=["noise"]),
        progress, misure.read_run(folder), *misure.read_run(folder), plan, misure.Execution(),
        misure.compare(model, samples, methods=["random"], metrics=["sufficient_area"]),
        misure.context_effect_matrix(model, samples),
        *misure.METHODS.values(), *misure.METRICS.values(), *misure.PRESETS.values(), samples[0],
    ]  # fmt: skip


def test_no_result_takes_more_than_one_short_line(results):
    shown = {repr(one): type(one).__name__ for one in results if not isinstance(one, torch.Tensor)}
    for text, kind in shown.items():
        assert len(text) <= MOST_OF_ANY, (kind, text)
        assert "\n" not in text, kind
        assert "tensor(" not in text, kind


def test_results_of_all_public_classes_are_among_them(results):
    public = [getattr(misure, name) for name in misure.__all__]
    classes = {one for one in public if inspect.isclass(one) and not issubclass(one, Exception)}
    missing = classes - {type(one) for one in results}
    assert {one.__name__ for one in missing} <= {"CheckedRegion"}


def test_what_matters_is_said(results):
    explanation = next(one for one in results if isinstance(one, misure.Explanation))
    small = explanation.values.minimally_sufficient_region
    text = repr(explanation)
    assert f"{100 * small.area_fraction:.1f} % suffices, Dice {small.dice:.3f}" in text
    assert f"preset=readable, {explanation.cost.pass_equivalents} passes" in text
    target = next(one for one in results if isinstance(one, misure.Target))
    assert f"{int(target.region.sum())} px of (30, 30)" in repr(target)
