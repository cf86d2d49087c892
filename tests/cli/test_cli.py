"""The command line as a user types it, mostly in this process, some of it in a real one."""

import json
import os
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import misure
import toys
from misure._util import progress
from misure.cli.app import main
from misure.datasets.triangle.dataset import TriangleDataset

FAST = ["--preset", "paper", "--option", "num_iterations=5"]


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def sample():
    return TriangleDataset(1)[0]


@pytest.fixture
def picture(sample, tmp_path):
    path = tmp_path / "canvas.png"
    Image.fromarray((sample.image[0].numpy() * 255).astype(np.uint8)).save(path)
    return path


def _point(sample):
    return ",".join(map(str, sample.corners[0]))


PANELS = [
    "image",
    "minimally_sufficient_region",
    "overlay",
    "overview",
    "saliency_map",
    "segmentation",
    "shown",
    "sufficient_region",
]


@pytest.mark.usefixtures("real_pictures")
def test_explain_writes_figures_regions_and_pictures(picture, sample, tmp_path):
    out = tmp_path / "out"
    done = run(
        "explain", picture, "--model", "triangle", "--class", "triangle", "--point", _point(sample),
        "--out", out, "--seed", 3, "--device", "cpu",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "minimally_sufficient_region" in done.output
    names = [f"{panel}.png" for panel in PANELS] + [
        ".misure.json",
        "explanation.json",
        "explanation.npz",
    ]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    for panel in PANELS:
        with Image.open(out / f"{panel}.png") as panel_picture:
            assert panel_picture.size[0] > 300
    record = json.loads((out / "explanation.json").read_text())
    assert list(record)[:8] == [
        "format", "misure_version", "image", "model", "preset", "baseline_image", "dice_threshold", "seed"
    ]  # fmt: skip
    assert (record["model"], record["preset"], record["seed"]) == ("triangle", "readable", 3)
    assert record["target"]["class_index"] == 1
    assert record["target"]["class_name"] == "triangle"
    cost = record["cost"]
    assert cost["pass_equivalents"] == cost["forward_passes"] + 2 * cost["backward_passes"]

    with np.load(out / "explanation.npz", allow_pickle=False) as file:
        arrays = dict(file)
    assert arrays["target"].shape == (96, 96)
    assert arrays["target"].sum() == record["target"]["pixels"]
    _check_as_a_stranger(picture, arrays, record)
    loaded = misure.Explanation.load(out / "explanation.npz")
    assert loaded.record() == record


@pytest.mark.usefixtures("real_pictures")
def test_explain_writes_the_panels_that_are_named_in_the_format_that_is(picture, sample, tmp_path):
    out = tmp_path / "out"
    subject = ["explain", picture, "--model", "triangle", "--point", _point(sample), "--out", out]
    done = run(*subject, *FAST, "--panels", "overlay,image", "--format", "svg", "--dpi", 50)
    assert done.exit_code == 0, done.output
    assert f"see {out}/overview.svg" in done.output
    assert sorted(path.name for path in out.iterdir()) == [
        ".misure.json", "explanation.json", "explanation.npz", "image.svg", "overlay.svg",
        "overview.svg",
    ]  # fmt: skip
    wrong = run(*subject, "--force", *FAST, "--panels", "overlay,mapp")
    assert wrong.exit_code == 2
    assert "expected panels among image" in wrong.output


def _check_as_a_stranger(picture, arrays, record):
    """The Dice of both regions, from the files alone, with the network but none of our code."""
    net = misure.load_model("triangle", device="cpu").net
    with Image.open(picture) as file:
        image = np.asarray(file) / 255
    for name in ("sufficient_region", "minimally_sufficient_region"):
        shown = torch.from_numpy(np.where(arrays[name], image, 0)).float()
        with torch.no_grad():
            drawn = net(shown[None, None])[0].argmax(0).numpy() == 1
        considered = ~arrays["ignored"]
        both = (drawn & arrays["target"]).sum()
        total = (drawn & considered).sum() + arrays["target"].sum()
        assert 2 * both / total == pytest.approx(record[name]["dice"], abs=1e-12)
        assert record[name]["dice"] >= record["dice_threshold"]
        assert arrays[name].mean() == pytest.approx(record[name]["area_fraction"])


def test_presets_baseline_images_and_options(picture, tmp_path):
    done = run(
        "explain", picture, "--model", "triangle", "--class", 1, "--out", tmp_path / "out",
        "--preset", "sufficient_region", "--baseline-image", "noise", "--edge-px", 2,
        "--option", "growth=first", "--dice-threshold", 0.5, "--quiet",
    )  # fmt: skip
    assert (done.exit_code, done.output) == (0, "")
    record = json.loads((tmp_path / "out" / "explanation.json").read_text())
    given = {"growth": "first", "baseline_image": "noise", "edge_px": 2}
    assert record["settings"] == record["settings"] | given
    assert record["cost"]["backward_passes"] == 0


def test_a_region_is_found_on_what_it_shows_filled_in_and_shown_on_other_baseline_images(
    picture, sample, tmp_path
):
    done = run(
        "explain", picture, "--model", "triangle", "--point", _point(sample), "--out",
        tmp_path / "out", "--preset", "sufficient_region", "--baseline-image", "filled",
        "--option", "num_minimality_tests=0",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    values = misure.Explanation.load(tmp_path / "out" / "explanation.npz").values
    small = values.minimally_sufficient_region
    assert small.dice_by_baseline_image == {"filled": small.dice}
    others = small.dice_on_other_baseline_images
    assert list(others) == ["mean", "blurred", "noise"]
    assert ", ".join(f"{name} {dice:.3f}" for name, dice in others.items()) in done.output
    leans = max(others.values()) < 0.8
    assert ("The region suffices on filled alone" in done.output) == leans
    explanation = misure.Explanation.load(tmp_path / "out" / "explanation.npz")
    shift, whole = (
        dices["shift"]
        for dices in (
            explanation.dice_under_small_changes,
            explanation.whole_image_under_small_changes,
        )
    )
    assert f"shift {shift:.3f} (whole image {whole:.3f}), noise " in done.output
    is_undone = bool(explanation.small_changes_note)
    assert ("The region does not hold under small changes" in done.output) == is_undone


@pytest.mark.slow
def test_budget_grain_and_several_baseline_images(picture, sample, tmp_path):
    done = run(
        "explain", picture, "--model", "triangle", "--point", _point(sample), "--out",
        tmp_path / "out", "--max-passes", 300, "--grain-px", 8, "--one-minimal",
        "--option", "minimality_cell_px=32",
        "--baseline-image", "mean,noise",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "out" / "explanation.json").read_text())
    assert record["cost"]["pass_equivalents"] <= 300
    small = record["minimally_sufficient_region"]
    assert small["grain_px"] == 8
    assert small["dice"] == min(small["dice_by_baseline_image"].values()) >= 0.9
    assert list(small["dice_by_baseline_image"]) == ["mean", "noise"]
    minimality = record["minimality"]
    assert minimality["cells_left"] == minimality["cells_tested"] > 0 == minimality["removable"]
    assert "No single block of 32 px can be removed" in done.output


def test_boxes_instances_and_the_default_folder(picture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = ("explain", picture, "--model", "triangle", "--class", "triangle", *FAST)
    assert run(*common, "--box", "0,0,96,96").exit_code == 0
    assert run(*common, "--instance", 2).exit_code == 0
    assert sorted(path.name for path in tmp_path.glob("misure-*")) == [
        "misure-canvas-triangle-2", "misure-canvas-triangle-in-0-0-96-96",
    ]  # fmt: skip
    part, whole = (
        json.loads((folder / "explanation.json").read_text())["target"]["pixels"]
        for folder in sorted(tmp_path.glob("misure-*"))
    )
    assert part < whole


def test_results_are_never_written_over_other_results_or_files_of_others(picture, tmp_path):
    out = tmp_path / "out"
    common = ("explain", picture, "--model", "triangle", "--class", 1, "--out", out, *FAST)
    assert run(*common, "--instance", 1).exit_code == 0
    first = (out / "explanation.json").read_text()
    refused = run(*common, "--instance", 2)
    assert refused.exit_code == 2
    assert "holds other results: instance: 1 there, 2 now" in " ".join(refused.output.split())
    assert (out / "explanation.json").read_text() == first
    assert run(*common, "--instance", 1).exit_code == 0  # the same again
    (out / "notes.txt").write_text("mine")
    assert run(*common, "--instance", 2, "--force").exit_code == 0
    assert (out / "explanation.json").read_text() != first
    assert (out / "notes.txt").read_text() == "mine"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "overview.png").write_text("mine")
    for force in ((), ("--force",)):
        assert run(*common[:-2], "--out", foreign, *FAST, *force).exit_code == 2
        assert [path.name for path in foreign.iterdir()] == ["overview.png"]
        assert (foreign / "overview.png").read_text() == "mine"


def test_another_image_for_the_transfer_dice_is_named(picture, tmp_path):
    other = tmp_path / "other.png"
    Image.fromarray((TriangleDataset(2)[1].image[0].numpy() * 255).astype(np.uint8)).save(other)
    common = ("explain", picture, "--model", "triangle", "--class", 1, *FAST)
    done = run(*common, "--out", tmp_path / "out", "--other-image", other)
    assert done.exit_code == 0, done.output
    values = json.loads((tmp_path / "out" / "explanation.json").read_text())
    assert values["transfer_from"] == str(other)
    for option in ("seed=3", "depth=NaN"):
        refused = run(*common, "--out", tmp_path / "no", "--option", option)
        assert refused.exit_code == 2, refused.output


@pytest.mark.usefixtures("in_this_process")
def test_a_run_is_not_written_among_other_files(picture, tmp_path):
    (tmp_path / "images").mkdir()
    picture.rename(tmp_path / "images" / "a.png")
    out = tmp_path / "out"
    out.mkdir()
    (out / ".DS_Store").touch()  # put there by the system
    run_it = ("run", tmp_path / "images", "--model", "triangle", "--out", out, "--method", "edges")
    (out / "notes.txt").write_text("mine")
    refused = run(*run_it)
    assert refused.exit_code == 2
    assert "holds other files (notes.txt). Name another folder." in " ".join(refused.output.split())
    assert {path.name for path in out.iterdir()} == {".DS_Store", "notes.txt"}
    (out / "notes.txt").unlink()
    assert run(*run_it).exit_code == 0
    assert run(*run_it).exit_code == 0


def test_what_the_system_refuses_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    done = run("experiment", "triangle", "--out", tmp_path / "file" / "out")
    assert done.exit_code == 2
    assert f"the system answers: {tmp_path / 'file' / 'out'}: Not a directory. Check" in done.output
    assert "Errno" not in done.output


@pytest.mark.usefixtures("few_canvases")
def test_train_a_little(tmp_path, picture):
    out = tmp_path / "folder" / "net"
    done = run("train", "triangle", "--network", "small_unet", "--steps", 2, "--out", out)
    assert done.exit_code == 0, done.output
    assert "Dice on 8 test samples 0." in done.output
    assert run("classes", picture, "--model", f"trained:{out}").exit_code == 0


def test_a_volume_and_a_slice_of_it(tmp_path):
    import nibabel

    volume = toys.square_image(3)[0].numpy()
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([-1, -1, 1, 1])), tmp_path / "v.nii.gz")
    file = tmp_path / "nets.py"
    file.write_text(f"import sys\nsys.path.insert(0, {str(Path(toys.__file__).parent)!r})\n"
                    "import toys\ndef net():\n    return toys.OwnBrightness()\n")  # fmt: skip
    model = (
        "--model",
        f"python:{file}:net",
        "--class",
        1,
        "--model-option",
        "num_channels=1",
        *FAST,
    )
    for extra, shape in (((), (30, 30, 30)), (("--slice", 12), (30, 30))):
        out = tmp_path / f"out{len(extra)}"
        done = run("explain", tmp_path / "v.nii.gz", *model, *extra, "--out", out)
        assert done.exit_code == 0, done.output
        with np.load(out / "explanation.npz") as file:
            arrays = dict(file)
        assert arrays["target"].shape == shape
        assert (arrays["minimally_sufficient_region"] == arrays["target"]).all()
    loaded = misure.Explanation.load(tmp_path / "out0" / "explanation.npz")
    assert (loaded.target.region.numpy() == (volume > 0)).all()


def test_an_array_and_settings_of_the_model(tmp_path):
    np.save(tmp_path / "a.npy", toys.square_image().numpy() * 40 + 100)
    file = tmp_path / "nets.py"
    file.write_text("import torch\ndef net():\n    return lambda x: torch.cat([-x, x], 1)\n")
    done = run(
        "explain", tmp_path / "a.npy", "--model", f"python:{file}:net", "--class", "bright", *FAST,
        "--model-option", "mean=[120]", "--model-option", "std=40", "--out", tmp_path / "out",
        "--model-option", 'class_names=["dark", "bright"]',
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out/explanation.json").read_text())["target"]["pixels"] == 25


BAD = [
    (["explain", "{d}/none.png", "--model", "triangle", "--class", "1"], "found none at"),
    (["explain", "{d}/empty.png", "--model", "triangle", "--class", "1"], "got an empty file"),
    (["explain", "{d}/text.png", "--model", "triangle", "--class", "1"], "a picture that Pillow"),
    (["explain", "{d}/nan.npy", "--model", "triangle", "--class", "1"], "expected finite numbers"),
    (
        ["explain", "{d}/rgb.npy", "--model", "triangle", "--class", "1"],
        "expected 1 channel, got 3",
    ),
    (["explain", "{p}", "--model", "triangle", "--class", "ship"], "It has: background, triangle"),
    (["explain", "{p}", "--model", "triangle", "--class", "5"], "expected a class from 0 to 1"),
    (
        ["explain", "{d}/dark.png", "--model", "triangle", "--class", "1"],
        "finds no pixel of class 1",
    ),
    (["explain", "{p}", "--model", "triangle"], "expected --class or --point, got neither"),
    (["explain", "{p}", "--model", "triangle", "--point", "a,b"], "expected R,C, got 'a,b'"),
    (["explain", "{p}", "--model", "triangle", "--point", "999,0"], "expected a point inside"),
    (
        ["explain", "{p}", "--model", "caffe:x", "--class", "1"],
        "expected triangle, trained:FILE_OR_FOLDER, hf:",
    ),
    (["explain", "{p}", "--model", "trained:{d}/cut", "--class", "1"], "cannot be used"),
    (["explain", "{p}", "--model", "torchscript:{d}/text.png", "--class", "1"], "TorchScript"),
    (["explain", "{p}", "--model", "python:{d}/nets.py:raises", "--class", "1"], "no such luck"),
    (["explain", "{p}", "--model", "python:{d}/nets.py:nan", "--class", "1"], "finite logits"),
    (
        ["explain", "{p}", "--model", "triangle", "--class", "1", "--preset", "x"],
        "expected a preset",
    ),
    (
        ["explain", "{p}", "--model", "triangle", "--class", "1", "--option", "x=1"],
        "an option of pr",
    ),
    (["explain", "{p}", "--model", "triangle", "--class", "1", "--option", "x"], "KEY=VALUE"),
    (
        ["explain", "{p}", "--model", "triangle", "--class", "1", "--baseline-image", "x"],
        "one of me",
    ),
    (
        ["explain", "{p}", "--model", "triangle", "--class", "1", "--dice-threshold", "2"],
        "at most 1",
    ),
    (
        ["explain", "{p}", "--model", "triangle", "--class", "1", "--device", "abacus"],
        "device that",
    ),
    (
        ["explain", "{p}", "--model", "triangle", "--class", "1", "--slice", "1"],
        "to take a slice of",
    ),
    (["explain", "{p}", "--model", "triangle", "--class", "1", "--out", "{p}"], "is a file. Name"),
    (["classes", "{p}", "--model", "triangle", "--model-option", "colour=1"], "'colour'"),
    (["classes", "{p}", "--model", "triangle", "--model-option", "mean=a"], "numbers as mean"),
    (["classes", "{d}/arrays.npy", "--model", "triangle"], "expected an .npy array"),
    (["explain", "{p}", "--model", "triangle", "--class", "1", "--seed", "-1"], "0<=x<="),
    (
        [
            "explain",
            "{p}",
            "--model",
            "triangle",
            "--class",
            "1",
            "--preset",
            "paper",
            "--option",
            "learning_rate=-1",
        ],
        "posi",
    ),
    (["train", "square"], "expected a data set to train on among triangle, triangle-disc"),
    (["train", "triangle", "--out", "{d}/cut"], "is a file. Name another"),
    (["train", "triangle", "--steps", "0"], "x>=2"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_gets_one_sentence_and_exit_code_2(arguments, message, picture, tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "cut").write_bytes(b"cut")
    np.save(tmp_path / "nan.npy", np.full((1, 96, 96), np.nan))
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    (tmp_path / "arrays.npz").rename(tmp_path / "arrays.npy")
    np.save(tmp_path / "rgb.npy", np.zeros((3, 96, 96)))
    Image.new("L", (96, 96)).save(tmp_path / "dark.png")
    (tmp_path / "nets.py").write_text(
        "import torch\n"
        "class Raises(torch.nn.Module):\n"
        "    def forward(self, x):\n        raise RuntimeError('no such luck')\n"
        "def raises():\n    return Raises()\n"
        "def nan():\n    return lambda x: x * torch.nan\n"
    )
    before = sorted(tmp_path.iterdir())
    filled = [a.format(p=picture, d=tmp_path) for a in arguments]
    if arguments[0] == "explain" and "--out" not in arguments:
        filled += ["--out", str(tmp_path / "out")]
    done = run(*filled)
    assert done.exit_code == 2
    assert message in done.output
    assert done.output.count("Error: ") == 1
    assert "Traceback" not in done.output
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_results_of_earlier_runs_survive_a_failure(picture, tmp_path):
    common = ("explain", picture, "--model", "triangle", "--out", tmp_path / "out", *FAST)
    assert run(*common, "--class", "triangle").exit_code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert run(*common, "--class", "ship").exit_code == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert run(*common, "--class", "triangle", "--seed", 1).exit_code == 2
    assert run(*common, "--class", "triangle", "--seed", 1, "--force").exit_code == 0
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert json.loads((tmp_path / "out" / "explanation.json").read_text())["seed"] == 1


@pytest.mark.parametrize(
    "sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interrupt_leaves_nothing_behind(picture, tmp_path, sent):
    command = [sys.executable, "-m", "misure", "explain", str(picture), "--model", "triangle"]
    command += ["--class", "triangle", "--out", str(tmp_path / "out")]
    command += ["--preset", "paper", "--option", "num_iterations=100000"]
    # A shell that runs tests in the background has them ignore interrupts, and all they start.
    heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **heeding)
    try:
        deadline = time.time() + 300
        while not list(tmp_path.glob(".out.*")) and time.time() < deadline:
            time.sleep(0.05)
        assert list(tmp_path.glob(".out.*"))
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(sent)
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()  # where it failed, it would run on
    assert process.returncode == (130 if sent == signal.SIGINT else 143)
    assert errors == f"misure: {'interrupted' if sent == signal.SIGINT else 'ended by SIGTERM'}.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["canvas.png"]


def test_help_and_import_do_not_load_torch():
    code = (
        "import sys, misure\n"
        "from misure.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_silent_in_a_pipe_but_for_the_summary(picture, tmp_path, capfd):
    command = ["explain", str(picture), "--model", "triangle", "--class", "triangle", *FAST]
    main([*command, "--out", str(tmp_path / "out")], standalone_mode=False)
    printed = capfd.readouterr()
    assert printed.err == ""
    assert "pass equivalents" in printed.out


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
@pytest.mark.slow
def test_a_progress_bar_on_a_terminal(picture, tmp_path, monkeypatch):
    monkeypatch.setattr("misure._util.progress._DELAY_S", 0)
    every_step = partial(progress.make_bar, mininterval=0)  # however quickly they follow
    monkeypatch.setattr(progress, "make_bar", every_step)
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    shown = []
    terminal = threading.Thread(target=lambda: shown.extend(_until_closed(ours)))
    terminal.start()
    command = ["explain", str(picture), "--model", "triangle", "--class", "triangle"]
    command += ["--out", str(tmp_path / "out"), "--preset", "quick"]
    with os.fdopen(theirs, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        main(command, standalone_mode=False)
    terminal.join(timeout=60)
    os.close(ours)
    assert b"cutting" in b"".join(shown)


def _until_closed(descriptor):
    try:
        while more := os.read(descriptor, 4096):
            yield more
    except OSError:  # how Linux says that the other end was closed
        pass


@pytest.mark.slow
@pytest.mark.usefixtures("real_pictures")
def test_the_demo_reaches_the_other_corners(tmp_path, monkeypatch):
    monkeypatch.setattr("misure.cli.demo_run.NUM_SAMPLES", 1)
    done = run("demo", "--out", tmp_path / "demo")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    header = re.split(r"  +", lines[0])
    rows = [dict(zip(header, re.split(r"  +", line), strict=True)) for line in lines[1:2]]
    for row in rows:
        assert float(row["growth_px"]) >= 20
        assert float(row["other_corners_covered"]) > 0.25
        assert float(row["minimal_area"]) < 0.2
        assert float(row["relevance_covered"]) > 0.4
        assert float(row["dice"]) >= 0.9
        assert (tmp_path / "demo" / row["sample"] / "overview.png").stat().st_size > 10_000


def test_compare_writes_rows_tables_and_a_picture(picture, sample, tmp_path):
    out = tmp_path / "out"
    done = run(
        "compare", picture, tmp_path / "missing.png", "--model", "triangle", "--class", "triangle",
        "--instance", 0, "--methods", "rise, edges", "--metrics", "fineness,sufficient_area",
        "--option", "rise.num_masks=30", "--option", "rise.coverage=none",
        "--out", out, "--device", "cpu",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert re.search(r"rise +0\.\d{3}", done.output)
    assert "2 of 4 cells failed" in done.output
    names = [".misure.json", "comparison.csv", "comparison.json", "comparison.md", "comparison.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    written = json.loads((out / "comparison.json").read_text())
    assert written["rows"][0]["cost"]["forward_passes"] == 30
    assert written["settings"]["methods"]["rise"]["options"]["coverage"] == "none"
    assert "missing.png" in written["rows"][2]["error"]


@pytest.mark.parametrize(("kind", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_compare_draws_vectors_too(picture, kind, start, tmp_path):
    common = ("--model", "triangle", "--device", "cpu", "--methods", "edges", "--metrics", "iou")
    out = tmp_path / "out"
    done = run("compare", picture, *common, "--out", out, "--format", kind, "--dpi", 60)
    assert done.exit_code == 0, done.output
    assert (out / f"comparison.{kind}").read_bytes().startswith(start)
    assert not (out / "comparison.png").exists()
    assert f"comparison.{kind}" in done.output
    bad = run("compare", picture, *common, "--out", tmp_path / "bad", "--dpi", 0)
    assert bad.exit_code == 2
    assert "dots per inch" in bad.output
    assert not (tmp_path / "bad").exists()


def test_compare_on_the_data_set_knows_the_network_and_what_matters(tmp_path):
    done = run(
        "compare", "--dataset", "triangle:1", "--methods", "class_itself", "--metrics", "iou",
        "--out", tmp_path / "out", "--quiet",
    )  # fmt: skip
    assert (done.exit_code, done.output) == (0, "")
    written = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert written["summary"]["class_itself"]["iou"]["mean"] > 0.9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected images or a --dataset, got neither"),
        (["a.png", "--dataset", "triangle"], "expected images or a --dataset, got both"),
        (["a.png"], "expected a network, got none. Name it with --model."),
        (["--dataset", "triangle-disc:2"], "expected a network, got none"),
        (["--dataset", "circle"], "expected a network"),
        (["--dataset", "circle", "--model", "triangle"], "expected one of triangle"),
        (["--dataset", "triangle:1", "--methods", "no"], "expected methods among"),
        (["--dataset", "triangle:1", "--metrics", "no"], "expected metrics among"),
        (["--dataset", "triangle:1", "--option", "x=3"], "expected an option of preset"),
        (["--dataset", "triangle:1", "--max-passes", "0"], "expected max_passes of 49 or more"),
        (["--dataset", "triangle:1", "--option", "rise.3"], "expected [METHOD.]KEY=VALUE"),
        (["a.png", "--model", "triangle"], "got none; the first: "),
    ],
)
def test_compare_answers_bad_input_with_one_sentence(arguments, words, tmp_path):
    done = run("compare", *arguments, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()


def test_frames_and_numbers_are_options_of_commands(picture, tmp_path):
    with Image.open(picture) as frame:
        frame.save(tmp_path / "a.tif", save_all=True, append_images=[frame])
    asked = run("classes", tmp_path / "a.tif", "--model", "triangle", "--device", "cpu")
    assert asked.exit_code == 2
    assert "got 2 frames or pages" in asked.output
    options = ("--model", "triangle", "--device", "cpu")
    first = run("classes", tmp_path / "a.tif", *options, "--image-option", "frame=0")
    assert first.exit_code == 0, first.output
    listed = run("classes", picture, *options).output.partition("To explain")[0]
    assert first.output.partition("To explain")[0] == listed
    wrong = run("reliability", "fit", "run", "--annotations", "a", "--label-map", "1", "--out", "m")
    assert "expected NUMBER=CLASS, got '1'" in wrong.output
    wrong = run("reliability", "fit", "run", "--annotations", "a", "--ignore", "a", "--out", "m")
    assert "expected numbers, such as 255,0, or none, got 'a'" in wrong.output


def test_an_error_of_prepare_is_its_sentence_alone(tmp_path):
    pytest.importorskip("nibabel")
    for folder in ("img", "label"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}0001.nii.gz").write_bytes(b"no volume")
    said = run("prepare", "synapse", tmp_path, tmp_path / "out")
    assert said.exit_code == 2
    assert len(said.output.splitlines()) == 1, said.output
