"""Pictures are drawn whatever the surroundings say about windows."""

import io
import os
import subprocess
import sys
import warnings

import pytest

from misure.errors import MisureWarning
from misure.reports import canvas
from misure.reports.canvas import PICTURE_KINDS, Figure, write_figure

DRAW = """
import os, sys
from misure.reports.canvas import Figure
figure = Figure(figsize=(2, 1))
figure.subplots().plot([0, 1])
figure.savefig(sys.argv[1], format="png")
import matplotlib
print(os.environ["MPLBACKEND"], matplotlib.rcParams["backend"])
"""


@pytest.mark.parametrize(
    ("backend", "kept"),
    [("module://matplotlib_inline.backend_inline", None), ("nonsense", None), ("svg", "svg")],
)
def test_any_mplbackend_draws(tmp_path, backend, kept):
    picture = tmp_path / "a.png"
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(picture)],
        env={**os.environ, "MPLBACKEND": backend, "DISPLAY": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    named, used = done.stdout.split()
    assert named == backend
    assert kept is None or used == kept  # whoever uses pyplot later gets the window asked for


@pytest.mark.parametrize("kind", PICTURE_KINDS)
def test_letters_that_no_font_has_are_one_sentence(kind, monkeypatch):
    monkeypatch.setattr(canvas, "_FALLBACKS", ())
    figure = Figure(figsize=(3, 1), layout="constrained")
    axes = figure.subplots()
    axes.set_title("猫の写真")
    axes.set_xlabel("猫 Ω")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write_figure(figure, io.BytesIO(), kind=kind)
        write_figure(figure, io.BytesIO(), kind=kind)
    (one,) = caught
    assert one.category is MisureWarning
    assert str(one.message).startswith("No font here has the letters 猫の写真, so boxes stand")


def test_controls_are_escapes_in_every_text():
    figure = Figure(figsize=(3, 1))
    axes = figure.subplots()
    title = axes.set_title("a\x1b[31m\x07b\nc", parse_math=False)
    (bar,) = axes.bar([0], [1], label="x\x00")
    legend = axes.legend()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = io.BytesIO()
        write_figure(figure, file, kind="svg")
    assert title.get_text() == "a\\x1b[31m\\x07b\nc"
    assert legend.get_texts()[0].get_text() == "x\\x00"
    assert not any(control in file.getvalue() for control in (b"\x1b", b"\x07", b"\x00"))
    assert bar.get_height() == 1


def test_a_font_that_has_the_letters_is_used(monkeypatch):
    from matplotlib.font_manager import fontManager

    name = next(font.name for font in fontManager.ttflist if font.name.startswith("STIXSizeOneSym"))
    monkeypatch.setattr(canvas, "_FALLBACKS", (name,))
    known = set(canvas.get_font(canvas.findfont(canvas.FontProperties(family=name))).get_charmap())
    usual = canvas.get_font(canvas.findfont(canvas.FontProperties())).get_charmap()
    letter = chr(min(number for number in known if number not in usual and number > 160))
    figure = Figure(figsize=(3, 1))
    title = figure.subplots().set_title(letter)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_figure(figure, io.BytesIO())
    assert title.get_fontfamily()[-1] == name
