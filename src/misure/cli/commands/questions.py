"""What `misure explain` does for each question, and what it then says."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from misure._util.records import plain
from misure._util.words import counted
from misure.cli.terminal import summary, table
from misure.errors import InputError
from misure.explanation.answers.channel_effects import ChannelEffects
from misure.explanation.answers.channel_regions import USUAL_PASSES, channel_regions
from misure.explanation.answers.channels import FILLS, channel_effects
from misure.explanation.answers.hidden import HiddenRegion
from misure.explanation.answers.hide import blocking_region, necessary_region
from misure.explanation.answers.leverage import leverage
from misure.explanation.answers.prompt_sensitivity import prompt_sensitivity
from misure.explanation.answers.stability import stability_of
from misure.explanation.answers.whole import answer
from misure.explanation.explain import explain
from misure.explanation.explanation import Explanation
from misure.explanation.presentation import presentation_of
from misure.explanation.robust.measured import check_askable
from misure.images.orientation import ViewingOrder
from misure.images.volume_file import VolumeFile
from misure.models.model import SegmentationModel
from misure.models.prompted import prompts_of
from misure.models.segmentation import Segmentation
from misure.models.target import Target
from misure.reports.explanation_picture import PictureOptions
from misure.reports.folders import (
    save_answer,
    save_channels,
    save_hidden,
    save_leverage,
    save_prompt_sensitivity,
    save_result,
)

_OF_SHOWING = ("sufficient", "complete")
_OF_PROMPT = ("num_prompts", "shift_px", "spreads", "seed")
_MOST_ROWS = 20
_OF_CHANNELS = ("baseline_image", "num_draws", "max_passes", "channels", "seed", "spacing_mm")
_OF_LEVERAGE = ("num_parts", "baseline_image", "edge_px", "max_passes", "seed", "spacing_mm")


def check_options(
    question: str,
    options: dict[str, Any],
    lost_dice: float,
    robust: float | None,
    stability: bool,
    other_image: Path | None,
) -> None:
    """Raises an InputError for options that mean nothing for a question."""
    if other_image is not None and question not in _OF_SHOWING:
        raise InputError(
            f"expected --other-image with --question sufficient or complete, got --question "
            f"{question}: nothing is shown in the outline of what is hidden."
        )
    if stability and question not in _OF_SHOWING:
        raise InputError(
            f"expected --stability with --question sufficient or complete, got --question "
            f"{question}."
        )
    if "robust" in options:
        raise InputError("expected --robust SHARE, got the option robust.")
    if question == "complete":
        if "max_hidden_dice" in options:
            raise InputError("expected --lost-dice with --question complete, got max_hidden_dice.")
        if not 0 <= lost_dice < 1:
            raise InputError(f"expected --lost-dice of at least 0 and below 1, got {lost_dice}.")
    if robust is not None:
        check_askable(robust)
    own = {"leverage": _OF_LEVERAGE, "channels": _OF_CHANNELS, "prompt": _OF_PROMPT}.get(
        question, ()
    )
    if own and robust is not None:
        raise InputError(
            f"expected no --robust with --question {question}, which asks for no share of baseline "
            "images."
        )
    if question == "channels" and _are_apart(options):
        return  # the other options are those of an explanation
    if own and (other := [name for name in options if name not in own]):
        raise InputError(
            f"expected no options but {', '.join(own[:4])} with --question {question}, got "
            f"{other[0]}."
        )


def _are_apart(options: dict[str, Any]) -> bool:
    """Whether regions by channel are asked for, by `channels=apart`."""
    channels = options.get("channels", "together")
    if channels not in ("together", "apart"):
        raise InputError(f"expected channels=together or channels=apart, got {channels!r}.")
    return bool(channels == "apart")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An object of an image, and how a question about it is answered.

    Attributes:
        model, segmentation, target: what was drawn, or missed.
        image: path of the image, or of its channels with commas between them.
        volume: that the image is, or is a slice of, opened; None for other images.
        pixels: (C, *spatial) float.
        order: how to lay out a volume in pictures.
        slice_index: the slice that was taken of a volume.
        dice_threshold, lost_dice, robust: as of `answer`.
        drawn_dice: as of `blocking_region`.
        stability: whether an object is explained again after small changes.
        options: all other arguments of `explain`.
        pictures: which are written, and how.
    """

    model: SegmentationModel
    segmentation: Segmentation
    image: Path
    volume: VolumeFile | None
    pixels: Tensor
    target: Target
    order: ViewingOrder
    slice_index: int | None
    dice_threshold: float
    lost_dice: float
    drawn_dice: float
    robust: float | None
    stability: bool
    options: dict[str, Any]
    pictures: PictureOptions

    def answer(self, question: str, folder: Path, out: Path) -> str:
        """Answers a question, writes the files, and returns what to print.

        Args:
            question: as of `misure explain`.
            folder: where to write.
            out: what that folder will be called.
        """
        if question in _OF_SHOWING:
            return self._answer_sufficient(question, folder, out)
        if question == "all":
            return self._answer_all(folder, out)
        if question == "leverage":
            return self._answer_leverage(folder, out)
        if question == "prompt":
            return self._answer_prompt(folder, out)
        if question == "channels":
            return self._answer_channels(folder, out)
        return self._answer_hidden(question, folder, out)

    def _answer_sufficient(self, question: str, folder: Path, out: Path) -> str:
        options = self._search_options | {"dice_threshold": self.dice_threshold}
        if question == "complete":
            options["max_hidden_dice"] = self.lost_dice
        explanation = explain(*self._subject, **options)
        record = self._save(explanation, folder).values
        return "\n".join(
            [
                *self._stability(explanation, options, folder),
                summary(record, f"{out}/overview.{self.pictures.kind}"),
            ]
        )

    def _stability(
        self, explanation: Explanation, options: dict[str, Any], folder: Path
    ) -> list[str]:
        """Measures and writes how far the region stays, if that is asked for, and says it."""
        if not self.stability:
            return []
        found = stability_of(
            *self._subject,
            explanation=explanation,
            **options,
        )
        (folder / "stability.json").write_text(json.dumps(plain(found), indent=2) + "\n")
        left_out = [f"Not explained again: {name}: {why}" for name, why in found.left_out.items()]
        return [
            f"{found.note} ({counted(found.passes, 'pass equivalent')} more)".lstrip(),
            *left_out,
        ]

    def _answer_leverage(self, folder: Path, out: Path) -> str:
        options = {name: self.options[name] for name in _OF_LEVERAGE if name in self.options}
        found = leverage(*self._subject, **options)
        save_leverage(
            found,
            self.pixels,
            folder,
            image=str(self.image),
            order=self.order,
            volume=self._whole_volume(),
            pictures=self.pictures,
        )
        return (
            f"{found.sentence()}\n{counted(found.cost.pass_equivalents, 'pass equivalent')} in "
            f"{found.cost.seconds:.0f} s; see {out}/leverage.{self.pictures.kind}"
        )

    def _answer_prompt(self, folder: Path, out: Path) -> str:
        prompts = prompts_of(self.segmentation.model)
        if not prompts:
            raise InputError(
                "expected --prompt with --question prompt, got none. Say --prompt point:R,C or "
                "box:R0,C0,R1,C1."
            )
        names = ("num_prompts", "shift_px", "spreads", "seed")
        options = {name: self.options[name] for name in names if name in self.options}
        prompt = prompts[self.target.class_index]
        found = prompt_sensitivity(self.model, self.pixels, prompt, **options)
        save_prompt_sensitivity(
            found, self.pixels, folder, image=str(self.image), pictures=self.pictures
        )
        return (
            f"{found.sentence()}\n{counted(found.cost.pass_equivalents, 'pass equivalent')} in "
            f"{found.cost.seconds:.0f} s; see {out}/prompt.{self.pictures.kind}"
        )

    def _answer_channels(self, folder: Path, out: Path) -> str:
        apart, options = _are_apart(self.options), {**self.options}
        options.pop("channels", None)
        shared = {name: options[name] for name in ("seed", "spacing_mm", "on_step")}
        threshold, most = self.dice_threshold, options.pop("max_passes", None)
        effects = channel_effects(
            *self._subject,
            dice_threshold=threshold,
            baseline_image=options.get("baseline_image", FILLS),
            num_draws=options.pop("num_draws", 1),
            max_passes=most // 2 if most and apart else most,
            **shared,
        )
        passes, regions = effects.cost.pass_equivalents, None
        if apart:
            left = USUAL_PASSES if most is None else most - passes
            regions = channel_regions(
                *self._subject, dice_threshold=threshold, max_passes=left, **options
            )
            passes += regions.cost.pass_equivalents
        save_channels(
            effects,
            self.pixels,
            folder,
            regions=regions,
            image=str(self.image),
            order=self.order,
            volume=self._whole_volume(),
            pictures=self.pictures,
        )
        said = effects.sentences() + ([regions.sentence()] if regions else [])
        seconds = effects.cost.seconds + (regions.cost.seconds if regions else 0)
        spent = (
            f"{counted(passes, 'pass equivalent')} in {seconds:.0f} s; see "
            f"{out}/channels.{self.pictures.kind}"
        )
        return "\n".join([*said, _channels_table(effects), spent])

    def _answer_hidden(self, question: str, folder: Path, out: Path) -> str:
        if question == "blocking":
            hidden = blocking_region(
                *self._subject, drawn_dice=self.drawn_dice, **self._search_options
            )
        else:
            hidden = necessary_region(
                *self._subject,
                lost_dice=self.lost_dice,
                outside_target=question == "surroundings",
                **self._search_options,
            )
        self._save_hidden(hidden, question, folder)
        cost = hidden.cost
        spent = f"{counted(cost.pass_equivalents, 'pass equivalent')} in {cost.seconds:.0f} s"
        lines = [hidden.sentence, hidden.classes_sentence, *hidden_notes(hidden)]
        lines.append(f"{spent}; see {out}/{question}.{self.pictures.kind}")
        return "\n".join(line for line in lines if line)

    @property
    def _search_options(self) -> dict[str, Any]:
        return self.options if self.robust is None else self.options | {"robust": self.robust}

    @property
    def _subject(self) -> tuple[SegmentationModel, Tensor, Target]:
        return self.model, self.pixels, self.target

    def _answer_all(self, folder: Path, out: Path) -> str:
        found = answer(
            *self._subject,
            dice_threshold=self.dice_threshold,
            lost_dice=self.lost_dice,
            robust=self.robust,
            **self.options,
        )
        self._save(found.explanation, folder)
        for name in ("necessary", "surroundings"):
            if (hidden := getattr(found, name)) is not None:
                self._save_hidden(hidden, name, folder)
        save_answer(found, folder)
        parts = ", ".join(f"{name} {passes}" for name, passes in found.passes.items())
        total = sum(found.passes.values())
        overview = f"{out}/overview.{self.pictures.kind}"
        return "\n".join(
            [
                *found.sentences(),
                f"{counted(total, 'pass equivalent')} ({parts}); see {overview}",
            ]
        )

    def _save(self, explanation: Explanation, folder: Path) -> Explanation:
        explanation = explanation.with_values(image=str(self.image), slice_index=self.slice_index)
        save_result(
            explanation,
            presentation_of(self.model, self.pixels, explanation.values),
            self.segmentation,
            folder,
            order=self.order,
            volume=self.volume,
            pictures=self.pictures,
        )
        return explanation

    def _save_hidden(self, hidden: HiddenRegion, name: str, folder: Path) -> None:
        save_hidden(
            hidden.with_values(image=str(self.image)),
            name,
            self.model,
            presentation_of(self.model, self.pixels, hidden.values),
            folder,
            order=self.order,
            volume=self._whole_volume(),
            pictures=self.pictures,
        )

    def _whole_volume(self) -> VolumeFile | None:
        return self.volume if self.slice_index is None else None


def _channels_table(effects: ChannelEffects) -> str:
    rows = [
        [effect.name, f"{effect.effect:.2f}", f"{effect.dice:.2f}", f"{effect.dice_alone:.2f}"]
        for effect in effects.effects[:_MOST_ROWS]
    ]
    return table(["channel", "effect", "Dice hidden", "Dice alone"], rows)


def hidden_notes(hidden: HiddenRegion) -> list[str]:
    """What is known of a hidden region besides: other baseline images, small changes.

    Args:
        hidden: what was found.
    """
    values, notes = hidden.values, []
    for title, dices in (
        ("on other baseline images", values.dice_on_other_baseline_images),
        ("under small changes", values.dice_under_small_changes),
    ):
        if dices:
            notes.append(
                f"{title}: Dice " + ", ".join(f"{name} {dice:.2f}" for name, dice in dices.items())
            )
    if values.minimality and values.minimality.removable:
        notes.append(
            f"{values.minimality.removable} of {values.minimality.cells_tested} tested blocks need "
            "not be hidden."
        )
    return notes
