"""Progress: one bar, with passes and the time left, where somebody sees it."""

import inspect
import io
import sys
import threading
from dataclasses import dataclass
from inspect import signature
from types import SimpleNamespace

import pytest
from tqdm.auto import tqdm

import misure
from misure._util import progress as bars
from misure._util.progress import counted, is_seen, shown_progress, shown_wait
from misure.datasets import Sample
from prompt_toys import nearby, two_squares
from toys import Beacon, beacon_image, model_of


class Terminal(io.StringIO):
    """A place for text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch, capsys):
    monkeypatch.setattr(bars, "is_seen", lambda: True)
    monkeypatch.setattr(bars, "_DELAY_S", 0)
    return capsys


@pytest.fixture
def made(monkeypatch):
    """All bars that are made: their last number, total and unit."""
    found = []

    class Bar(tqdm):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            found.append(self)

    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    return found


@dataclass
class Cost:
    pass_equivalents: int = 0


def test_a_bar_is_seen_in_a_terminal_and_not_in_a_pipe(monkeypatch):
    assert not is_seen()
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert is_seen()


def test_a_notebook_sees_bars(monkeypatch):
    kernel = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    assert is_seen()
    monkeypatch.setattr(kernel, "get_ipython", SimpleNamespace)  # a shell in a terminal
    assert not is_seen()


def test_nothing_is_written_where_nobody_sees_it_or_who_says_so(terminal, monkeypatch):
    with shown_progress(False) as told:
        told("growing", 1, 3)
    monkeypatch.setattr(bars, "is_seen", lambda: False)
    with shown_progress(None) as told:
        told("growing", 1, 3)
    assert terminal.readouterr().err == ""


def test_the_bar_shows_passes_of_those_that_may_be_made(terminal, made):
    cost = Cost()
    with shown_progress(None) as told:
        told.wait("reading the image")
        told.count(cost, 40)
        for passes in (4, 20):
            cost.pass_equivalents = passes
            told("growing", passes // 4, None)
        line = str(made[1])
    reading, passes = made
    assert (reading.desc, reading.total) == ("reading the image", None)
    assert (passes.n, passes.total, passes.desc) == (20, 40, "growing")
    assert line.startswith("growing:  50%|")
    assert "| 20 of 40 pass equivalents [00:00<00:00]" in line
    assert "reading the image: 0step" in terminal.readouterr().err


def test_more_passes_than_expected_are_the_whole(terminal, made):
    cost = Cost(50)
    with shown_progress(True, None, cost, 40) as told:
        told("growing", 1, None)
    assert made[0].total == 50


def test_steps_are_shown_where_passes_are_not_known(terminal, made):
    with shown_progress(None) as told:
        for doing, done in (("growing", 1), ("growing", 2), ("hiding", 1)):
            told(doing, done, 3)
    assert [(bar.desc, bar.n, bar.total) for bar in made] == [
        ("growing", 2, 3),
        ("hiding", 1, 3),
    ]


def test_a_callback_is_told_instead_and_an_inner_bar_is_none(terminal, made):
    seen = []
    with shown_progress(None, lambda *step: seen.append(step)) as told:
        told("growing", 1, 3)
    assert seen == [("growing", 1, 3)]
    assert not made
    with shown_progress(None) as outer, shown_progress(True) as inner:
        inner("growing", 1, 3)
        outer("all", 1, 2)
    assert [bar.desc for bar in made] == ["all"]


def test_what_is_counted_leaves_room_for_the_bar_of_each(terminal, made):
    for number in counted(range(2), "looking", True):
        with shown_progress(None) as told:
            told(f"explaining {number}", 0, 1)
    assert [bar.desc for bar in made] == ["looking", "explaining 0", "explaining 1"]


def test_explaining_shows_its_passes_and_other_functions_one_bar(terminal, made):
    model, image = model_of(Beacon(), class_names=["background", "block"]), beacon_image(2)
    target = misure.predicted_target(model, image, 1)
    found = misure.explain(model, image, target, preset="quick")
    of_passes = [bar for bar in made if bar.unit == "pass"]
    assert len(of_passes) == 1
    assert of_passes[0].total >= found.cost.pass_equivalents >= of_passes[0].n > 10
    made.clear()
    misure.explain(model, image, target, preset="quick", progress=False)
    assert not made


@pytest.mark.slow
def test_all_other_functions_show_one_bar_and_none_if_asked(terminal, made, tmp_path):
    model, image = model_of(Beacon(), class_names=["background", "block"]), beacon_image(2)
    target = misure.predicted_target(model, image, 1)
    explanation = misure.explain(model, image, target, preset="quick", progress=False)
    samples = [Sample("one", image)]
    asked = {
        "answer": lambda **p: misure.answer(model, image, target, questions=["necessary"], **p),
        "necessary": lambda **p: misure.necessary_region(model, image, target, max_passes=60, **p),
        "channels": lambda **p: misure.channel_effects(model, image, target, **p),
        "regions": lambda **p: misure.channel_regions(
            model, image, target, explanation=explanation, **p
        ),
        "reasons": lambda **p: misure.find_reasons(model, image, explanation, **p),
        "stability": lambda **p: misure.stability_of(
            model, image, target, explanation=explanation, changes=["seed"], preset="quick", **p
        ),
        "compare": lambda **p: misure.compare(
            model, samples, methods=["random"], metrics=["iou"], class_index=1, **p
        ),
        "leverage": lambda **p: misure.leverage(model, image, target, num_parts=4, **p),
        "effects": lambda **p: misure.context_effects(model, image, target, **p),
        "check": lambda **p: misure.check_region(model, image, target, target.region, **p),
        "area": lambda **p: misure.sufficient_area(model, image, target, image[0], **p),
        "prompts": lambda **p: misure.prompt_sensitivity(
            nearby(), two_squares(), "point:10,10", num_prompts=2, **p
        ),
        "load": lambda **p: misure.load_model("triangle", device="cpu", **p),
        "run": lambda **p: misure.run(
            samples,
            model,
            tmp_path / str(len(p)),
            misure.RunPlan(method_options={"preset": "quick"}),
            **p,
        ),
    }
    for name, ask in asked.items():
        made.clear()
        ask(progress=False)
        assert not made, name
        ask()
        assert len({bar.unit for bar in made}) == 1, (name, made)


def test_what_shows_many_images_takes_progress():
    """All public functions, but those that take one pass, or make no pass at all."""
    without = ("as_captum_forward", "log_explanation", "missed_target", "predicted_target")
    without += ("read_image", "read_run", "segment", "write_report")
    functions = [getattr(misure, name) for name in misure.__all__]
    functions = [one for one in functions if inspect.isfunction(one)]
    lacking = [one.__name__ for one in functions if "progress" not in signature(one).parameters]
    assert sorted(lacking) == sorted(without)


def test_a_wait_shows_its_seconds_while_it_lasts(terminal, made, monkeypatch):
    monkeypatch.setattr(bars, "_EVERY_S", 0.01)
    written = threading.Event()
    with shown_wait("loading \x1b[31mnet", True):
        (bar,) = made
        bar.refresh = written.set
        assert written.wait(30)
        with shown_progress(True) as inner:
            inner("growing", 1, 3)
    assert len(made) == 1
    assert bar.disable or bar not in tqdm._instances
    assert "loading \\x1b[31mnet: 00:00" in terminal.readouterr().err


def test_a_network_that_loads_says_so_unless_told_not_to(terminal, made):
    misure.load_model("triangle", device="cpu", progress=False)
    assert not made
    misure.load_model("triangle", device="cpu")
    assert [bar.desc for bar in made] == ["loading triangle"]
    with pytest.raises(misure.InputError, match="expected"):
        misure.load_model("torchscript:none.pt")
    assert bars.is_wanted(True)  # given back after an error
