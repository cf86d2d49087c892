"""Run folders that others have changed or damaged: one sentence, whatever reads them."""

import io
import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import misure
import toys
from misure._util.records import plain
from misure.cli.app import main
from misure.datasets import Sample
from misure.errors import MisureWarning
from misure.runs.folder import RunFolder
from misure.runs.maps import read_result
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run
from misure.runs.table import RunTable

DEEP = "[" * 50_000 + "]" * 50_000


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    out = tmp_path_factory.mktemp("good") / "run"
    model = toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"))
    samples = [Sample(name, toys.square_image()) for name in ("a", "b")]
    run(samples, model, out, RunPlan(method="random"))
    return out


@pytest.fixture
def tampered(good, tmp_path):
    shutil.copytree(good, tmp_path / "run")
    return tmp_path / "run"


def _records_file(folder):
    (file,) = folder.glob("records-*")
    return file


def _edit_line(folder, **values):
    file = _records_file(folder)
    first, *others = file.read_text().splitlines(keepends=True)
    text = json.dumps(json.loads(first) | values).replace('"DEEP"', DEEP).replace('"HUGE"', "1e999")
    file.write_text("".join([text + "\n", *others]))


def _edit_settings(folder, **values):
    file = folder / "run.json"
    content = json.loads(file.read_text())
    content["settings"] |= values
    file.write_text(json.dumps(content).replace('"DEEP"', DEEP))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda run: (run / "run.json").write_text(DEEP), r"run\.json, but it cannot be used"),
        (lambda run: _edit_settings(run, method_options={"a": "DEEP"}), "cannot be used"),
        (lambda run: _edit_settings(run, seed=None), "Expected `int`, got `null`"),
        (lambda run: _edit_settings(run, classes="\ud800"), "surrogates not allowed"),
        (lambda run: _edit_line(run, affine="DEEP"), "parts lie in each other too deeply"),
        (lambda run: _edit_line(run, affine=[["HUGE"]]), "a number that is too large"),
        (lambda run: _edit_line(run, key=[]), r"Expected `str`, got `array`"),
        (lambda run: _edit_line(run, revision=-1), "revision"),
        (lambda run: _edit_line(run, status="lost"), "Invalid value 'lost'"),
        (lambda run: (run / "records-x.jsonl").mkdir(), "Is a directory"),
    ],
)
def test_settings_and_records_that_cannot_be_are_one_sentence(tampered, tmp_path, edit, words):
    edit(tampered)
    with pytest.raises(misure.RunFolderError, match=f"^read_run: expected .*{words}"):
        read_run(tampered)
    csv, parquet = str(tmp_path / "t.csv"), str(tmp_path / "t.parquet")
    for arguments in (["merge", "--out", csv], ["export", "--csv", csv, "--parquet", parquet]):
        done = CliRunner().invoke(main, [arguments[0], str(tampered), *arguments[1:]])
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.startswith(f"Error: {arguments[0]}: expected")
        assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_a_number_that_is_none_is_a_damaged_line(tampered, number):
    file = _records_file(tampered)
    first, *others = file.read_text().splitlines(keepends=True)
    line = json.dumps(json.loads(first) | {"affine": [[1.5]]}).replace("1.5", number)
    file.write_text("".join([line + "\n", *others]))
    with pytest.warns(MisureWarning, match="got 1 damaged line in it, which is left out"):
        assert [record.key for record in read_run(tampered)] == ["b#1"]


def test_a_number_that_fits_into_no_table_is_one_sentence(tampered, tmp_path):
    table = RunTable.of(lambda: iter([{"a": 1}, {"a": 10**30}]))
    with pytest.raises(misure.RunFolderError, match="expected records whose numbers fit"):
        table.write_parquet(tmp_path / "t.parquet")
    table.write_csv(tmp_path / "t.csv")
    _edit_line(tampered, class_index=10**30)
    with pytest.raises(misure.RunFolderError, match="class_index"):
        read_run(tampered)


def _other_sides(arrays):
    return arrays | {"target": arrays["target"][:3]}


def _other_target(arrays):
    return arrays | {"target": ~arrays["target"]}


def _not_finite(arrays):
    return arrays | {"saliency_map": np.full_like(arrays["saliency_map"], np.nan)}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_other_sides, "differ in their sides"),
        (_other_target, "its target has 875 pixels, that of a#1 has another number"),
        (_not_finite, "its saliency map is not finite"),
        (lambda arrays: {"target": arrays["target"]}, "it has no saliency_map"),
    ],
)
def test_a_map_that_cannot_be_that_of_its_record_is_one_sentence(tampered, edit, words):
    folder = RunFolder(tampered)
    record = folder.records()[0]
    file = io.BytesIO()
    np.savez_compressed(file, **edit(dict(np.load(tampered / record.map))))
    (tampered / record.map).write_bytes(file.getvalue())
    with pytest.raises(misure.RunFolderError, match=f"expected a map in maps/.*{words}"):
        read_result(folder, record, folder.settings())


def test_a_table_is_written_a_few_rows_at_a_time_and_holds_all_of_them(tampered, tmp_path):
    import pandas

    records = [plain(record) for record in read_run(tampered) for _ in range(3)]
    records[4] |= {"augmented_dice": {"turned": 1, "caf\udce9": 0.5}, "class_index": None}
    table = RunTable.of(lambda: iter(records))
    assert table.columns["class_index"] == "integer"
    assert table.columns["augmented_dice.turned"] == "integer"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("misure.runs.table._ROWS_AT_ONCE", 4)
        table.write_parquet(tmp_path / "t.parquet")
    table.write_csv(tmp_path / "t.csv")
    for frame in (pandas.read_parquet(tmp_path / "t.parquet"), pandas.read_csv(tmp_path / "t.csv")):
        assert list(frame["key"]) == ["a#1"] * 3 + ["b#1"] * 3
        assert frame["class_index"].isna().tolist() == [False] * 4 + [True, False]
        assert frame["augmented_dice.turned"].tolist()[4] == 1
        assert frame["augmented_dice.caf\\udce9"].tolist()[4] == 0.5
        assert frame["target.pixels"].tolist() == [25] * 6
