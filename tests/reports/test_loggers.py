"""`log_explanation`: what each logger gets, by the real libraries where they are installed."""

import io

import numpy as np
import pytest
from PIL import Image

import misure
import toys


@pytest.fixture(scope="module")
def explanation():
    model = toys.model_of(toys.Beacon(), class_names=("sky", "lamp"))
    image = toys.Beacon.image()
    target = misure.predicted_target(model, image, class_name="lamp")
    return misure.explain(model, image, target, preset="quick", max_passes=25)


def test_a_function_gets_figures_and_picture(explanation):
    got = []
    misure.log_explanation(lambda *args: got.append(args), explanation, step=3, name="lamp")
    ((values, step),) = got
    assert step == 3
    assert values["lamp/dice"] == explanation.dice
    assert values["lamp/relative_area"] == explanation.relative_area
    assert values["lamp/passes"] == explanation.cost.pass_equivalents
    assert "lamp/growth_mm" not in values  # as the spacing is not known
    assert all(type(value) is float for label, value in values.items() if label != "lamp")
    buffer = io.BytesIO()
    values["lamp"].savefig(buffer, format="png", dpi=50)
    assert np.asarray(Image.open(buffer)).std() > 10


def test_another_logger_and_no_image_are_one_sentence(explanation, tmp_path):
    with pytest.raises(misure.InputError, match=r"log_explanation: expected a Summary.*got object"):
        misure.log_explanation(object(), explanation)
    explanation.save(tmp_path / "e.npz")
    loaded, got = misure.Explanation.load(tmp_path / "e.npz"), []
    with pytest.raises(misure.InputError, match="the image to draw on"):
        misure.log_explanation(lambda *args: got.append(args), loaded)
    assert not got
    misure.log_explanation(lambda *args: got.append(args), loaded, image=toys.Beacon.image())
    assert len(got) == 1


@pytest.mark.filterwarnings("default")
def test_tensorboard(explanation, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        misure.log_explanation(writer, explanation, step=7, name="val/lamp")
    events = EventAccumulator(str(tmp_path)).Reload()
    (scalar,) = events.Scalars("val/lamp/dice")
    assert (scalar.step, scalar.value) == (7, pytest.approx(explanation.dice))
    (picture,) = events.Images("val/lamp")
    assert np.asarray(Image.open(io.BytesIO(picture.encoded_image_string))).std() > 10
    (said,) = events.Tensors("val/lamp/text_summary")
    assert said.tensor_proto.string_val[0].decode() == explanation.summary()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("which", ["module", "run"])
def test_mlflow(explanation, tmp_path, which):
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri((tmp_path / "mlflow").as_uri())
    experiment = mlflow.create_experiment("e", artifact_location=f"file://{tmp_path}/files")
    with mlflow.start_run(experiment_id=experiment) as run:
        if which == "module":
            misure.log_explanation(mlflow, explanation, step=2, name="lamp")
    if which == "run":
        misure.log_explanation(run, explanation, step=2, name="lamp")
    client = mlflow.MlflowClient()
    (metric,) = client.get_metric_history(run.info.run_id, "lamp/dice")
    assert (metric.step, metric.value) == (2, explanation.dice)
    (file,) = tmp_path.rglob("000002.png")
    assert file.parent.name == "lamp"
    assert np.asarray(Image.open(file)).std() > 10


@pytest.mark.filterwarnings("default")
def test_wandb(explanation, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = wandb.init(project="p", dir=str(tmp_path))
    try:
        misure.log_explanation(run, explanation, step=4, name="lamp")
        run.log({}, step=5)  # now the values of step 4 are complete
        assert run.summary["lamp/dice"] == explanation.dice
        assert run.summary["lamp"]["_type"] == "image-file"
    finally:
        run.finish()
    (file,) = tmp_path.rglob("*.png")
    assert np.asarray(Image.open(file)).std() > 10
