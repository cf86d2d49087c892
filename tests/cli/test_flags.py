"""The flags of the command line are the options of the library, and the same in all commands."""

from msgspec import structs

from misure.cli.app import main
from misure.explanation.presets import PRESETS
from misure.runs.plan import RunPlan

SEARCH = {"max_passes", "grain_px", "edge_px", "one_minimal", "compare_presentations"}
SHARED = {*SEARCH, "preset", "baseline_image", "options", "dice_threshold", "seed"}


def _flags(command):
    return {parameter.name: parameter for parameter in main.commands[command].params}


def test_a_run_has_a_flag_for_each_field_of_its_plan_with_the_same_default():
    assert _flags("run")["options"].multiple  # it fills method_options, as the search flags do
    given = ["source", "--model", "model", "--out", "run"]
    parent = main.make_context("misure", ["run", *given])  # it says how help is asked for
    values = main.commands["run"].make_context("run", given, parent=parent).params
    for field in structs.fields(RunPlan):
        if field.name in ("objects", "instance", "method_options"):
            continue  # a run explains all objects; only comparisons ask for one
        assert values[field.name] == field.default, field.name


def test_explain_compare_and_run_call_one_thing_by_one_flag():
    for name in SHARED:
        declared = [
            (flag := _flags(command)[name]).opts for command in ("explain", "compare", "run")
        ]
        assert declared[0] == declared[1] == declared[2], name
        assert flag.help
    assert {
        _flags(command)[name].opts[0]
        for command, name in (("explain", "class_"), ("compare", "class_"), ("run", "classes"))
    } == {"--class"}


def test_every_search_flag_is_an_option_of_a_preset():
    known = {option for name in PRESETS for option in PRESETS[name].settings()}
    assert known >= SEARCH
    for command in ("explain", "compare", "run"):
        assert set(_flags(command)) >= SEARCH


def test_every_flag_says_what_it_is_for():
    def check(command, name):
        for part, subcommand in getattr(command, "commands", {}).items():
            check(subcommand, f"{name} {part}")
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"{name} {parameter.opts}"

    check(main, "misure")
