"""What the terminal gets to see: no commands of file names, and how a command ended."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import misure
import misure.cli
import toys
from misure.cli.app import main
from misure.cli.terminal import table
from misure.errors import printable, reason_of, without_middle
from misure.runs.run import read_run

NETWORK = """
    import os, sys, time, torch

    class Net(torch.nn.Module):
        def forward(self, images):
            time.sleep(float(os.environ.get("SLEEP_S", "0")))
            evidence = 10 * (images[:, :1] - 0.5)
            return torch.cat([-evidence, evidence], dim=1)

    def make():
        return Net()
"""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 漢 👩\u200d🚀 a\u202fb", "plain ä 漢 👩\u200d🚀 a\u202fb"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("gpj.\u202egnp", "gpj.\\u202egnp"),
        ("a\nb\r\x08\x7f", "a\\nb\\r\\x08\\x7f"),
        ("caf\udce9", "caf\\udce9"),
    ],
)
def test_text_is_shown_and_not_obeyed(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


def test_cells_of_a_table_are_shown_and_stay_aligned():
    lines = table(["name", "n"], [["a\x1b[2J", "1"], ["b\nforged", "2"]]).splitlines()
    assert lines == ["name       n", "a\\x1b[2J   1", "b\\nforged  2"]


def test_what_is_quoted_is_cut():
    assert without_middle("short", 9) == "short"
    long = reason_of(ValueError("x" * 9000))
    assert (long[:14], len(long)) == ("ValueError: xx", 500)
    done = CliRunner().invoke(main, ["classes", "x" * 9000, "--model", "triangle"])
    assert done.exit_code == 2
    assert len(done.output) < 1700


@pytest.mark.usefixtures("in_this_process")
def test_names_of_files_cannot_command_the_terminal(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for name in ("\x1b]0;owned\x07.png", "two\nlines.png", "\u202egnp.png"):
        (images / name).write_bytes(b"no image")
    done = CliRunner().invoke(
        main, ["run", str(images), "--model", "triangle", "--out", f"{tmp_path}/run"]
    )
    assert done.exit_code == 1, done.output
    for told in ("\\x1b]0;owned\\x07.png: ", "two\\nlines.png: ", "\\u202egnp.png: "):
        assert f"\n  {told}" in done.output
    assert not set("\x1b\x07\u202e") & set(done.output)
    for arguments in (["classes", f"{images}/\x1b[31m.png"], ["report", f"{tmp_path}/\x1b[31m"]):
        done = CliRunner().invoke(
            main, [*arguments, "--model", "triangle"][: 2 + 2 * (arguments[0] == "classes")]
        )
        assert done.exit_code == 2
        assert "\\x1b[31m" in done.output
        assert "\x1b" not in done.output


def test_commands_print_through_one_function():
    commands = Path(misure.cli.__file__).parent
    direct = [path.name for path in commands.rglob("*.py") if "click.echo" in path.read_text()]
    assert direct == ["terminal.py"]


def test_an_interrupt_while_a_module_is_imported_is_exit_code_130(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "net.py").write_text("def make():\n    exec('raise KeyboardInterrupt')\n")
    command = [sys.executable, "-m", "misure", "classes", "a.png", "--model", "python:net.py:make"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "misure: interrupted.\n")


@pytest.mark.parametrize(
    ("command", "more"),
    [("run", " The same command goes on where it stopped."), ("classes", "")],
)
def test_an_interrupt_is_exit_code_130_and_one_line(monkeypatch, tmp_path, command, more):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("misure.models.loaders.load_model", interrupted)
    monkeypatch.setattr("misure.runs.run.run", interrupted)
    (tmp_path / "a.png").touch()
    arguments = [command, str(tmp_path / "a.png"), "--model", "triangle"]
    arguments += ["--out", str(tmp_path)] if command == "run" else []
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 130
    assert done.output == f"misure: interrupted.{more}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code", "workers"), [(signal.SIGINT, 130, "2"), (signal.SIGTERM, 143, "1")]
)
def test_a_run_that_is_interrupted_leaves_nothing_and_goes_on(
    tmp_path, sent, code, workers, working_here
):
    (tmp_path / "net.py").write_text(textwrap.dedent(NETWORK))
    (tmp_path / "images").mkdir()
    for name in "abcd":
        pixels = (toys.square_image()[0].numpy() * 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")
    command = [
        "run", f"{tmp_path}/images", "--workers", workers,
        "--model", f"python:{tmp_path}/net.py:make", "--model-option", "probabilities=false",
        "--method", "random", "--out", f"{tmp_path}/run",
    ]  # fmt: skip
    # A shell that runs tests in the background has them ignore interrupts, and all they start.
    heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = subprocess.Popen(
        [sys.executable, "-m", "misure", *command], stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "SLEEP_S": "0.3"}, **heeding,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("run/records-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, sent) if sent == signal.SIGINT else process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    how = "interrupted" if sent == signal.SIGINT else "ended by SIGTERM"
    assert errors == f"misure: {how}. The same command goes on where it stopped.\n"
    assert process.returncode == code
    assert not list((tmp_path / "run").rglob(".*"))
    num_before = len(read_run(tmp_path / "run"))
    assert 1 <= num_before < 4
    if sent == signal.SIGINT:
        with working_here():
            assert CliRunner().invoke(main, command).exit_code == 0
        assert len(misure.read_run(tmp_path / "run")) == 4
