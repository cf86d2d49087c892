"""`misure view`, as a process of its own and as a run's."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import url2pathname

import numpy as np
import pytest
from click.testing import CliRunner

import misure
import toys
import viewing
from misure.cli.app import main

SLOW_NET = """
import pathlib
import time
import torch
import misure

class Slow(torch.nn.Module):
    def forward(self, images):
        time.sleep(float(pathlib.Path("seconds").read_text()))
        evidence = 30 * (images[:, :1] - 0.5)
        return torch.cat([-evidence, evidence], 1)

def make():
    return misure.SegmentationModel(Slow(), class_names=("dark", "bright"), batch_size=1)
"""


def _image():
    image = np.zeros((1, 24, 32), np.float32)
    image[0, 4:12, 5:15] = 1
    return image


def _said(arguments):
    done = CliRunner().invoke(main, ["view", *map(str, arguments)])
    assert done.exit_code == 2
    return " ".join(done.output.split())


def test_what_it_cannot_do_is_one_sentence(tmp_path):
    (path,) = viewing.files({"a": _image()}, tmp_path)
    assert _said([path]) == (
        "Error: view: expected --model with an image or a folder of images, got none."
    )
    assert "expected a folder with --out" in _said([path, "--out", path])
    assert "'--port': 0 is not in the range" in _said([path, "--port", "0"])
    assert "expected triangle" in _said([path, "--model", "nothing:x"])
    missing = tmp_path / "none.png"
    assert f"found none at {missing}" in _said([missing, "--model", "triangle"])


def _start(tmp_path, *arguments, environment=None):
    (tmp_path / "net.py").write_text(SLOW_NET)
    (tmp_path / "seconds").write_text("0")
    viewing.files({"a": _image()}, tmp_path)
    command = [sys.executable, "-m", "misure", "view", "a.npy", "--model", "python:net.py:make"]
    # The children of background jobs ignore SIGINT.
    heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = subprocess.Popen(
        [*command, *([] if environment else ["--no-browser"]), *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        | (environment or {}),
        **heeding,
    )
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:"), process.stderr.read()
    return process, address


def _ask(address, path, method="GET", body=None):
    host, token = address.removeprefix("http://").split("/")[:2]
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request(method, f"/{token}/{path}", body)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, json.loads(data)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="BROWSER is read elsewhere")
def test_the_secret_is_in_no_argument_of_the_browser(tmp_path):
    (tmp_path / "temporary").mkdir()
    browser = tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/new\nmv {tmp_path}/new {tmp_path}/said\n'
    )
    browser.chmod(0o700)
    environment = {"BROWSER": f"{browser} %s", "TMPDIR": str(tmp_path / "temporary")}
    process, address = _start(tmp_path, environment=environment)
    try:
        deadline = time.monotonic() + 20
        while not (tmp_path / "said").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        said = (tmp_path / "said").read_text().strip()
        token = address.split("/")[3]
        assert token not in said
        path = Path(url2pathname(said.removeprefix("file://")))
        assert f'content="0; url={address}"' in path.read_text()
        assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert not path.parent.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "sent", "code"),
    [(0.05, signal.SIGINT, 130), (30, signal.SIGINT, 130), (0.05, signal.SIGTERM, 143)],
)
def test_it_ends_within_two_seconds_also_during_a_search(tmp_path, seconds, sent, code):
    process, address = _start(tmp_path)
    try:
        assert [image["name"] for image in _ask(address, "state")[1]["images"]] == ["a.npy"]
        assert _ask(address, "images/0")[0] == 200
        (tmp_path / "seconds").write_text(str(seconds))  # that a pass takes from now on
        asked = json.dumps({"image": 0, "object": 0})
        assert _ask(address, "explanations", "POST", asked)[0] == 200
        time.sleep(0.5)
        start = time.monotonic()
        process.send_signal(sent)
        _, errors = process.communicate(timeout=10)
        assert time.monotonic() - start < 2
        assert process.returncode == code
        assert "Traceback" not in errors
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_run_shows_its_report_and_its_images(tmp_path, working_here):
    from misure.cli.commands.view import _session
    from misure.datasets.sample import Reading
    from misure.viewer.session import Network

    (tmp_path / "images").mkdir()
    viewing.files({"a": _image(), "b": _image()[:, ::-1].copy()}, tmp_path / "images")
    model = toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"))
    plan = misure.RunPlan(method_options={"preset": "quick"})
    with working_here():
        misure.run(str(tmp_path / "images"), model, tmp_path / "run", plan=plan)
    with _session(tmp_path / "run", None, tmp_path) as session, viewing.served(session) as client:
        state = client.json("state")[1]
        assert [image["name"] for image in state["images"]] == ["a.npy", "b.npy"]
        assert state["run"]["folder"] == str(tmp_path / "run")
        status, headers, page = client.get("report/")
        assert status == 200
        assert b"<title>misure" in page
        assert (
            "unsafe-inline" in {k.lower(): v for k, v in headers.items()}["content-security-policy"]
        )
        assert client.pixels("images/1/picture").shape == (24, 32)
        for path in ("report/../run.json", "report/..%2frun.json", "report/nothing"):
            assert client.get(path)[0] in (403, 404)
        folder = session.report
    assert not folder.exists()
    network = Network(spec="x", model=model, reading=Reading.for_model(model))
    with (
        _session(tmp_path / "run", network, tmp_path) as session,
        viewing.served(session) as client,
    ):
        entry = client.explained(image=0, object=0, preset="quick")
        assert entry["status"] == "done"
        assert f"{tmp_path}/images/a.npy" in entry["command"]
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    with _session(tmp_path / "run", None, tmp_path) as session, viewing.served(session) as client:
        state = client.json("state")[1]
        assert state["images"] == []
        assert "expected one of" in state["run"]["images_missing"]
        assert client.get("report/")[0] == 200
