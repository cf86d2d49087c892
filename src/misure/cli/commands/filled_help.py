"""Help texts that list names: the lists come from the registries when the help is shown.

A text holds `{methods}` and so on in their place (see `LISTS`). Making a list may load torch, so
nothing is listed before.
"""

import re
from collections.abc import Callable, Iterable

import click


def _methods() -> Iterable[str]:
    from misure.methods import METHODS

    return METHODS


def _default_methods() -> Iterable[str]:
    from misure.metrics.comparison.compare import DEFAULT_METHODS

    return DEFAULT_METHODS


def _metrics() -> Iterable[str]:
    from misure.metrics import METRICS

    return METRICS


def _metric_groups() -> Iterable[str]:
    from misure.metrics import METRICS

    return dict.fromkeys(metric.group for metric in METRICS.values())


def _presets() -> Iterable[str]:
    from misure.explanation.presets import PRESETS

    return PRESETS


def _baseline_images() -> Iterable[str]:
    from misure.explanation.baselines import BASELINE_IMAGES, USER

    return (*BASELINE_IMAGES, f"{USER}FILE.py:FUNCTION")


def _datasets() -> Iterable[str]:
    from misure.datasets import DATASETS

    return (kind.usage for kind in DATASETS.values())


def _loaders() -> Iterable[str]:
    from misure.models.loaders import LOADERS

    return (loader.usage for loader in LOADERS.values())


def _networks() -> Iterable[str]:
    from misure.models.networks.registry import NETWORKS

    return NETWORKS


def _trainable() -> Iterable[str]:
    from misure.lab.training.recipes import TRAINABLE

    return TRAINABLE


def _experiments() -> Iterable[str]:
    from misure.lab.experiments import list_experiments

    return list_experiments()


def _feature_groups() -> Iterable[str]:
    from misure.reliability import GROUPS

    return GROUPS


def _learners() -> Iterable[str]:
    from misure.reliability import LEARNERS

    return LEARNERS


LISTS: dict[str, Callable[[], Iterable[str]]] = {
    "methods": _methods,
    "default_methods": _default_methods,
    "metrics": _metrics,
    "metric_groups": _metric_groups,
    "presets": _presets,
    "baseline_images": _baseline_images,
    "datasets": _datasets,
    "loaders": _loaders,
    "networks": _networks,
    "trainable": _trainable,
    "experiments": _experiments,
    "feature_groups": _feature_groups,
    "learners": _learners,
}
"""Placeholder -> what makes the names that stand in its place."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def filled(text: str) -> str:
    """The text with its placeholders replaced by names, with commas between them."""
    return _PLACEHOLDER.sub(lambda match: ", ".join(LISTS[match[1]]()), text)


class FilledCommand(click.Command):
    """A command whose help text, and those of its options, may hold placeholders."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the help, filled."""
        self.help = filled(self.help or "")
        for parameter in self.params:
            if isinstance(parameter, click.Option) and parameter.help:
                parameter.help = filled(parameter.help)
        super().format_help(ctx, formatter)
