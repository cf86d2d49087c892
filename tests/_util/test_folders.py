"""Folders of results: complete or not at all, and never in place of something else."""

import json

import pytest

from misure._util.folders import (
    LIST_NAME,
    refuse_foreign_file,
    refuse_foreign_folder,
    writing_folder,
)
from misure.errors import InputError


def _write(folder, files, settings=(), command="explain", **options):
    made_with = dict(settings)
    with writing_folder(folder, command=command, settings=made_with, **options) as unfinished:
        for name in files:
            (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / name).write_text(f"{name} {made_with}")


def _files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_same_command_may_write_again_and_what_is_stale_goes(tmp_path):
    out = tmp_path / "out"
    _write(out, ["a", "b", "parts/c", "parts/d"])
    assert json.loads((out / LIST_NAME).read_text())["files"] == ["a", "b", "parts/c", "parts/d"]
    (out / "mine").write_text("mine")
    _write(out, ["a", "e"])
    assert _files(out) == [LIST_NAME, "a", "e", "mine"]
    assert not (out / "parts").exists()


def test_another_command_or_other_settings_need_force(tmp_path):
    out = tmp_path / "out"
    _write(out, ["a"], {"seed": 0})
    with pytest.raises(InputError, match="holds other results: seed: 0 there, 1 now"):
        _write(out, ["a"], {"seed": 1})
    with pytest.raises(InputError, match="holds other results: of misure explain"):
        _write(out, ["a"], {"seed": 0}, command="compare")
    assert (out / "a").read_text() == "a {'seed': 0}"
    _write(out, ["a"], {"seed": 1}, force=True)
    assert (out / "a").read_text() == "a {'seed': 1}"


def test_files_of_others_are_never_replaced(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    _write(out, ["b"])  # empty
    (out / "a").write_text("mine")
    with pytest.raises(InputError, match="in the way, .*out holds a"):
        _write(out, ["a", "b"], force=True, names=["a", "b"])
    with pytest.raises(InputError, match="in the way, .*out holds a"):
        _write(out, ["a", "b"], force=True)  # found only at the end, before anything is moved
    assert (out / "a").read_text() == "mine"
    assert _files(out) == [LIST_NAME, "a", "b"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files \(notes.txt\)"):
        _write(other, ["a"])
    _write(other, ["a"], force=True)
    assert _files(other) == [LIST_NAME, "a", "notes.txt"]


def test_a_list_that_names_files_elsewhere_removes_nothing_there(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    _write(out, ["a"])
    said = json.loads((out / LIST_NAME).read_text())
    (out / LIST_NAME).write_text(json.dumps(said | {"files": ["a", "../elsewhere"]}))
    _write(out, ["a"])
    assert elsewhere.read_text() == "mine"


def test_single_files_and_folders_that_grow(tmp_path):
    path = tmp_path / "table.csv"
    refuse_foreign_file(path, b"key", force=False)
    path.write_text("key,dice\n")
    refuse_foreign_file(path, b"key", force=False)
    path.write_text("something of mine\n")
    with pytest.raises(InputError, match="table.csv is something else"):
        refuse_foreign_file(path, b"key", force=False)
    refuse_foreign_file(path, b"key", force=True)
    with pytest.raises(InputError, match=r"holds other files \(table.csv\)"):
        refuse_foreign_folder(tmp_path, ["card.json"], force=False)
    refuse_foreign_folder(tmp_path, ["card.json"], force=True)
    refuse_foreign_folder(tmp_path, ["card.json", "table*"], force=False)
    refuse_foreign_folder(tmp_path / "new", ["card.json"], force=False)
