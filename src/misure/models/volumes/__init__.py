"""Preparing volumes for a network: turned, resampled, cropped and scaled, and logits brought back.

    image, affine -> parts, each bound to the image -> StepsPreprocessing

A *part* says what to do in words (`Orientation("RAS")`, `Spacing((1, 1, 1))`,
`Intensity("zscore")`). Bound to an image and its affine it becomes a *step*: a differentiable
function of tensors with every number fixed, which also brings logits back to the pixels that it
got. Resampling is that of MONAI's `Spacingd`, and edges are continued.
"""
