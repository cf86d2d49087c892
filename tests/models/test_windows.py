"""Windows: the same logits as the inferers of MONAI and nnU-Net, gradients, kept outputs."""

import numpy as np
import pytest
import torch
from torch import nn

import misure
import toys
from misure._util import freed_memory
from misure.cli.commands.option_values import settings as option_settings
from misure.errors import InputError, MisureWarning
from misure.models.logits import class_margin, class_region
from misure.models.long_passes import time_needed, words_of_time
from misure.models.rivals import deciding, enlarged, near_rivals, place_of
from misure.models.sliding import _Counts
from misure.models.windows import Windows, box_of

SHAPES = [
    ((20, 27), (9, 12), 0.5),
    ((20, 27), 9, 0.25),
    ((7, 30), (12, 10), 0.6),
    ((7, 5), (12, 10), 0.5),
    ((13, 9, 17), (6, 6, 8), 0.5),
    ((5, 9, 17), (8, 8, 8), 0.25),
    ((12, 12, 12), 6, 0.0),
]


def _network(num_axes, num_classes=4, seed=0):
    net = toys.random_network(seed, num_axes, num_classes).eval()
    return net.requires_grad_(False)


def _image(spatial, seed=1):
    return torch.rand(1, 2, *spatial, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("weights", ["constant", "gaussian"])
@pytest.mark.parametrize(("spatial", "window", "overlap"), SHAPES)
def test_logits_are_those_of_monai(spatial, window, overlap, weights):
    inferers = pytest.importorskip("monai.inferers")
    net, image = _network(len(spatial)), _image(spatial)
    size = (window,) * len(spatial) if isinstance(window, int) else window
    inferer = inferers.SlidingWindowInferer(size, 1, overlap=overlap, mode=weights)
    model = toys.model_of(net, window=window, overlap=overlap, window_weights=weights)
    with torch.no_grad():
        expected, logits = inferer(image, net), model(image)
    assert torch.equal(logits.argmax(1), expected.argmax(1))
    assert torch.allclose(logits, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_small_images_are_padded_as_by_monai(mode):
    inferers = pytest.importorskip("monai.inferers")
    net, image = _network(2), _image((9, 14))
    inferer = inferers.SlidingWindowInferer((12, 10), 1, overlap=0.5, padding_mode=mode)
    model = toys.model_of(net, window=(12, 10), window_padding=mode)
    with torch.no_grad():
        assert torch.allclose(model(image), inferer(image, net), rtol=0, atol=2e-6)


def test_windows_and_weights_of_nnunet_by_hand():
    windows = Windows(size=64, overlap=0.5, rule="nnunet", weights="gaussian")
    assert windows.starts((110,)) == [[0, 23, 46]]  # the example in nnU-Net's source
    assert windows.starts((64,)) == [[0]]
    assert windows.starts((40,)) == [[0]]
    assert Windows(size=(64, 64)).starts((110, 40)) == [[0, 32, 46], [0]]
    weight = windows.weight((110, 110))
    row = weight[32]
    assert weight.max() == row[32] == 10
    assert torch.equal(row[1:32], row[33:].flip(0))
    assert row[40] == pytest.approx(10 * np.exp(-0.5), rel=1e-3)
    assert weight.min() > 0


def test_windows_of_slices_are_shown_to_a_network_of_pictures():
    net, image = _network(2), _image((3, 12, 15))
    model = toys.model_of(net, window=(8, 8), window_rule="nnunet")
    apart = toys.model_of(net, window=(8, 8), window_rule="nnunet")
    with torch.no_grad():
        expected = torch.stack([apart(image[:, :, i]) for i in range(3)], 2)
        assert torch.allclose(model(image), expected, atol=2e-6)


@pytest.mark.parametrize("rule", ["monai", "nnunet"])
def test_slices_have_no_overlap_with_each_other(rule):
    for overlap in (0.5, (0.5, 0.5)):
        windows = Windows(size=(8, 8), overlap=overlap, rule=rule)
        assert windows.starts((3, 12, 8)) == [[0, 1, 2], [0, 4], [0]]
    assert Windows(size=(1, 8, 8), rule=rule).starts((3, 12, 8)) == [[0, 1, 2], [0, 4], [0]]
    shown = []

    def net(images):
        shown.append(tuple(images.shape))
        return torch.cat([images, -images], 1)

    model = misure.SegmentationModel(net, window=Windows(size=(8, 8), rule=rule, kept_mb=0))
    image = torch.rand(1, 1, 3, 12, 8) - 0.5
    model.examine(image)
    shown.clear()
    with torch.no_grad():
        assert torch.equal(model(image)[:, :1], image)
    assert shown == [(1, 1, 8, 8)] * 6


@pytest.mark.parametrize("spatial", [(16, 16), (11, 16)])
def test_a_single_window_is_shown_once_for_its_gradient(spatial):
    net, num_shown = _network(2), []

    def counted(images):
        num_shown.append(len(images))
        return net(images)

    model = misure.SegmentationModel(counted, window=16, window_weights="gaussian")
    ours, theirs = (_image(spatial).requires_grad_() for _ in range(2))
    model.examine(ours.detach())
    factors = torch.rand(1, *spatial, generator=torch.Generator().manual_seed(3))
    before, first = (16 - spatial[0]) // 2, spatial[0]
    padded = nn.functional.pad(theirs, (0, 0, before, 16 - first - before))
    expected = net(padded)[:, :, before : before + first]
    num_shown.clear()
    ((logits, place),) = model.deciding_logits(ours, [2])
    assert torch.allclose(logits, deciding(expected, 2, False), atol=1e-6)
    for found, at in ((logits, place), (expected, 2)):
        (class_margin(found, at, False) * factors).sum().backward()
    assert num_shown == [1]
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)


def test_weights_of_all_windows_slab_by_slab_are_those_of_the_whole():
    for rule, spatial in (("monai", (20, 27)), ("nnunet", (13, 9, 17)), ("monai", (7, 30))):
        windows = Windows(size=8, overlap=0.6, weights="gaussian", rule=rule)
        weight, window = windows.weight(spatial), windows.window(spatial)
        whole, counts = torch.zeros(windows.padded(spatial)), _Counts(windows, spatial, weight)
        for corner in windows.corners(spatial):
            whole[box_of(corner, window)] += weight
        for corner in windows.corners(spatial):
            assert torch.allclose(counts.there(corner, window), whole[box_of(corner, window)])


@pytest.mark.parametrize("num_axes", [2, 3])
@pytest.mark.parametrize("weights", ["constant", "gaussian"])
def test_gradients_are_those_of_all_windows_at_once(num_axes, weights):
    inferers = pytest.importorskip("monai.inferers")
    spatial, size = (15, 22, 9)[:num_axes], (10, 8, 12)[:num_axes]
    net = _network(num_axes)
    inferer = inferers.SlidingWindowInferer(size, 4, overlap=0.5, mode=weights)
    model = toys.model_of(net, window=size, window_weights=weights)
    image = torch.cat([_image(spatial, 1), _image(spatial, 2)])
    ours, theirs = (image.clone().requires_grad_() for _ in range(2))
    factors = torch.rand(2, 4, *spatial, generator=torch.Generator().manual_seed(3))
    with model.counting() as cost:
        (model(ours) * factors).sum().backward()
    (inferer(theirs, net) * factors).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)
    assert (cost.forward_passes, cost.backward_passes) == (2, 2)


@pytest.mark.parametrize("class_index", range(4))
def test_the_logits_that_decide_and_their_gradients_are_those_of_all_classes(class_index):
    model = toys.model_of(_network(2), window=(8, 10))
    image = _image((15, 22))
    ours, theirs = (image.clone().requires_grad_() for _ in range(2))
    ((logits, place),) = model.deciding_logits(ours, [class_index])
    whole = model(theirs)
    assert logits.shape[1] == (2 if class_index in (0, 3) else 3)
    assert place == min(1, class_index)
    assert torch.equal(class_region(logits, place, False), class_region(whole, class_index, False))
    margins = class_margin(logits, place, False), class_margin(whole, class_index, False)
    assert torch.equal(*margins)
    factors = torch.rand(margins[0].shape, generator=torch.Generator().manual_seed(0))
    for margin in margins:
        (margin * factors).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)


@pytest.mark.parametrize(("num_classes", "class_index"), [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)])
def test_the_gradient_of_a_margin_is_shared_by_tied_rivals(num_classes, class_index):
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(0, 3, (2, num_classes, 9, 8), generator=generator).float()
    ours, theirs = (numbers.clone().requires_grad_() for _ in range(2))
    others = [*theirs.unbind(1)]
    own = others.pop(class_index)
    expected = own - (others[0] if len(others) == 1 else torch.maximum(*others))
    found = class_margin(ours, class_index, False)
    assert torch.equal(found, expected)
    factors = torch.rand(found.shape, generator=generator)
    for margin in (found, expected):
        (margin * factors).sum().backward()
    assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize("multilabel", [False, True])
def test_logits_are_enlarged_class_by_class_as_all_together(multilabel):
    coarse = torch.rand(1, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    ours, theirs = (coarse.clone().requires_grad_() for _ in range(2))

    def enlarge(part):
        return nn.functional.interpolate(part, (25, 31), mode="bilinear")

    for k in range(5):
        found = enlarged(ours, enlarge, k, multilabel)
        expected = deciding(enlarge(theirs), k, multilabel)
        assert torch.equal(found, expected)
        assert torch.equal(found[:, place_of(k, multilabel)], enlarge(theirs)[:, k])
        with torch.no_grad():
            assert torch.equal(enlarged(ours, enlarge, k, multilabel), expected)
        factors = torch.rand(found.shape, generator=torch.Generator().manual_seed(k))
        (found * factors).sum().backward()
        (expected * factors).sum().backward()
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)


def test_large_images_are_decided_class_by_class(monkeypatch):
    options = {"input_size": (12, 16)}
    model, image = toys.model_of(_network(2), **options), _image((30, 40))
    with torch.no_grad():
        ((whole, k),) = model.deciding_logits(image, [2])
        assert (whole.shape[1], k) == (4, 2)
        monkeypatch.setattr("misure.models.model.MOST_NUMBERS", 1)
        ((logits, place),) = model.deciding_logits(image, [2])
    assert logits.shape[1] == 3
    assert place == 1
    assert torch.equal(class_margin(logits, place, False), class_margin(whole, 2, False))


def test_memory_is_given_back_slab_by_slab_of_large_images_alone(monkeypatch):
    num_given_back = []
    monkeypatch.setattr(freed_memory, "LARGE", 300)
    monkeypatch.setattr(freed_memory, "release_freed_memory", lambda: num_given_back.append(1))
    model = toys.model_of(_network(2), window=8)
    model.examine(_image((15, 22)))
    num_given_back.clear()
    with torch.no_grad():
        model(_image((15, 22)))  # 330 pixels, in windows of three rows
        assert len(num_given_back) == 1 + 3
        model(_image((12, 20)))
        assert len(num_given_back) == 1 + 3


def test_coarse_logits_of_large_images_are_enlarged_class_by_class(monkeypatch):
    net = _network(2)
    model = misure.SegmentationModel(lambda images: nn.functional.avg_pool2d(net(images), 4))
    image = _image((32, 48))
    with torch.no_grad():
        whole = model(image)
        monkeypatch.setattr("misure.models.model.MOST_NUMBERS", 1)
        for k in range(4):
            ((logits, place),) = model.deciding_logits(image, [k])
            assert logits.shape[1] == (2 if k in (0, 3) else 3)
            assert torch.equal(class_margin(logits, place, False), class_margin(whole, k, False))


class Averaged(nn.Module):
    """Probabilities, of which the mean counts, not that of their logarithms."""

    def __init__(self, num_classes):
        super().__init__()
        self.net = _network(2, num_classes)

    def forward(self, images):
        logits = 20 * self.net(images)
        return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


@pytest.mark.parametrize("num_classes", [1, 4])
def test_probabilities_are_averaged_as_they_are(num_classes):
    inferers = pytest.importorskip("monai.inferers")
    net, image = Averaged(num_classes).eval(), _image((15, 22))
    model = toys.model_of(net, window=(8, 10), probabilities=True)
    with torch.no_grad():
        expected = inferers.SlidingWindowInferer((8, 10), 1, overlap=0.5)(image, net)
        logits = model(image)
        index = min(2, num_classes)
        ((decided, place),) = model.deciding_logits(image, [index])
    found = logits.softmax(1)[:, 1:] if num_classes == 1 else logits.softmax(1)
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.equal(class_margin(decided, place, False), class_margin(logits, index, False))


class Counting(nn.Module):
    """Counts its windows, and needs their surroundings: bright pixels beside bright ones."""

    def __init__(self):
        super().__init__()
        self.shown = 0

    def forward(self, images):
        self.shown += len(images)
        near = nn.functional.avg_pool3d(images[:, :1], 5, 1, 2)
        own = 10 * (images[:, :1] + near - 0.9)
        return torch.cat([-own, own, own - 5 * near], 1)


def _cube(side=32):
    image = torch.zeros(1, side, side, side)
    image[0, 5:13, 4:12, 6:14] = 1.0
    image[0, 24:28, 24:28, 24:28] = 0.3
    return image


def test_kept_outputs_are_those_of_the_network():
    model, image = misure.SegmentationModel(Counting(), window=16), _cube()[None]
    changed = image.clone()
    changed[..., 20:, 20:, 20:] = 0.7
    with torch.no_grad():
        expected = [model(each) for each in (image, changed)]
        model.net.shown = 0
        with model.borrowed():
            found = [model(each) for each in (image, changed, image)]
    assert [each.numpy().tobytes() for each in found] == [
        each.numpy().tobytes() for each in (*expected, expected[0])
    ]
    assert model.net.shown < 27 + 8 + 1  # the blank windows once, then those that changed


@pytest.mark.slow
def test_kept_outputs_save_windows_and_change_no_byte():
    image, results, shown = _cube(), {}, {}
    for kept_mb in (0, 100):
        net = Counting()
        model = misure.SegmentationModel(net, window=Windows(size=16, kept_mb=kept_mb))
        target = misure.predicted_target(model, image, 1)
        net.shown = 0
        found = misure.explain(model, image, target, max_passes=60)
        results[kept_mb], shown[kept_mb] = found, net.shown
    plain, kept = results[0], results[100]
    assert torch.equal(kept.sufficient_region, plain.sufficient_region)
    assert torch.equal(kept.minimally_sufficient_region, plain.minimally_sufficient_region)
    assert kept.saliency_map.numpy().tobytes() == plain.saliency_map.numpy().tobytes()
    assert _without_seconds(kept.record()) == _without_seconds(plain.record())
    assert shown[0] == 27 * plain.cost.forward_passes
    assert shown[100] < 0.7 * shown[0]


def _without_seconds(record):
    record.pop("cost")
    return record


def test_kept_memory_is_bounded_and_freed():
    net = Counting()
    model = misure.SegmentationModel(net, window=Windows(size=16, kept_mb=0.2))
    with torch.no_grad(), model.borrowed():
        for seed in range(4):
            model(torch.rand(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(seed)))
            sizes = [kept.num_bytes for kept in model._kept._kept.values()]
            assert 0 < sum(sizes) <= 200_000
            assert sum(sizes) == model._kept._num_bytes
    assert not model._kept._kept


def test_another_network_does_not_get_the_kept_outputs():
    image = _cube()[None]
    model = misure.SegmentationModel(Counting(), window=16)
    with torch.no_grad(), model.borrowed():
        before = model(image)
        other = model.with_network(lambda images: -Counting()(images))
        assert torch.allclose(other(image), -before)


def test_windows_without_judged_pixels_are_left_out():
    net, image = Counting(), _cube()[None]
    model = misure.SegmentationModel(net, window=Windows(size=16, overlap=0.0, kept_mb=0))
    judged = torch.zeros(1, 32, 32, 32, dtype=torch.bool)
    judged[0, :10, 20:, :10] = True
    with torch.no_grad():
        ((whole, _),) = model.deciding_logits(image, [1])
        net.shown = 0
        ((part, _),) = model.deciding_logits(image, [1], judged)
    assert net.shown == 2  # the first window and the one that holds the judged pixels
    assert torch.equal(part[:, :, judged[0]], whole[:, :, judged[0]])


def test_small_and_whole_windows():
    net = _network(2)
    with torch.no_grad():
        image = _image((15, 22))
        logits = toys.model_of(net, window=(0, 22))(image)
        assert torch.allclose(logits, net(image), atol=2e-6)
        by_rows = toys.model_of(net, window=(8, 0))
        assert by_rows.windows.starts((15, 22)) == [[0, 4, 7], [0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": "large"}, "expected window as one number"),
        ({"window": 8, "overlap": 1.0}, "expected overlap of 0 or more"),
        ({"window": 8, "window_weights": "cone"}, "constant, gaussian, got 'cone'"),
        ({"window": 8, "window_rule": "torch"}, "monai, nnunet, got 'torch'"),
        ({"window": 8, "border_px": 2}, "expected border_px or window"),
        ({"max_side": 0}, "expected max_side of 1 or more"),
    ],
)
def test_other_windows_are_refused(options, message):
    with pytest.raises(misure.InputError, match=message):
        toys.model_of(_network(2), **options)


def test_a_window_of_other_axes_and_class_numbers_are_refused():
    with pytest.raises(misure.InputError, match="expected a window of 2 numbers"):
        toys.model_of(_network(2), window=(8, 8, 8))(_image((15, 22)))
    numbers = misure.SegmentationModel(
        lambda images: (images[:, 0] > 0.5).long(), window=8, num_classes=2
    )
    with pytest.raises(misure.ModelError, match="have no mean"):
        numbers(_image((15, 22)))


def test_settings_say_how_windows_lie():
    settings = toys.model_of(_network(2), window=[8, 10], window_rule="nnunet").settings()
    names = ("window", "overlap", "window_weights", "window_rule", "window_padding")
    assert [settings[name] for name in names] == [[8, 10], 0.5, "constant", "nnunet", "constant"]
    again = toys.model_of(_network(2), **{name: settings[name] for name in names})
    assert again.windows == Windows(size=(8, 10), rule="nnunet")
    assert toys.model_of(_network(2)).settings()["window"] is None


def test_options_of_the_command_line_reach_the_model():
    given = ("window=64,48", "overlap=0.25", "window_weights=gaussian", "max_side=200")
    model = misure.load_model("triangle", device="cpu", **option_settings(None, None, given))
    assert model.windows == Windows(size=(64, 48), overlap=0.25, weights="gaussian")
    assert model.preprocessing.max_side == 200


def test_activation_maps_refuse_windows():
    model = toys.model_of(_network(2), window=8)
    target = misure.predicted_target(model, _image((15, 22))[0], 0)
    with pytest.raises(misure.InputError, match="sees one window after the other"):
        misure.METHODS["seg_grad_cam"](model, _image((15, 22))[0], target)


def test_a_pass_that_takes_long_is_said(monkeypatch):
    monkeypatch.setattr("misure.models.long_passes._MANY_WINDOWS", 4)
    monkeypatch.setattr("misure.models.long_passes._LONG_S", 1e-9)
    with pytest.warns(MisureWarning, match=r"15 × 22 px \(4 classes, in \d+ windows\) takes about"):
        toys.model_of(_network(2), window=8)(_image((15, 22)))
    monkeypatch.setattr("misure.models.long_passes._MANY_NUMBERS", 1000)
    with pytest.warns(MisureWarning, match="say max_side=2048"):
        toys.model_of(_network(2), input_size=(9, 12))(_image((15, 22)))
    with pytest.warns(MisureWarning, match="To save time explain a crop of it"):
        toys.model_of(_network(2), max_side=12)(_image((15, 22)))


def test_large_images_are_looked_at_as_the_network_sees_them(monkeypatch):
    seen = []

    def net(images):
        seen.append(tuple(images.shape))
        return torch.cat([-images, images], 1)

    monkeypatch.setattr("misure.models.model._LARGE", 100)
    model = misure.SegmentationModel(net, input_size=(9, 12))
    image = torch.rand(1, 1, 30, 40) - 0.5
    assert model(image).shape == (1, 2, 30, 40)
    assert model.differentiable
    assert {shape[1:] for shape in seen} == {(1, 9, 12)}


def test_larger_images_are_shown_smaller_and_logits_come_back():
    seen = []

    def net(images):
        seen.append(tuple(images.shape[2:]))
        return torch.cat([-images, images], 1)

    model = misure.SegmentationModel(net, max_side=20, differentiable=False)
    image = torch.zeros(1, 1, 30, 40)
    image[..., 10:20, 16:32] = 1
    image -= 0.5
    logits = model(image)
    assert logits.shape == (1, 2, 30, 40)
    assert set(seen) == {(15, 20)}
    assert (class_region(logits, 1, False)[0] == (image[0, 0] > 0)).float().mean() > 0.97
    seen.clear()
    model(image[..., :20, :20])
    assert set(seen) == {(20, 20)}


def test_a_network_in_training_mode_is_given_back_before_a_later_backward_pass():
    net = toys.random_network(0).train()
    model = toys.model_of(net, window=(8, 8))
    image = _image((15, 12)).requires_grad_()
    logits = model(image)
    assert net.training
    logits[:, 1].sum().backward()
    assert net.training
    again = image.detach().clone().requires_grad_()
    frozen = toys.model_of(net.eval(), window=(8, 8))
    frozen(again)[:, 1].sum().backward()
    assert torch.equal(image.grad, again.grad)


def test_a_network_without_gradients_is_found_out():
    def net(images):
        with torch.no_grad():
            return torch.cat([-images, images], 1)

    model = misure.SegmentationModel(net, window=8)
    with pytest.warns(MisureWarning, match="gives no gradients"):
        model(torch.rand(1, 1, 15, 22) - 0.5)
    assert not model.differentiable


def test_a_window_with_a_side_below_0_is_refused():
    with pytest.raises(misure.InputError, match="none below 0"):
        Windows(size=(8, -3))


@pytest.mark.parametrize("window", [None, Windows(size=4)])
def test_what_windows_are_like_needs_a_window(window):
    with pytest.raises(InputError, match="beside overlap, got 0.25 alone"):
        misure.SegmentationModel(lambda x: x, window=window, overlap=0.25)


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize(("num_classes", "probabilities"), [(4, False), (1, False), (3, True)])
def test_regions_are_those_of_the_logits(num_classes, probabilities, multilabel):
    net, image = _network(3, num_classes), _image((14, 9, 17))
    squash = torch.sigmoid if multilabel or num_classes == 1 else lambda x: x.softmax(1)
    model = toys.model_of(
        (lambda x: squash(net(x))) if probabilities else net, window=6, multilabel=multilabel,
        probabilities=probabilities,
    )  # fmt: skip
    with torch.no_grad():
        logits = model(image)
    for k in range(logits.shape[1]):
        with model.counting() as cost:
            (region,) = model.predicted_regions(image, [k])
        expected = class_region(logits, k, multilabel)[0]
        assert region.dtype == torch.bool
        assert torch.equal(region, expected)
        assert cost.forward_passes == 1
    judged = torch.zeros(1, 14, 9, 17, dtype=torch.bool)
    judged[0, :3, :3, 12:] = True
    (region,) = model.predicted_regions(image, [0], judged)
    expected = class_region(logits, 0, multilabel)[0]
    assert torch.equal(region[judged[0]], expected[judged[0]])


def test_how_long_an_explanation_takes_is_known_before_its_first_pass():
    model = toys.model_of(_network(2), window=8)
    assert time_needed(model, (15, 22), 25) is None
    model.examine(_image((15, 22)))
    model.seconds_of_window = 2.0
    num = model.windows.num_windows((15, 22))
    assert time_needed(model, (15, 22), 25) == (
        f"a pass shows {num} windows and takes up to {2 * num} s; this explanation takes about 25 "
        f"passes, up to {round(50 * num / 60)} min; windows that are known already are not shown "
        "again."
    )
    assert time_needed(model, (8, 8), 25) is None
    assert time_needed(toys.model_of(_network(2)), (15, 22), 25) is None
    assert [words_of_time(s) for s in (4.2, 119, 5400)] == ["4 s", "2 min", "1.5 hours"]


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("options", [{}, {"size_divisor": 32}, {"max_side": 64}])
def test_only_rivals_that_decide_are_enlarged(options, multilabel, monkeypatch):
    monkeypatch.setattr("misure.models.model.MOST_NUMBERS", 1)
    generator = torch.Generator().manual_seed(4)
    image = torch.rand(1, 2, 96, 136, generator=generator)
    image[..., 40:] *= 0.2
    weight = torch.randn(9, 2, 8, 8, generator=generator)
    model = toys.model_of(
        lambda x: nn.functional.conv2d(x, weight, stride=8), multilabel=multilabel,
        num_classes=9, channels_last=False, **options,
    )  # fmt: skip
    with torch.no_grad():
        logits = model(image)
    classes = set(logits.argmax(1).unique().tolist())
    assert len(classes) > 1
    for k in range(9):
        (region,) = model.predicted_regions(image, [k])
        assert torch.equal(region, class_region(logits, k, multilabel)[0])


def test_a_rival_that_leads_only_between_two_numbers_counts():
    coarse = torch.tensor([[10.0, 0], [0, 10], [6, 6], [-9, -9]])
    logits = coarse[None, :, None].expand(1, 4, 6, 2).contiguous()
    rivals, may_win = near_rivals(logits, 2)
    assert rivals == [0, 1]
    assert may_win.all()
    rivals, may_win = near_rivals(logits, 3)
    assert not rivals
    assert not may_win.any()


def test_rivals_far_from_the_class_are_not_enlarged(monkeypatch):
    monkeypatch.setattr("misure.models.model.MOST_NUMBERS", 1)
    coarse = torch.full((1, 21, 20, 40), -5.0)
    coarse[:, 0] = 5
    coarse[:, 7] = 0
    coarse[:, 7, 4:9, 6:11] = 10
    coarse[:, 9, 4:9, 11:16] = 8
    coarse[:, 3, 10:, 25:] = 8
    model = toys.model_of(lambda x: coarse)
    image, enlarged_classes = torch.rand(1, 1, 160, 320), []
    with torch.no_grad():
        logits = model(image)
    to_image = type(model.preprocessing).to_image

    def counted(self, given, spatial):
        enlarged_classes.append(given.shape[1])
        return to_image(self, given, spatial)

    monkeypatch.setattr("misure.models.preprocessing.Preprocessing.to_image", counted)
    (region,) = model.predicted_regions(image, [7])
    assert torch.equal(region, class_region(logits, 7, False)[0])
    assert len(enlarged_classes) <= 5  # of 21: itself, where it may win, and three rivals
