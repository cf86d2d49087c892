"""Tables of documents that are made from the registries."""

import runpy
import sys
from pathlib import Path

import pytest

import misure
from misure.reports.registry_tables import TABLES, fill_tables

SCRIPT = Path(__file__).parents[2] / "scripts" / "tables"


def _marked(name, content="old\n"):
    return f"before\n\n<!-- table: {name} -->\n{content}<!-- end -->\n\nafter\n"


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_made_between_its_markers_and_made_again_the_same(name):
    filled = fill_tables(_marked(name))
    lines = filled.splitlines()
    assert lines[:3] == ["before", "", f"<!-- table: {name} -->"]
    assert lines[-3:] == ["<!-- end -->", "", "after"]
    assert "old" not in lines
    assert len({line.replace("\\|", "").count("|") for line in lines[3:-3]}) == 1
    assert fill_tables(filled) == filled


def test_every_entry_has_a_row():
    for name, registry in (("methods", misure.METHODS), ("metrics", misure.METRICS)):
        filled = fill_tables(_marked(name, ""))
        for entry in registry.values():
            assert f"| `{entry.name}`" in filled
    assert "| `sufficient_area` ↓ | sufficiency | \\|smallest top part" in filled
    assert "| px, ≥ 0 |" in filled
    assert "| [−1, 1] |" in filled


def test_a_part_of_a_table_and_two_tables_in_a_file():
    text = fill_tables(_marked("metrics fineness") + _marked("presets"))
    assert "`gini`" in text
    assert "`iou`" not in text
    assert "`forward_only`" in text
    for name in ("metrics nothing", "nothing"):
        with pytest.raises(misure.InputError, match="got 'nothing'"):
            fill_tables(_marked(name))


def test_the_script_checks_and_writes(tmp_path, monkeypatch):
    file = tmp_path / "page.md"
    file.write_text(_marked("loaders"))

    def run(*options):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options, str(file)])
        runpy.run_path(str(SCRIPT), run_name="__main__")

    with pytest.raises(SystemExit, match="expected up-to-date tables in"):
        run("--check")
    assert file.read_text() == _marked("loaders")
    run()
    assert "| `hf:ID_OR_FOLDER` |" in file.read_text()
    run("--check")
