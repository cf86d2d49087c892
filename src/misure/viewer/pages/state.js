// What the page shows: one store. Whoever draws subscribes to the keys that it draws.

import { coloursOf } from "./colours.js";

const listeners = [];

export const state = {
  server: null, // GET state
  image: null, // GET images/I
  planes: [], // see planes.js
  layout: "three", // or the name of the one plane that is shown
  position: [0, 0, 0], // the voxel (z, y, x) of the cross-hair
  channel: null,
  window: null, // [black, white]; null: as the server chooses
  mode: "explain",
  tool: "hide",
  object: null, // number of the object that is chosen
  hovered: null, // number of the object under the pointer
  entries: new Map(), // explanations by id
  explanation: null, // id of the one that is shown
  nested: null, // name of the nested region that is shown
  tinted: null, // the explanation whose region has no outline: its pixels are tinted
  whatIf: null, // the newest answer
  overlays: {
    segmentation: true, target: true, minimal: true, sufficient: false, brightness: false,
    map: false, drawn: true, saw: false,
  },
  opacity: 0.6,
  brushPx: 24,
  depth: "ball",
};

export function set(changes) {
  const changed = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  if (!changed.length) return;
  Object.assign(state, changes);
  for (const { keys, react } of listeners) {
    if (keys.some((key) => changed.includes(key))) react();
  }
}

export function on(keys, react) {
  listeners.push({ keys, react });
}

export function shownEntry() {
  return state.entries.get(state.explanation) ?? null;
}

export function objectOf(number) {
  return state.image?.objects.find((object) => object.number === number) ?? null;
}

// An object has the number within its class that `--instance` takes.
export function objectName(object) {
  const all = state.image.objects.filter((other) => other.class_index === object.class_index);
  const name = named(object.class_name);
  return all.length < 2 ? name : `${name} ${object.instance}`;
}

export function colourOf(object) {
  return coloursOf(state.image.objects).get(object.class_index);
}

// A class without a name is called by its number.
export function named(className) {
  return /^\d+$/.test(className) ? `class ${className}` : className;
}
