// The keyboard: what each key does, and the dialog that lists it.

import { resizeBrush } from "./brush.js";
import { cancel, explain } from "./explain.js";
import { stepImage } from "./images.js";
import { chooseNext, chosen } from "./objects.js";
import { keysOfOverlays, toggle } from "./overlays.js";
import {
  allViews, clickAtCursor, fit, mainView, moveCursor, moveSlice, pixelForPixel, zoom,
} from "./stage.js";
import { set, state } from "./state.js";
import { redo, resetTo, showAll, undo } from "./whatif.js";

const dialog = document.getElementById("help");
const FAR = 10; // pixels that the cursor moves with Shift

// Whether the keyboard was used last: the cursor and the focus of the image are drawn then.
export function isByKeys() {
  return "keys" in document.body.dataset;
}

const inWhatIf = (act) => () => state.mode === "what-if" && act();

const KEYS = [
  ["Anywhere", [
    ["?", "this list", () => dialog.showModal()],
    ["e", "explain", () => set({ mode: "explain" })],
    ["w", "what if", () => set({ mode: "what-if" })],
    ["n", "next object (Shift: the one before)", (event) => chooseNext(event.shiftKey ? -1 : 1)],
    ["x", "explain the object that is chosen", () => explain(chosen())],
    ["Delete", "cancel the search that is shown", () => cancel()],
    [",", "image before", () => stepImage(-1)],
    [".", "next image", () => stepImage(1)],
  ]],
  ["Look", [
    ["+", "larger (also: wheel, over a volume with Ctrl)", () => zoom(1)],
    ["-", "smaller", () => zoom(-1)],
    ["0", "fit", fit],
    ["1", "one pixel of the image for one of the screen", pixelForPixel],
    ["PageUp", "slice up (also: wheel)", () => moveSlice(mainView(), 1)],
    ["PageDown", "slice down", () => moveSlice(mainView(), -1)],
  ]],
  ["Drawn over the image", keysOfOverlays().map(([key, name, words]) => (
    [key, words, () => toggle(name)]))],
  ["What if", [
    ["h", "brush that hides", inWhatIf(() => set({ tool: "hide" }))],
    ["s", "brush that shows", inWhatIf(() => set({ tool: "show" }))],
    ["p", "superpixels", inWhatIf(() => set({ tool: "superpixels" }))],
    ["o", "objects", inWhatIf(() => set({ tool: "objects" }))],
    ["d", "move the image", inWhatIf(() => set({ tool: "pan" }))],
    ["[", "smaller brush", inWhatIf(() => resizeBrush(1 / 1.25))],
    ["]", "larger brush", inWhatIf(() => resizeBrush(1.25))],
    ["a", "show all", inWhatIf(showAll)],
    ["r", "show the region found", inWhatIf(() => resetTo(false))],
    ["c", "show all but the region", inWhatIf(() => resetTo(true))],
  ]],
];

const ACTIONS = new Map(KEYS.flatMap(([, rows]) => rows.map(([key, , act]) => [key, act])));

const ON_CANVAS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function pressed(event) {
  if (dialog.open || event.isComposing) return;
  document.body.dataset.keys = "";
  const isTyping = event.target.matches("input:not([type=checkbox], [type=radio], [type=range]), "
    + "select, textarea");
  if ((event.ctrlKey || event.metaKey) && !isTyping && undoing(event)) return;
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const view = allViews().find(({ element }) => element === event.target);
  if (view && ON_CANVAS[event.key]) {
    const far = event.shiftKey ? FAR : 1;
    const [rows, columns] = ON_CANVAS[event.key];
    moveCursor(view, rows * far, columns * far);
  } else if (view && (event.key === "Enter" || event.key === " ")) {
    clickAtCursor(view);
  } else {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = ACTIONS.get(event.key) ?? ACTIONS.get(key);
    if (!act) return;
    act(event);
  }
  event.preventDefault();
}

function undoing(event) {
  if (state.mode !== "what-if") return false;
  const key = event.key.toLowerCase();
  if (key === "z") (event.shiftKey ? redo : undo)();
  else if (key === "y") redo();
  else return false;
  event.preventDefault();
  return true;
}

function build() {
  const extra = [
    ["Keys of the image, when it has the focus", [
      ["Arrows", "move the cursor (Shift: by ten)"], ["Enter", "click at the cursor"],
    ]],
    ["Mouse and fingers", [
      ["Alt + drag", "move (also: middle button, two fingers)"],
      ["Right drag", "black and white of greys"],
      ["Shift + click", "only place the cursor"],
      ["Shift + brush", "the other brush"],
      ["Ctrl + Z", "undo (Shift: redo)"],
    ]],
  ];
  document.getElementById("keys").replaceChildren(...[...KEYS, ...extra].map(group));
}

function group([title, rows]) {
  const part = document.createElement("section");
  const heading = document.createElement("h3");
  const list = document.createElement("dl");
  heading.textContent = title;
  for (const [key, words] of rows) {
    const term = document.createElement("dt");
    const name = document.createElement("kbd");
    const meaning = document.createElement("dd");
    name.textContent = key.length === 1 ? key.toUpperCase() : key;
    meaning.textContent = words;
    term.append(name);
    list.append(term, meaning);
  }
  part.append(heading, list);
  return part;
}

build();
document.addEventListener("keydown", pressed);
document.addEventListener("pointerdown", () => { delete document.body.dataset.keys; });
document.getElementById("help-button").addEventListener("click", () => dialog.showModal());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
