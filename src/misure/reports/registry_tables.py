"""Tables of methods, metrics, presets, data sets, loaders and features, from their registries.

In a Markdown file a table stands between the lines `<!-- table: metrics -->` and `<!-- end -->`;
with `<!-- table: metrics sufficiency -->` it holds one group or kind only.
"""

import re
from collections.abc import Callable

from misure._util.tables import arrow, markdown_table, plain
from misure.datasets import DATASETS, DatasetKind
from misure.errors import InputError
from misure.explanation.presets import PRESETS
from misure.methods import METHODS
from misure.metrics import METRICS, Metric
from misure.models.loaders import LOADERS, Loader
from misure.reliability import FEATURES, GROUPS

_MARKED = re.compile(
    r"^(<!-- table: (?P<name>\w+)(?: (?P<part>\w+))? -->)\n.*?^(<!-- end -->)$", re.M | re.S
)


def fill_tables(text: str) -> str:
    """Markdown text with the tables between its markers made anew.

    Raises:
        InputError: a marker names no such table, or no part of it.
    """
    return _MARKED.sub(_filled, text)


def methods_table(kind: str = "") -> list[str]:
    """A row for each method that comes with misure: name, kind, what it does, source, needs."""
    rows = []
    for method in METHODS.shipped.values():
        needs = [f"`misure[{method.library}]`"] * bool(method.library)
        needs += ["gradients"] * method.needs_gradients
        if kind in ("", method.kind):
            cells = [method.kind, plain(method.summary), plain(method.source), ", ".join(needs)]
            rows.append([f"`{method.name}`", *cells])
    return markdown_table(["method", "kind", "what it shows", "source", "needs"], rows)


def metrics_table(group: str = "") -> list[str]:
    """A row for each metric that comes with misure: name, group, formula, unit and range, source.

    An arrow says which direction is better.
    """
    rows = []
    for metric in METRICS.shipped.values():
        if group in ("", metric.group):
            empty = "–" if metric.when_empty is None else f"{metric.when_empty:g}"
            name = f"`{metric.name}`{arrow(metric.higher_is_better)}"
            cells = [plain(metric.formula), _range(metric), empty, plain(metric.source)]
            rows.append([name, metric.group, *cells])
    return markdown_table(["metric", "group", "formula", "unit, range", "empty", "source"], rows)


def presets_table(_part: str = "") -> list[str]:
    """A row for each preset that comes with misure: name, what it does, usual cost."""
    rows = [
        [f"`{preset.name}`", plain(preset.summary), preset.usual_passes]
        for preset in PRESETS.shipped.values()
    ]
    return markdown_table(["preset", "what it does", "pass equivalents"], rows)


def datasets_table(_part: str = "") -> list[str]:
    """A row for each kind of data set that comes with misure: spec, what it is, extra."""
    return _specs_table([*DATASETS.shipped.values()])


def loaders_table(_part: str = "") -> list[str]:
    """A row for each loader that comes with misure: spec, what it loads, extra."""
    return _specs_table([*LOADERS.shipped.values()])


def features_table(group: str = "") -> list[str]:
    """A row for each group of features of the reliability, and below it for each feature."""
    rows = []
    for name, about in GROUPS.items():
        if group in ("", name):
            rows.append([f"**{name}**: {plain(about)}", ""])
            features = [feature for feature in FEATURES.values() if feature.group == name]
            rows += [[f"`{feature.name}`", plain(feature.formula)] for feature in features]
    return markdown_table(["feature", "formula"], rows)


TABLES: dict[str, Callable[[str], list[str]]] = {
    "methods": methods_table,
    "metrics": metrics_table,
    "presets": presets_table,
    "datasets": datasets_table,
    "loaders": loaders_table,
    "features": features_table,
}
"""Name in a marker -> the lines of the table, of one group or kind or of all."""


def _filled(match: re.Match[str]) -> str:
    if match["name"] not in TABLES:
        raise InputError(f"expected a table among {', '.join(TABLES)}, got {match['name']!r}.")
    lines = TABLES[match["name"]](match["part"] or "")
    if len(lines) < 3:
        raise InputError(f"expected a part of table {match['name']}, got {match['part']!r}.")
    return "\n".join([match[1], *lines, match[4]])


def _range(metric: Metric) -> str:
    """Unit and range, such as `px, ≥ 0` or `[0, 1]`."""
    units = {"1": "", "Dice": "Dice, ", "image": "of the image, "}
    unit = units.get(metric.unit, f"{metric.unit}, ")
    if metric.record()["largest"] is None:
        return f"{unit}≥ {metric.smallest:g}"
    return f"{unit}[{metric.smallest:g}, {metric.largest:g}]".replace("-", "−")


def _specs_table(entries: "list[DatasetKind] | list[Loader]") -> list[str]:
    rows = [
        [f"`{entry.usage}`", plain(entry.summary), f"`misure[{entry.extra}]`" * bool(entry.extra)]
        for entry in entries
    ]
    return markdown_table(["spec", "what it is", "needs"], rows)
