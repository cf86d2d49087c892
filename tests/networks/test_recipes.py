"""The recipes for other frameworks, word by word, with the real libraries."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import misure

pytestmark = [pytest.mark.networks, pytest.mark.filterwarnings("ignore")]

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "recipes.md"
FILES = dict(
    re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M)
)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _file(name):
    Path(name).write_text(FILES[name])
    return name


def _discs(height=48, width=64):
    rows, columns = np.mgrid[:height, :width]
    image = np.full((height, width), 0.2, dtype=np.float32)
    for row, column in ((12, 14), (30, 44)):
        image[(rows - row) ** 2 + (columns - column) ** 2 < 64] = 0.9
    noise = np.random.default_rng(0).normal(0, 0.03, image.shape)
    return (image + noise).clip(0, 1).astype(np.float32)


def _explained(model, image, **options):
    target = misure.predicted_target(model, image, 1, **options)
    return misure.explain(model, image, target, max_passes=60), target


def test_keras():
    keras = pytest.importorskip("keras")
    pytest.importorskip("tf2onnx")
    keras.utils.set_random_seed(1)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="tanh")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Conv2DTranspose(8, 3, strides=2, padding="same")(x)
    kernel = keras.initializers.RandomNormal(stddev=2.0)
    outputs = keras.layers.Conv2D(4, 1, activation="softmax", kernel_initializer=kernel)(x)
    network = keras.Model(inputs, outputs)
    images = np.random.default_rng(2).random((2, 32, 48, 3)).astype(np.float32)
    names = {}
    exec(FILES["export_keras.py"], names)
    names["export"](network, images, "model.onnx")
    model = misure.load_model("onnx:model.onnx", device="cpu", probabilities=True, size_divisor=2)
    theirs = torch.from_numpy(network.predict(images, verbose=0)).movedim(-1, 1)
    given = torch.from_numpy(images).movedim(-1, 1)
    ours = model.as_module(probabilities=True)(given)
    assert model.num_channels == 3
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert torch.equal(ours.argmax(1), theirs.argmax(1))
    assert len(theirs.argmax(1).unique()) >= 3
    assert model(given[..., :31, :45]).shape == (2, 4, 31, 45)
    found, _ = _explained(model, given[0])
    assert found.sufficient_dice >= 0.9


def test_a_pixel_classifier():
    joblib = pytest.importorskip("joblib")
    pytest.importorskip("skimage")
    from skimage.feature import multiscale_basic_features
    from sklearn.ensemble import RandomForestClassifier

    image = _discs()
    features = multiscale_basic_features(image[..., None], channel_axis=-1)
    labels = (image > 0.5).ravel().astype(int)
    forest = RandomForestClassifier(20, max_depth=6, random_state=0)
    forest.fit(features.reshape(-1, features.shape[-1]), labels)
    joblib.dump(forest, "forest.joblib")
    model = misure.load_model(f"function:{_file('forest.py')}:classify", probabilities=True)
    given = torch.from_numpy(image)[None]
    theirs = forest.predict(features.reshape(-1, features.shape[-1])).reshape(image.shape)
    assert torch.equal(misure.segment(model, given).class_map(), torch.from_numpy(theirs))
    found, target = _explained(model, given, point=(12, 14))
    assert found.dice >= 0.9
    inside = found.minimally_sufficient_region[:24, :32].sum()
    assert inside > 0.5 * found.minimally_sufficient_region.sum()
    assert target.region[12, 14]


def test_cellpose():
    models = pytest.importorskip("cellpose.models")
    if not hasattr(models, "SizeModel"):
        pytest.skip("cellpose 4 needs the weights of SAM")
    from cellpose.resnet_torch import CPnet

    torch.manual_seed(0)
    CPnet([2, 32, 64, 128, 256], nout=3, sz=3).save_model("cellpose_weights")
    model = misure.load_model(f"function:{_file('cells.py')}:cells")
    image = _discs(64, 96)
    own = models.CellposeModel(gpu=False, pretrained_model="cellpose_weights")
    _, flows, *_ = own.eval(image, normalize=False, compute_masks=False)
    given = torch.from_numpy(image)[None]
    ours = model(given[None])
    theirs = torch.from_numpy(np.squeeze(flows[2])).float()
    assert theirs.std() > 0
    assert torch.allclose(ours[0, 1] - ours[0, 0], theirs, atol=1e-5)
    found = misure.segment(model, given)
    assert torch.equal(found.class_region(1), theirs > 0)


def test_stardist():
    stardist = pytest.importorskip("stardist.models")
    config = stardist.Config2D(
        n_rays=8, grid=(2, 2), unet_n_depth=2, unet_n_filter_base=8, net_conv_after_unet=16
    )
    own = stardist.StarDist2D(config, name="nuclei", basedir="models")
    own.keras_model.save_weights("models/nuclei/weights_best.weights.h5")
    model = misure.load_model(f"function:{_file('nuclei.py')}:nuclei", probabilities=True)
    image = _discs(64, 96)
    probability, _ = own.predict(image, show_tile_progress=False)
    given = torch.from_numpy(image)[None]
    ours = model.as_module(probabilities=True)(given[None])[0, 1]
    theirs = torch.from_numpy(np.asarray(probability, dtype=np.float32))
    logits = torch.nn.functional.interpolate(
        theirs.clamp(1e-7, 1 - 1e-7).logit()[None, None], image.shape, mode="bilinear"
    )
    assert torch.allclose(ours, logits[0, 0].sigmoid(), atol=1e-4)
