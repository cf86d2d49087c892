"""What the command line lists from the registries."""

import pytest
from click.testing import CliRunner

import misure
from misure.cli import main
from misure.cli.commands.filled_help import LISTS, filled


def _output(*arguments):
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize(
    ("command", "registry"),
    [("methods", misure.METHODS), ("metrics", misure.METRICS), ("presets", misure.PRESETS)],
)
def test_each_entry_has_a_line(command, registry):
    lines = _output(command).splitlines()
    assert len(lines) == 1 + len(registry)
    for line, (name, entry) in zip(lines[1:], registry.items(), strict=True):
        assert line.split()[0] == name
        assert line.endswith(entry.summary)
    assert len(_output(command, "--verbose").splitlines()) > 2 * len(registry)


@pytest.mark.parametrize("name", misure.METHODS)
def test_every_option_of_a_method_is_listed_with_its_default_and_meaning(name):
    _, _, after = f"\n{_output('methods', '-v')}".partition(f"\n{name}\n")
    lines = after.partition("\n\n")[0].splitlines()
    method = misure.METHODS[name]
    for option in method.describe_options():
        assert option.meaning
        index = lines.index(f"    {option.name} = {option.default!r}")
        assert lines[index + 1].strip() == option.meaning[: len(lines[index + 1].strip())]
    assert {option.name for option in method.describe_options()} >= set(method.options)


def test_every_option_of_a_preset_is_listed_with_its_default_and_meaning():
    from misure.explanation.presets import describe_preset

    for preset in misure.PRESETS.values():
        options = {option.name: option for option in describe_preset(preset)}
        assert set(options) == set(preset.settings())
        assert all(option.meaning for option in options.values())


def test_every_metric_has_a_range_and_a_formula():
    output = _output("metrics", "-v")
    for metric in misure.METRICS.values():
        assert metric.formula
        assert f"Range: {metric.smallest:g} to {metric.largest:g}, unit: {metric.unit}." in output


@pytest.mark.parametrize(
    ("arguments", "listed"),
    [
        (["compare"], ["methods", "metric_groups", "datasets", "loaders", "presets"]),
        (["explain"], ["presets", "loaders", "baseline_images"]),
        (["run"], ["methods", "presets", "datasets"]),
        (["train"], ["networks", "trainable"]),
        (["experiment"], ["experiments"]),
        (["reliability", "fit"], ["feature_groups"]),
        (["classes"], ["loaders"]),
    ],
)
def test_help_texts_list_what_the_registries_hold(arguments, listed):
    output = "".join(_output(*arguments, "--help").split())
    for name in listed:
        assert ",".join(LISTS[name]()).replace(" ", "") in output
    assert "{" not in output


def test_a_placeholder_is_replaced_when_the_help_is_shown():
    assert filled("one of {presets}.") == f"one of {', '.join(misure.PRESETS)}."
    assert "{loaders}" not in _output("--help")
