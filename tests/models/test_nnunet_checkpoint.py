"""What nnU-Net's folders hold, read as data: no code of theirs runs."""

import json
import os
from importlib.util import find_spec

import numpy as np
import pytest
import torch

import misure
from misure import InputError, MissingDataError, MissingDependencyError
from misure.models.loaders.nnunet_checkpoint import read_checkpoint


def _checkpoint(**changes):
    return {
        "network_weights": {"a": torch.ones(2)},
        "init_args": {"configuration": "3d_fullres", "device": torch.device("cpu")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 2),
        "_best_ema": np.float64(0.5),
        "logging": {"mean_fg_dice": [np.float32(0.25)]},
    } | changes


class _Evil:
    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_numbers_of_numpy_are_read_without_trust(tmp_path):
    torch.save(_checkpoint(), tmp_path / "x.pth")
    read = read_checkpoint(tmp_path / "x.pth", trust=False)
    assert read.weights["a"].tolist() == [1, 1]
    assert (read.configuration, read.trainer) == ("3d_fullres", "nnUNetTrainer")
    assert read.mirror_axes == (0, 2)


def test_code_in_a_checkpoint_runs_only_if_it_is_trusted(tmp_path):
    torch.save(_checkpoint(extra=_Evil(tmp_path / "ran")), tmp_path / "x.pth")
    with pytest.raises(
        InputError, match=r"pickles more .*mkdir.*--model-option trust=true"
    ) as seen:
        read_checkpoint(tmp_path / "x.pth", trust=False)
    assert "\n" not in str(seen.value)
    assert not (tmp_path / "ran").exists()
    assert read_checkpoint(tmp_path / "x.pth", trust=True).trainer == "nnUNetTrainer"
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network_weights": [1]}, "expected weights by name, .* got list"),
        ({"trainer_name": "os.path"}, "the names of a trainer and a configuration.*'os.path'"),
        ({"init_args": {}}, "got dict, 'nnUNetTrainer' and 'None'"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(tmp_path, changes, words):
    torch.save(_checkpoint(**changes), tmp_path / "x.pth")
    with pytest.raises(InputError, match=words):
        read_checkpoint(tmp_path / "x.pth", trust=False)


def test_a_checkpoint_of_the_first_nnunet_is_refused(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "x.pth")
    with pytest.raises(InputError, match="network_weights, init_args, trainer_name not in .*v1"):
        read_checkpoint(tmp_path / "x.pth", trust=False)


def _folder(path, *files, folds=("fold_0", "fold_1")):
    path.mkdir()
    for name in files or ("plans.json", "dataset.json"):
        (path / name).write_text(json.dumps({}))
    for fold in folds:
        (path / fold).mkdir()
    return path


def test_what_a_folder_lacks_is_said(tmp_path):
    net = _folder(tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres")
    for argument, words in {
        tmp_path / "none": "found none. It holds plans.json",
        tmp_path: f"one of its folders, {net.name}",
        net / "fold_1": f"Did you mean nnunet:{net}:1?",
        net: "expected checkpoint_final.pth or checkpoint_best.pth in fold 0 .* no file of weights",
        f"{net}:all": "in fold all of",
    }.items():
        with pytest.raises(MissingDataError, match=words.replace("?", r"\?")):
            misure.load_model(f"nnunet:{argument}")
    with pytest.raises(InputError, match=f"Did you mean 'nnunet:{net}'"):
        misure.load_model(str(net))


def test_a_damaged_plan_is_refused(tmp_path):
    net = _folder(tmp_path / "net")
    (net / "plans.json").write_text("[" * 100_000)
    torch.save(_checkpoint(), net / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(InputError, match="expected JSON in .*plans.json"):
        misure.load_model(f"nnunet:{net}")


def test_folds_have_to_be_of_one_network(tmp_path):
    net = _folder(tmp_path / "net")
    torch.save(_checkpoint(), net / "fold_0" / "checkpoint_final.pth")
    torch.save(_checkpoint(trainer_name="Other"), net / "fold_1" / "checkpoint_final.pth")
    with pytest.raises(InputError, match="fold 0 is of nnUNetTrainer .* fold 1 of Other"):
        misure.load_model(f"nnunet:{net}")


@pytest.mark.skipif(find_spec("nnunetv2") is not None, reason="nnunetv2 is installed")
def test_the_library_that_is_missing_is_named(tmp_path):
    net = _folder(tmp_path / "net")
    torch.save(_checkpoint(), net / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(MissingDependencyError, match=r'pip install "misure\[nnunet\]"'):
        misure.load_model(f"nnunet:{net}")
