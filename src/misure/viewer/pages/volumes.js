// Volumes and greys: which planes are seen, which channel, and what is black and white.

import { on, set, state } from "./state.js";

const CT_WINDOWS = [ // level and width in Hounsfield units
  ["soft tissue", 40, 400], ["lung", -600, 1500], ["bone", 400, 1800], ["brain", 40, 80],
  ["liver", 60, 160],
];
const LOOKS_LIKE_CT = -500; // numbers below are air, in Hounsfield units

const part = (name) => document.getElementById(name);

function build() {
  const { image } = state;
  if (!image) return;
  for (const element of document.querySelectorAll(".volume")) element.hidden = !image.is_volume;
  part("window-details").open = image.is_volume;
  const layout = narrow.matches && image.is_volume ? image.planes[0] : "three";
  set({ channel: null, window: null, layout, position: middle(image) });
  buildPlanes(image);
  buildChannels(image);
  buildWindows(image);
  tell();
}

const narrow = matchMedia("(max-width: 46rem)");

function middle(image) {
  const shape = image.is_volume ? image.shape : [1, ...image.shape];
  const largest = [...image.objects].sort((a, b) => b.pixels - a.pixels)[0];
  const at = largest?.centre ?? shape.slice(-image.shape.length).map((side) => side / 2);
  return (image.is_volume ? at : [0, ...at]).map(Math.round);
}

function buildPlanes(image) {
  const choices = image.is_volume ? [["three", "All"], ...image.planes.map((name, i) => [name, image.plane_labels[i]])]
    : [];
  part("planes").replaceChildren(...choices.map(([value, name]) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    const text = document.createElement("span");
    Object.assign(input, { type: "radio", name: "planes", value, checked: value === state.layout });
    text.textContent = name;
    input.addEventListener("change", () => set({ layout: value }));
    label.append(input, text);
    return label;
  }));
}

function buildChannels(image) {
  part("channel-line").hidden = image.channels.length < 2;
  const all = image.is_colour ? [new Option("colours", "rgb")] : [];
  part("channel").replaceChildren(
    ...all, ...image.channels.map((name, number) => new Option(name, number)),
  );
}

function buildWindows(image) {
  const [low, high] = image.value_range;
  const isCt = low < LOOKS_LIKE_CT && image.channels.length === 1;
  part("window-preset").replaceChildren(
    new Option("as first shown", "first"),
    new Option("all values", "all"),
    ...(isCt ? CT_WINDOWS.map(([name]) => new Option(name, name)) : []),
    new Option("own", "own", false, false),
  );
  for (const name of ["low", "high"]) part(name).step = high - low <= 4 ? 0.01 : 1;
}

function current() {
  return state.window ?? state.image.shown_range;
}

function tell() {
  const [low, high] = current();
  const round = (value) => Number(value.toPrecision(4));
  if (document.activeElement !== part("low")) part("low").value = round(low);
  if (document.activeElement !== part("high")) part("high").value = round(high);
}

function choose(name) {
  const preset = CT_WINDOWS.find(([known]) => known === name);
  if (name === "first") set({ window: null });
  else if (name === "all") set({ window: state.image.value_range });
  else if (preset) set({ window: [preset[1] - preset[2] / 2, preset[1] + preset[2] / 2] });
}

function typed() {
  const [low, high] = [part("low").valueAsNumber, part("high").valueAsNumber];
  if (!(high > low)) return;
  part("window-preset").value = "own";
  set({ window: [low, high] });
}

let pending = null; // the window that the next picture is asked with

// By a drag: to the right is wider, up is a higher level (darker).
export function windowBy(dx, dy) {
  const { value_range: range } = state.image;
  const [low, high] = pending ?? current();
  const step = Math.max(high - low, (range[1] - range[0]) / 500) / 250;
  const width = Math.max((range[1] - range[0]) / 1000, high - low + dx * step);
  const level = (low + high) / 2 - dy * step;
  if (!pending) {
    setTimeout(() => {
      set({ window: pending });
      pending = null;
    }, 60);
  }
  pending = [level - width / 2, level + width / 2].map((value) => Number(value.toPrecision(6)));
  part("window-preset").value = "own";
}

on(["image"], build);
on(["window"], () => state.image && tell());
part("channel").addEventListener("change", () => set({ channel: part("channel").value }));
part("window-preset").addEventListener("change", () => choose(part("window-preset").value));
for (const name of ["low", "high"]) part(name).addEventListener("change", typed);
