"""A run at a glance: values of each class, the matrix of contexts, and what failed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from misure.runs.context import context_shares
from misure.runs.record import DoneObject, ExplainedObject, FailedObject, ObjectRecord

SEEN = 0.01
"""Share of a region on another class from which its object counts there."""


def at_a_glance(records: Sequence[ObjectRecord]) -> dict[str, Any]:
    """What the report shows of a run as a whole.

    Returns:
        `num_done`, `failed` (records), `classes` (a row for each explained class, most evidence
        outside the object first), `context` (see `context_matrix`) and `pass_equivalents`.
    """
    done = [record for record in records if isinstance(record, DoneObject)]
    by_class: dict[str, list[ExplainedObject]] = defaultdict(list)
    for record in done:
        if isinstance(record, ExplainedObject):
            by_class[record.class_name].append(record)
    rows = [_class_row(name, of_class) for name, of_class in by_class.items()]
    return {
        "num_done": len(done),
        "failed": [record for record in records if isinstance(record, FailedObject)],
        "classes": sorted(rows, key=lambda row: -row["outside"]),
        "context": context_matrix(by_class),
        "pass_equivalents": sum(record.cost.pass_equivalents for record in done),
    }


def _class_row(name: str, records: Sequence[ExplainedObject]) -> dict[str, Any]:
    small = [record.minimally_sufficient_region for record in records]
    alone = [record.silhouette_dice >= record.dice_threshold for record in records]
    return {
        "class_name": name,
        "num": len(records),
        "relative_area": median(region.relative_area for region in small),
        "outside": median(region.outside_target_fraction for region in small),
        "growth_px": median(record.sufficient_region.growth_px for record in records),
        "outline": sum(alone) / len(alone),
    }


def context_matrix(by_class: Mapping[str, Sequence[ExplainedObject]]) -> dict[str, Any]:
    """Mean share of the minimal region that lies outside the object, on each other class.

    Args:
        by_class: name of a class -> records of its objects.

    Returns:
        `columns` (names of classes) and `rows` (`class_name`, `num` objects, `cells`); each cell
        has the mean `share`, and `num`, how many objects have at least a hundredth of their region
        there.
    """
    shares_by_class = {
        name: [named_shares(record) for record in records] for name, records in by_class.items()
    }
    columns = sorted(
        {
            entry.class_name
            for records in by_class.values()
            for record in records
            for entry in record.context
        }
    )
    rows = []
    for name, shares in sorted(shares_by_class.items()):
        cells = [
            {
                "share": sum(share.get(column, 0.0) for share in shares) / len(shares),
                "num": sum(share.get(column, 0.0) >= SEEN for share in shares),
            }
            for column in columns
        ]
        rows.append({"class_name": name, "num": len(shares), "cells": cells})
    return {"columns": columns, "rows": rows}


def named_shares(record: ExplainedObject) -> dict[str, float]:
    """Name of another class -> share in [0, 1] of the minimal region that lies on it."""
    names = {entry.class_index: entry.class_name for entry in record.context}
    shares: dict[str, float] = defaultdict(float)  # two classes may have one name
    for index, share in context_shares(record).items():
        shares[names[index]] += share
    return dict(shares)
