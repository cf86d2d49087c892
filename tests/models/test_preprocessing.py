"""From the image to the network's inputs and back: padding, windows, order of channels."""

import pytest
import torch

import misure
from misure.models.preprocessing import Placement, Preprocessing, make_preprocessing

RAMP = torch.linspace(0, 1, 40).expand(1, 3, 30, 40).contiguous()


def laid(**placement):
    return Preprocessing(layout=lambda spatial: Placement(**placement))


def test_padding_on_both_sides_is_cut_off_again():
    used = laid(resized=(30, 40), input_shape=(32, 48), corners=((-1, -5),), padding=(1, 2, 3))
    inputs = used.to_input(RAMP)
    assert torch.allclose(inputs[..., 1:31, 5:45], RAMP, atol=1e-6)
    assert inputs[0, :, 0, 0].tolist() == inputs[0, :, -1, -1].tolist() == [1, 2, 3]
    assert torch.allclose(used.to_image(inputs, (30, 40)), RAMP, atol=1e-6)
    assert used.input_shape((30, 40)) == (32, 48)


def test_windows_are_put_side_by_side_and_overlaps_averaged():
    used = laid(resized=(30, 40), input_shape=(30, 24), corners=((0, 0), (0, 16)))
    images = torch.cat([RAMP, 1 - RAMP])
    inputs = used.to_input(images)
    assert torch.equal(inputs[:2, :, 0], torch.stack([RAMP[0, :, 0, :24], RAMP[0, :, 0, 16:]]))
    assert torch.allclose(used.to_image(inputs, (30, 40)), images)
    logits = torch.stack([torch.zeros(3, 30, 24), torch.ones(3, 30, 24)] * 2)
    back = used.to_image(logits, (30, 40))[0, 0, 0]
    assert back.tolist() == [0.0] * 16 + [0.5] * 8 + [1.0] * 16
    assert used.placement((30, 40)).num_pixels == 2 * 30 * 24


def test_a_model_of_windows_counts_images_and_keeps_their_number():
    model = misure.SegmentationModel(
        torch.nn.Identity(),
        probabilities=False,
        preprocessing=laid(resized=(30, 40), input_shape=(30, 24), corners=((0, 0), (0, 16))),
    )
    images = torch.cat([RAMP, 1 - RAMP]).requires_grad_()
    with model.counting() as cost:
        logits = model(images)
    assert torch.allclose(logits, images)
    assert cost.forward_passes == 2
    logits[..., 20].sum().backward()
    assert images.grad[..., 20].min() > 0


def test_channels_are_normalised_in_the_order_of_the_image():
    used = Preprocessing(mean=(0.1, 0.2, 0.3), std=(1, 2, 4), channels=(2, 1, 0))
    seen = used.to_input(torch.tensor([0.5, 0.6, 0.7]).view(1, 3, 1, 1)).flatten()
    assert seen.tolist() == pytest.approx([0.1, 0.2, 0.4])


def test_what_is_given_takes_the_place_of_what_is_known():
    known = Preprocessing(mean=(0.5,), std=(0.25,), layout=lambda spatial: None, levels=255)
    used = make_preprocessing(0.3, None, None, 1, known=known)
    assert (used.mean, used.std, used.layout) == ((0.3,), (0.25,), known.layout)
    used = make_preprocessing(None, None, 20, 1, known=known)
    assert (used.mean, used.input_size, used.layout) == ((0.5,), 20, None)
    with pytest.raises(misure.InputError, match="expected preprocessing as a Preprocessing"):
        misure.SegmentationModel(torch.nn.Identity(), preprocessing="none")
    with pytest.raises(misure.InputError, match="expected an interpolation among linear, near"):
        Preprocessing(interpolation="cubic")


def test_the_long_side_is_cut_to_whole_pixels_as_torchvision_does():
    assert Preprocessing(input_size=520).resized_shape((427, 641)) == (520, 780)
    assert Preprocessing(input_size=520).resized_shape((640, 427)) == (779, 520)
