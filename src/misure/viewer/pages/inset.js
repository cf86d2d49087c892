// A small picture beside the image: what the network saw in "what if", and what it drew.

import { View } from "./canvas.js";
import { DRAWN, TARGET } from "./colours.js";
import { labelsOf, whatIfMask, whatIfPicture } from "./layers.js";
import { sliceOf } from "./planes.js";
import { mainView } from "./stage.js";
import { state } from "./state.js";

const SIDE_PX = 640;

const part = (name) => document.getElementById(name);

let inset = null;

export function drawInset() {
  const answer = state.whatIf;
  const isSeen = answer && state.mode === "what-if";
  part("inset").parentElement.hidden = !isSeen;
  const view = mainView();
  if (!isSeen || !view) return;
  const { plane } = view;
  if (inset?.plane !== plane) inset = { plane, view: new View(plane, () => []) };
  inset.view.draw = drawInset; // called again when the pictures are there
  const picture = whatIfPicture(inset.view, answer);
  const mask = whatIfMask(inset.view, answer);
  if (!picture || !mask) return;
  paintInset(part("inset"), plane, picture, mask, view);
  const where = plane.axis === null ? "" : `, ${plane.label} slice ${sliceOf(plane, state.position) + 1}`;
  part("inset-text").textContent = `What the network saw${where}, and what it drew (yellow); `
    + "the target (orange).";
}

function paintInset(element, plane, picture, mask, view) {
  const unit = Math.min(...plane.cell);
  const [high, wide] = [plane.height * plane.cell[0], plane.width * plane.cell[1]];
  const scale = SIDE_PX / Math.max(high, wide);
  element.width = Math.round(wide * scale);
  element.height = Math.round(high * scale);
  const context = element.getContext("2d");
  context.imageSmoothingEnabled = scale * unit < 2;
  context.drawImage(picture, 0, 0, element.width, element.height);
  const matrix = new DOMMatrix([scale * plane.cell[1], 0, 0, scale * plane.cell[0], 0, 0]);
  const target = labelsOf(view)?.pathOf(state.whatIf.object + 1);
  for (const [path, colour] of [[target, TARGET], [mask.path, DRAWN]]) {
    if (path) stroked(context, path, matrix, colour);
  }
}

function stroked(context, path, matrix, colour) {
  const placed = new Path2D();
  placed.addPath(path, matrix);
  for (const [width, style] of [[5, "rgb(0 0 0 / 0.65)"], [3, colour]]) {
    context.lineWidth = width;
    context.strokeStyle = style;
    context.stroke(placed);
  }
}
