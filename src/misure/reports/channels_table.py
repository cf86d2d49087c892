"""Channels over a run: what hiding each channel takes from the objects of each class."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from misure._util.words import counted
from misure.datasets.sample import case_of
from misure.metrics.comparison.statistics import FEWEST_CASES, summarise
from misure.reports.answers import without_channel
from misure.runs.answer_record import ChannelsGroup
from misure.runs.record import ExplainedObject, ObjectRecord

_LEAST_SHARE = 0.5  # of the objects, from which a sentence names a set of channels


def channels_at_a_glance(records: Sequence[ObjectRecord]) -> dict[str, Any] | None:
    """The table class x channel of a run, for the template; None if it did not ask for channels.

    Args:
        records: of the run.

    Returns:
        `columns` (channels, in their order), `rows` (`class_name`, `num_objects`, `cells`, each a
        dictionary or None), `sentences`, `baseline_images` (all that stood in hidden channels),
        `fewest` (images for an interval), and `num_without`, how many objects had too many channels
        for the budget.
    """
    explained = [record for record in records if isinstance(record, ExplainedObject)]
    asked = [(record, record.channels) for record in explained if record.channels is not None]
    if not asked:
        return None
    columns = list(dict.fromkeys(name for _, group in asked for name in group.effects))
    by_class: dict[str, list[tuple[ExplainedObject, ChannelsGroup]]] = defaultdict(list)
    for record, group in asked:
        by_class[record.class_name].append((record, group))
    rows = [
        {
            "class_name": name,
            "num_objects": len(objects),
            "cells": [_cell(column, objects) for column in columns],
        }
        for name, objects in sorted(by_class.items())
    ]
    return {
        "columns": columns,
        "rows": rows,
        "sentences": [_sentence(name, objects) for name, objects in sorted(by_class.items())],
        "baseline_images": sorted({group.baseline_image for _, group in asked}),
        "fewest": FEWEST_CASES,
        "num_without": sum(record.channels is None for record in explained),
    }


def _cell(
    column: str, objects: Sequence[tuple[ExplainedObject, ChannelsGroup]]
) -> dict[str, Any] | None:
    known = [(record, group) for record, group in objects if column in group.effects]
    if not known:
        return None
    effects = [group.effects[column] for _, group in known]
    summary = summarise(effects, [case_of(record.sample) for record, _ in known])
    low, high = summary["low"], summary["high"]
    with_sets = [group.sets for _, group in known if group.sets]
    needed = sum(all(column in one for one in sets) for sets in with_sets)
    return {
        "effect": summary["mean"],
        "share": min(1.0, max(0.0, summary["mean"])),
        "interval": "" if low is None else f"{low:.2f} to {high:.2f}",
        "num_needed": needed,
        "num_with_sets": len(with_sets),
        "figure": without_channel(column),
    }


def _sentence(name: str, objects: Sequence[tuple[ExplainedObject, ChannelsGroup]]) -> str:
    """Which set of channels most often suffices for the objects of a class."""
    times: dict[tuple[tuple[str, ...], ...], int] = defaultdict(int)
    for _, group in objects:
        times[tuple(map(tuple, group.sets))] += 1
    sets, number = max(times.items(), key=lambda pair: pair[1])
    kinds = len(times)
    if not sets or number < _LEAST_SHARE * len(objects):
        return (
            f"{name}: no set of channels is the smallest for half of "
            f"{counted(len(objects), 'object')}."
        )
    told = " or ".join(" + ".join(one) or "no channel" for one in sets)
    others = f"; {kinds - 1} other answers" if kinds > 1 else ""
    return (
        f"{name}: the smallest set that suffices is {told} for {number} of {len(objects)}{others}."
    )
