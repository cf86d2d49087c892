"""Windows as nnU-Net v2 slides them: the same logits as its own predictor."""

from types import SimpleNamespace

import pytest
import torch

import misure
import toys

pytestmark = pytest.mark.networks
predicting = pytest.importorskip("nnunetv2.inference.predict_from_raw_data")


def _predicted(net, image, patch_size, overlap, *, gaussian):
    """Logits (K, *spatial) of nnU-Net's own predictor."""
    predictor = predicting.nnUNetPredictor(
        tile_step_size=1 - overlap,
        use_gaussian=gaussian,
        use_mirroring=False,
        perform_everything_on_device=False,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )
    predictor.network = net
    predictor.configuration_manager = SimpleNamespace(patch_size=list(patch_size))
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=4)
    return predictor.predict_sliding_window_return_logits(image).float()


@pytest.mark.parametrize("gaussian", [False, True])
@pytest.mark.parametrize("overlap", [0.5, 0.3])
@pytest.mark.parametrize(
    ("spatial", "patch_size"),
    [
        ((23, 31, 40), (16, 12, 20)),
        ((33, 16, 17), (16, 16, 16)),
        ((11, 14, 40), (16, 12, 20)),
        ((7, 9, 10), (8, 12, 16)),
        ((3, 21, 33), (12, 16)),
    ],
)
def test_logits_are_those_of_nnunet(spatial, patch_size, overlap, gaussian, monkeypatch):
    net, image, model = _set_up(spatial, patch_size, overlap, gaussian)
    with torch.no_grad():
        logits = model(image[None])[0]
    in_half = _predicted(net, image, patch_size, overlap, gaussian=gaussian)
    assert float((logits.argmax(0) == in_half.argmax(0)).float().mean()) > 0.99
    monkeypatch.setattr(torch, "half", torch.float32)  # nnU-Net's sums alone; its weights stay
    expected = _predicted(net, image, patch_size, overlap, gaussian=gaussian)
    assert torch.allclose(logits, expected, rtol=0, atol=5e-6)
    assert torch.equal(logits.argmax(0), expected.argmax(0))


def _set_up(spatial, patch_size, overlap, gaussian):
    net = toys.random_network(3, len(patch_size), 4).eval().requires_grad_(False)
    image = torch.randn(2, *spatial, generator=torch.Generator().manual_seed(0))
    model = misure.SegmentationModel(
        net,
        window=patch_size,
        overlap=overlap,
        window_weights="gaussian" if gaussian else "constant",
        window_rule="nnunet",
    )
    return net, image, model


@pytest.mark.parametrize("spatial", [(23, 31, 40), (110, 64, 300), (96, 200, 97)])
@pytest.mark.parametrize("overlap", [0.5, 0.25, 0.1])
def test_windows_lie_where_nnunet_puts_them(spatial, overlap):
    from nnunetv2.inference.sliding_window_prediction import (
        compute_gaussian,
        compute_steps_for_sliding_window,
    )

    from misure.models.windows import Windows

    size = (16, 24, 20)
    windows = Windows(size=size, overlap=overlap, rule="nnunet", weights="gaussian")
    assert windows.starts(spatial) == compute_steps_for_sliding_window(spatial, size, 1 - overlap)
    weight = compute_gaussian(size, value_scaling_factor=10, device=torch.device("cpu"))
    assert torch.equal(windows.weight(spatial), weight.float())
