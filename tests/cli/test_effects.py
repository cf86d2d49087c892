"""`misure effects`, on the network that comes with misure."""

import json

from click.testing import CliRunner

from misure.cli import main


def _run(*arguments):
    return CliRunner().invoke(main, ["effects", *map(str, arguments)])


def test_effects_writes_the_matrix_and_says_what_was_found(tmp_path):
    out = tmp_path / "effects.json"
    done = _run(
        "triangle:2", "--model", "triangle", "--device", "cpu", "--controls", 1, "--out", out
    )
    assert done.exit_code == 0, done.output
    assert "triangle  background" in done.output
    assert "No class was found to depend on another" in done.output
    written = json.loads(out.read_text())
    (cell,) = written["cells"]
    assert (cell["target_name"], cell["hidden_name"]) == ("triangle", "background")
    assert (cell["num_objects"], cell["low"]) == (2, None)
    # a segmentation, and the background, which fits nowhere else
    assert written["cost"]["forward_passes"] == 2 * 2
    again = _run("triangle:2", "--model", "triangle", "--limit", 1, "--quiet", "--out", out)
    assert (again.exit_code, again.output) == (0, "")
    assert json.loads(out.read_text())["num_images"] == 1


def test_effects_answers_bad_input_with_one_sentence(tmp_path):
    out = tmp_path / "effects.json"
    done = _run("triangle:1", "--model", "triangle", "--class", "dog", "--out", out)
    assert done.exit_code == 2
    assert "expected a class of" in done.output
    out.write_text("a letter")
    done = _run("triangle:1", "--model", "triangle", "--out", out)
    assert done.exit_code == 2
    assert out.read_text() == "a letter"
