"""Annotated objects for tests of reliability, whose Dice is a known function of their features."""

import math

import numpy as np

from misure.explanation.record import PassCounts, TargetRecord
from misure.reliability.examples import Examples
from misure.runs.record import DoneObject, Prediction

OPTIONS = {"learner": "linear", "cut": 0.5, "coverage": 0.9, "seed": 0}
SURE = ("max_probability", "margin", "border_margin", "soft_dice")


def record_of(number, **prediction):
    """The record of an object of which nothing else is known than these values."""
    unknown = dict.fromkeys(Prediction.__struct_fields__, math.nan)
    return DoneObject(
        key=f"image{number // 3}#1.{number % 3}",
        sample=f"image{number // 3}",
        class_index=1,
        class_name="ship",
        instance=number % 3,
        map="",
        thumbnail="",
        target=TargetRecord(
            class_index=1, class_name="ship", pixels=1, area_fraction=math.nan, multilabel=False
        ),
        cost=PassCounts(forward_passes=0, backward_passes=0, pass_equivalents=0),
        affine=None,
        viewing_order=None,
        prediction=Prediction(**(unknown | prediction)),
    )


def examples_of(num=240, seed=0, answer=None):
    """Objects, three an image, whose Dice is what `answer` makes of their features."""
    generator = np.random.default_rng(seed)
    sure = generator.random((num, len(SURE)))
    records = [
        record_of(i, **dict(zip(SURE, row.tolist(), strict=True))) for i, row in enumerate(sure)
    ]
    dices = answer(sure) if answer else generator.random(num)
    groups = np.array([record.sample for record in records])
    return Examples(records=records, dices=dices, groups=groups)


def mixed(sure):
    """A Dice that two of the features decide."""
    return np.clip(0.5 * sure[:, 0] + 0.3 * sure[:, 3] + 0.2, 0, 1)
