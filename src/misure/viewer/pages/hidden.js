// What is hidden in "what if", as a canvas of each view; only what a stroke touches is repainted.

import { canvas } from "./pictures.js";
import { cut, sliceOf } from "./planes.js";
import { state } from "./state.js";

const GREY = 0xff7c7670; // alpha, blue, green, red

let version = 0; // of what is hidden

// All views are to be painted anew.
export function repaint() {
  version += 1;
}

// A stroke has changed a box of the slice of one view, and what others show of it.
export function touch(view, box) {
  const wasKnown = view.hiddenKey === keyOf(view);
  version += 1;
  if (!wasKnown) return;
  const { dirty = box } = view;
  view.dirty = {
    top: Math.min(dirty.top, box.top), left: Math.min(dirty.left, box.left),
    bottom: Math.max(dirty.bottom, box.bottom), right: Math.max(dirty.right, box.right),
  };
  view.hiddenKey = keyOf(view);
}

function keyOf(view) {
  return `${state.image.number}/${sliceOf(view.plane, state.position)}/${version}`;
}

// The hidden pixels of the slice of a view, a canvas.
export function hiddenPicture(view, shown) {
  const { plane } = view;
  const isKnown = view.hiddenKey === keyOf(view);
  if (isKnown && !view.dirty) return view.hidden;
  view.hidden ??= canvas(plane.width, plane.height);
  const all = { top: 0, left: 0, bottom: plane.height, right: plane.width };
  paintBox(view, shown, isKnown ? view.dirty : all);
  view.dirty = undefined;
  view.hiddenKey = keyOf(view);
  return view.hidden;
}

function paintBox(view, shown, box) {
  const width = box.right - box.left;
  const height = box.bottom - box.top;
  if (width <= 0 || height <= 0) return;
  const pixels = cut(shown, view.plane, sliceOf(view.plane, state.position), box);
  const image = new ImageData(width, height);
  const colours = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) {
    if (!pixels[i]) colours[i] = GREY;
  }
  view.hidden.getContext("2d").putImageData(image, box.left, box.top);
}
