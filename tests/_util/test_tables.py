"""CSV that spreadsheets show and never run."""

import csv

import pytest

from misure._util.tables import csv_text, inert, write_csv_file

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_become_text(text):
    assert inert(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["-1", "+2.5", "-1e3", "a=1", "", "-inf", -1, -2.5, None, True])
def test_numbers_and_other_text_stay(cell):
    assert inert(cell) is cell


def test_cells_and_headings_come_back_as_they_were_but_for_formulas(tmp_path):
    rows = [{"=a": "=1", "b": -2.5}, {"=a": 'x\r=2\n"q", z', "b": None}, {}]
    write_csv_file(tmp_path / "a.csv", ["=a", "b"], rows)
    text = (tmp_path / "a.csv").read_bytes().decode()
    assert text == csv_text(["=a", "b"], rows)
    with (tmp_path / "a.csv").open(newline="") as file:
        read = list(csv.reader(file))
    assert read == [["'=a", "b"], ["'=1", "-2.5"], ['x\r=2\n"q", z', ""], ["", ""]]
    assert text.splitlines(keepends=True)[0] == "'=a,b\n"
