"""A promptable network whose masks are known exactly, and a picture for it."""

import torch

import misure
from misure.models.preprocessing import Preprocessing
from misure.models.prompted import Masks, PromptableNetwork, as_prompt_preprocessing

RADIUS = 8


class Nearby(PromptableNetwork):
    """Draws bright pixels: those near any point, or in the box; or, as a second mask, all of them.

    The second mask scores best for points in row 0.
    """

    kinds = ("point", "box")
    num_masks = 2
    refusal = "Say point:R,C."

    def __init__(self):
        super().__init__()
        self.num_embedded = 0

    def encode(self, prompts, spatial, placement):
        return prompts

    def embed(self, inputs):
        self.num_embedded += len(inputs)
        return 10 * (inputs.mean(1) - 0.5)

    def decode(self, embedded, encoded, *, single=False):
        each = [torch.stack([self._near(embedded, prompt), embedded], dim=1) for prompt in encoded]
        first = [0.3 if any(row == 0 for row, _ in prompt.points) else 0.9 for prompt in encoded]
        scores = torch.tensor([[score, 0.5] for score in first]).expand(len(embedded), -1, -1)
        logits = torch.stack(each, dim=1)
        return Masks(logits[:, :, :1], scores[:, :, :1]) if single else Masks(logits, scores)

    @staticmethod
    def _near(embedded, prompt):
        rows, columns = (torch.arange(side).float() for side in embedded.shape[1:])
        near = torch.zeros(embedded.shape[1:], dtype=torch.bool)
        for row, column in prompt.points:
            near |= torch.hypot(rows[:, None] - row, columns - column) <= RADIUS
        if prompt.box is not None:
            top, left, bottom, right = prompt.box
            near = (
                ((rows >= top) & (rows < bottom))[:, None] & (columns >= left) & (columns < right)
            )
        return torch.where(near, embedded, -5.0)


def nearby():
    """The network as a model, without prompts."""
    return misure.SegmentationModel(
        Nearby(), preprocessing=as_prompt_preprocessing(Preprocessing()), name="nearby"
    )


def two_squares():
    """An image (1, 30, 44), dark but for squares at rows and columns 6 to 13, and 30 to 39."""
    image = torch.full((1, 30, 44), 0.1)
    image[:, 6:14, 6:14] = 0.9
    image[:, 8:18, 30:40] = 0.9
    return image
