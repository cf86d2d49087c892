// The size of the brush, and how deep it paints.

import { on, set, state } from "./state.js";

const MOST = 0.5; // of the image's longer side
const FIRST = 1 / 12;

const part = (name) => document.getElementById(name);

function most() {
  return Math.max(...state.image.shape) * MOST;
}

function resized(px) {
  set({ brushPx: Math.max(1, Math.min(most(), Math.round(px))) });
}

// By a factor, and at least by a pixel.
export function resizeBrush(factor) {
  const px = Math.round(state.brushPx * factor);
  resized(px === state.brushPx ? px + Math.sign(factor - 1) : px);
}

// The slider is logarithmic.
function tell() {
  part("brush").value = Math.round((100 * Math.log(state.brushPx)) / Math.log(most()));
  part("brush-size").textContent = `${Math.round(state.brushPx)} px`;
}

on(["image"], () => resized(2 * most() * FIRST));
on(["brushPx", "image"], tell);
part("brush").addEventListener("input", () => resized(most() ** (part("brush").value / 100)));
part("depth").addEventListener("change", () => set({ depth: part("depth").value }));
