"""What the report shows of further questions: figures, captions, and the whole run at a glance."""

import re
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from misure._util.words import share
from misure.explanation.answers.effects import LEAST_TOLD
from misure.metrics.comparison.statistics import FEWEST_CASES
from misure.metrics.effect_cells import EffectCell
from misure.metrics.effect_matrix import BACKGROUND_NAME, ContextEffectMatrix
from misure.runs.answer_record import HiddenRegionGroup
from misure.runs.record import ExplainedObject, ObjectRecord

LABELS = {
    "necessary_area": "hidden, it loses the object: share of the image",
    "necessary_dice": "Dice with that hidden",
    "necessary_outside": "part of that outside the object",
    "surroundings_area": "surroundings that, hidden, lose the object: share of the image",
    "surroundings_dice": "Dice with these surroundings hidden",
    "dice_without_surroundings": "Dice with all surroundings hidden",
    "num_reasons": "reasons",
    "dice_of_rest": "Dice with all reasons hidden",
    "strongest_effect": "strongest part of the surroundings, Dice lost without it",
    "strongest_beyond_chance": "the same, beyond as large a region elsewhere",
    "strongest_channel_effect": "strongest channel, Dice lost without it",
    "channels_needed": "channels of the smallest set that suffices",
    "robustness_share": "baseline images on which the region suffices, share",
    "robustness_lower_bound": "at least this share of them",
}
"""Name of a figure -> what it is, as `figures.LABELS`."""

_MOST_SENTENCES, _MOST_UNTESTED = 5, 3


def answer_figures(record: ExplainedObject) -> dict[str, float | None]:
    """Name -> number of the answers of an object; None or absent if there is none.

    The effect of hiding a class is called `without_` and its name (see `without`); that of a
    channel `without_channel_` and its name.

    Args:
        record: of the object.
    """
    values: dict[str, float | None] = {}
    for name, group in (("necessary", record.necessary), ("surroundings", record.surroundings)):
        if group is not None and group.is_found:
            values |= {f"{name}_area": group.area_fraction, f"{name}_dice": group.dice}
    if record.necessary and record.necessary.is_found:
        values["necessary_outside"] = record.necessary.outside_target_fraction
    if record.surroundings:
        values["dice_without_surroundings"] = record.surroundings.dice_with_all_hidden
    if reasons := record.reasons:
        values |= {"num_reasons": reasons.num_reasons, "dice_of_rest": reasons.dice_of_rest}
    if robust := record.robustness:
        values |= {"robustness_share": robust.share, "robustness_lower_bound": robust.lower_bound}
    if (effects := record.effects) and effects.strongest:
        values["strongest_effect"] = effects.strongest.effect
        values["strongest_beyond_chance"] = effects.strongest.beyond_chance
    if channels := record.channels:
        values["strongest_channel_effect"] = max(channels.effects.values())
        values["channels_needed"] = channels.set_size
    return values | {name: effect for name, _, effect in _effects(record)}


def effect_labels(record: ExplainedObject) -> dict[str, str]:
    """Name of a figure -> what it is, for each class and channel whose effect is known."""
    return {name: f"Dice lost without {hidden}" for name, hidden, _ in _effects(record)}


def _effects(record: ExplainedObject) -> list[tuple[str, str, float]]:
    classes = record.effects.classes if record.effects else []
    channels = record.channels.effects if record.channels else {}
    return [
        *((without(one.class_name), one.class_name, one.effect) for one in classes),
        *((without_channel(name), name, effect) for name, effect in channels.items()),
    ]


def without(class_name: str) -> str:
    """The name of the figure that is the effect of hiding a class, as it is searched by.

    >>> without("Potted plant")
    'without_potted_plant'
    """
    return "without_" + re.sub(r"[^a-z0-9]+", "_", class_name.lower())


def without_channel(name: str) -> str:
    """The name of the figure that is the effect of hiding a channel.

    >>> without_channel("T1 c+"), without_channel("channel 2")
    ('without_channel_t1_c_', 'without_channel_2')
    """
    return without(f"channel {name.removeprefix('channel ')}")


def hidden_captions(record: ExplainedObject) -> dict[str, str]:
    """`necessary`, `surroundings`, `reasons` -> the caption of its picture, if there is a region.

    Args:
        record: of the object.
    """
    captions = {}
    for name, group in (("necessary", record.necessary), ("surroundings", record.surroundings)):
        if group is not None and group.is_found:
            what = "hidden" if name == "necessary" else "hidden, around the object"
            captions[name] = f"{what}: {_lost(group)}"
    if record.reasons and record.reasons.num_reasons > 1:
        number = record.reasons.num_reasons - 1
        captions["reasons"] = f"{number} other reason{'s' if number > 1 else ''}"
    return captions


def _lost(group: HiddenRegionGroup) -> str:
    return f"{share(group.area_fraction)} of the image, Dice {group.dice:.2f}"


def answers_at_a_glance(records: Sequence[ObjectRecord]) -> list[str]:
    """What was found out about the objects of a run, a sentence for each question; maybe none.

    Args:
        records: of the run.
    """
    explained = [record for record in records if isinstance(record, ExplainedObject)]
    sentences = []
    for name, where in (("necessary", ""), ("surroundings", " of its surroundings")):
        groups = [group for record in explained if (group := getattr(record, name)) is not None]
        found = [group for group in groups if group.is_found]
        if groups:
            areas = median(group.area_fraction for group in found) if found else 0
            least = f", of {share(areas)} of the image (median)" if found else ""
            sentences.append(
                f"A region{where} that, hidden, loses the object was found for {len(found)} of "
                f"{len(groups)}{least}."
            )
    if reasons := [record.reasons for record in explained if record.reasons]:
        several = sum(one.num_reasons > 1 for one in reasons)
        sentences.append(f"{several} of {len(reasons)} have more than one reason.")
    if robust := [record.robustness for record in explained if record.robustness]:
        said = [one.answer for one in robust]
        asked = robust[0].at_least or 0
        sentences.append(
            f"The minimally sufficient region suffices on at least {100 * asked:g} % of baseline "
            f"images for {said.count('yes')} of {len(said)}, on fewer for {said.count('no')}; "
            f"{said.count('unclear')} are unclear."
        )
    return sentences


def surroundings_at_a_glance(
    model: str, records: Sequence[ObjectRecord], places: Mapping[str, int]
) -> dict[str, Any] | None:
    """The matrix of context effects of a run, for the template; None if it has none.

    Args:
        model: name of the network.
        records: of the run.
        places: key -> place on the page.

    Returns:
        `columns` (hidden classes), `rows` (`class_name`, `cells`, each a dictionary or None),
        `sentences` and `untested` (`text`, `examples`), `num_images`, `fewest` (images for an
        interval), and `num_without`, how many objects have no effects.
    """
    matrix = ContextEffectMatrix.of_records(model, records)
    if matrix is None:
        return None
    names, columns, _ = matrix.table()
    rows = [
        {"class_name": name, "cells": [_cell(matrix.cell(name, column)) for column in columns]}
        for name in names
    ]
    told = matrix.dependencies()[:_MOST_SENTENCES]
    sentences = [_said(cell, places) for cell in told]
    if not told:
        sentences = [{"text": text, "examples": []} for text in matrix.sentences()]
    explained = [record for record in records if isinstance(record, ExplainedObject)]
    return {
        "columns": columns,
        "rows": rows,
        "sentences": sentences,
        "untested": [_said(cell, places) for cell in _untested(matrix)[:_MOST_UNTESTED]],
        "num_images": matrix.num_images,
        "fewest": FEWEST_CASES,
        "num_without": sum(record.effects is None for record in explained),
    }


def _untested(matrix: ContextEffectMatrix) -> list[EffectCell]:
    """Effects that too few images or controls tell from chance, the strongest first."""
    cells = [
        cell
        for cell in matrix.cells
        if cell.beyond_low is None and cell.hidden_name != BACKGROUND_NAME
    ]
    strong = [cell for cell in cells if cell.effect >= LEAST_TOLD]
    return sorted(strong, key=lambda cell: -cell.effect)


def _said(cell: EffectCell, places: Mapping[str, int]) -> dict[str, Any]:
    examples = [{"key": key, "place": places[key]} for key in cell.examples]
    return {"text": cell.sentence(), "examples": examples}


def _cell(cell: EffectCell | None) -> dict[str, Any] | None:
    if cell is None:
        return None
    has_interval = cell.low is not None and cell.high is not None
    return {
        "effect": cell.effect,
        "share": min(1.0, max(0.0, cell.effect)),
        "interval": f"{cell.low:.2f} to {cell.high:.2f}" if has_interval else "",
        "num_objects": cell.num_objects,
        "num_images": cell.num_images,
        "is_dependency": cell.is_dependency,
        "figure": without(cell.hidden_name),
        "sentence": cell.sentence(),
    }
