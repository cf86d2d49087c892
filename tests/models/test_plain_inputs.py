"""Every public function takes plain images, a bare torch module, and the names of its classes."""

import inspect

import numpy as np
import pytest
import torch
from PIL import Image

import misure
from misure.datasets import Sample
from prompt_toys import nearby, two_squares
from toys import OwnBrightness

NAMES = ["background", "block"]
PIXELS = (OwnBrightness.image(2).repeat(3, 1, 1) * 255).to(torch.uint8)  # (3, H, W)
REGION = PIXELS[0] > 127
MISSED = torch.roll(REGION, 12, 1)


def of_monai():
    return pytest.importorskip("monai.data").MetaTensor(PIXELS / 255)


def image_of(kind, folder):
    """The same picture in other clothes."""
    last = PIXELS.movedim(0, -1).numpy()
    if kind == "path":
        Image.fromarray(last).save(folder / "block.png")
        return folder / "block.png"
    return {
        "tensor": lambda: PIXELS / 255,
        "array": (PIXELS / 255).numpy,
        "last": lambda: last / np.float32(255),
        "bytes": lambda: last,
        "picture": lambda: Image.fromarray(last),
        "monai": of_monai,
    }[kind]()


KINDS = ("tensor", "array", "last", "bytes", "picture", "path", "monai")

ONE_IMAGE = {
    "answer": lambda *a, **n: misure.answer(*a, "block", questions=["sufficient"], **QUICK, **n),
    "blocking_region": lambda model, image, **n: misure.blocking_region(
        model, image, misure.missed_target(model, image, MISSED, 1, **n), **QUICK, **n
    ),
    "channel_effects": lambda *a, **n: misure.channel_effects(
        *a, "block", baseline_image="mean", **n
    ),
    "channel_regions": lambda *a, **n: misure.channel_regions(*a, "block", max_passes=200, **n),
    "check_region": lambda *a, **n: misure.check_region(*a, "block", REGION, **n),
    "context_effects": lambda *a, **n: misure.context_effects(*a, "block", num_controls=1, **n),
    "explain": lambda *a, **n: misure.explain(*a, "block", preset="sufficient_region", **n),
    "explain_all": lambda *a, **n: misure.explain_all(
        *a, ["block"], preset="sufficient_region", **n
    )[0],
    "find_reasons": lambda *a, **n: misure.find_reasons(
        *a, misure.explain(*a, "block", **QUICK, **n), max_passes=40, **n
    ),
    "leverage": lambda *a, **n: misure.leverage(*a, "block", num_parts=2, **n),
    "missed_target": lambda *a, **n: misure.missed_target(*a, REGION, class_name="block", **n),
    "necessary_region": lambda *a, **n: misure.necessary_region(*a, "block", **QUICK, **n),
    "predicted_target": lambda *a, **n: misure.predicted_target(*a, class_name="block", **n),
    "robustness": lambda *a, **n: misure.robustness(
        *a, "block", REGION, num_images=2, at_least=None, kinds=["noise"], **n
    ),
    "segment": lambda *a, **n: misure.segment(*a, **n).target(class_name="block"),
    "stability_of": lambda *a, **n: misure.stability_of(
        *a, "block", changes=["seed"], **QUICK, **n
    ),
    "sufficient_area": lambda *a, **n: misure.sufficient_area(
        *a, "block", REGION.float().numpy(), **n
    ),
}
QUICK = {"preset": "quick", "max_passes": 60}


def target_of(result):
    """The target of a result; None if it keeps none."""
    if isinstance(result, misure.Target):
        return result
    return getattr(getattr(result, "explanation", result), "target", None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_IMAGE)
@pytest.mark.parametrize("kind", KINDS)
def test_plain_images_and_a_bare_module_with_names(name, kind, tmp_path):
    image = image_of(kind, tmp_path)
    target = target_of(ONE_IMAGE[name](OwnBrightness(), image, class_names=NAMES))
    if target is not None:
        assert target.class_name == "block"
        assert torch.equal(target.region, MISSED if name == "blocking_region" else REGION)


@pytest.mark.parametrize("name", ["leverage", "missed_target", "sufficient_area"])
def test_some_of_them_in_no_time(name, tmp_path):
    ONE_IMAGE[name](OwnBrightness(), image_of("picture", tmp_path), class_names=NAMES)


def of_many(model, folder, **names):
    samples = [Sample("one", PIXELS / 255, annotation=REGION.long())]
    compared = misure.compare(model, samples, methods=["random"], metrics=["iou"], **names)
    matrix = misure.context_effect_matrix(model, samples, classes=["block"], **names)
    missed = list(misure.missed_objects(model, samples, classes=["block"], max_dice=0.99, **names))
    done = misure.run(
        samples, model, folder, misure.RunPlan(method="random", classes=("block",)), **names
    )
    return compared, matrix, missed, done


def test_whole_data_sets_take_a_bare_module_with_names(tmp_path):
    compared, matrix, missed, done = of_many(OwnBrightness(), tmp_path / "run", class_names=NAMES)
    assert not compared.rows[0].error
    assert {one.target_name for one in matrix.objects} <= {"block"}
    assert missed == []
    assert done.num_failed == 0
    (record,) = misure.read_run(tmp_path / "run")
    assert record.class_name == "block"


def test_names_with_a_model_that_has_its_own_are_refused(tmp_path):
    model = misure.SegmentationModel(OwnBrightness(), class_names=NAMES)
    image = PIXELS / 255
    for name in ("leverage", "check_region", "missed_target", "sufficient_area"):
        with pytest.raises(misure.InputError, match=f"^{name}: .*with a torch module alone"):
            ONE_IMAGE[name](model, image, class_names=NAMES)
    with pytest.raises(misure.InputError, match="with a torch module alone"):
        misure.prompt_sensitivity(nearby(), two_squares(), "point:10,10", class_names=NAMES)
    with pytest.raises(misure.InputError, match="with a spec"):
        misure.run("triangle", "triangle", tmp_path / "run", class_names=NAMES)


def test_every_function_that_takes_a_model_takes_names():
    """Those of `ONE_IMAGE`, those of data sets, and the one that needs prompts."""
    functions = [getattr(misure, name) for name in misure.__all__]
    functions = [one for one in functions if inspect.isfunction(one)]
    takes = {one.__name__ for one in functions if "model" in inspect.signature(one).parameters} - {
        "as_captum_forward"
    }  # of a target, which was taken from a model
    named = {
        one.__name__ for one in functions if "class_names" in inspect.signature(one).parameters
    }
    assert takes == named
    of_data_sets = {"compare", "context_effect_matrix", "missed_objects", "run"}
    assert named == {*ONE_IMAGE, *of_data_sets, "prompt_sensitivity"}
