// The list of what the network has segmented.

import { colourOf, objectName, objectOf, on, set, state } from "./state.js";

const MANY = 12; // objects from which there is a search

const list = document.getElementById("objects");
const search = document.getElementById("objects-search");
const hint = document.getElementById("objects-hint");

let explain = () => {};
let choosing = (number) => set({ object: number });

export function connect(start, choose) {
  explain = start;
  choosing = choose;
}

export function share(fraction) {
  const percent = 100 * fraction;
  if (percent >= 1 || percent === 0) return `${percent.toFixed(1)} %`;
  return `${Number(percent.toPrecision(1)).toLocaleString("en", { maximumSignificantDigits: 1 })} %`;
}

function build() {
  const objects = state.image?.objects ?? [];
  search.hidden = objects.length < MANY;
  const wanted = search.hidden ? "" : search.value.trim().toLowerCase();
  const shown = objects
    .filter((object) => objectName(object).toLowerCase().includes(wanted))
    .sort((a, b) => b.pixels - a.pixels);
  list.replaceChildren(...shown.map(item));
  mark();
}

function item(object) {
  const row = document.createElement("li");
  row.dataset.number = object.number;
  const choose = button("name", [swatch(object), text("span", objectName(object)),
    text("small", sizeOf(object))]);
  choose.addEventListener("click", () => choosing(object.number));
  choose.title = `Its share of the ${state.image.is_volume ? "volume" : "image"}`;
  row.append(choose);
  if (state.server.can_explain) {
    const start = button("start", ["Explain"]);
    start.setAttribute("aria-label", `Explain ${objectName(object)}`);
    start.addEventListener("click", () => explain(object.number));
    row.append(start);
  }
  row.addEventListener("pointerenter", () => set({ hovered: object.number }));
  row.addEventListener("pointerleave", () => set({ hovered: null }));
  return row;
}

function sizeOf(object) {
  const score = typeof object.score === "number" ? `, score ${object.score.toFixed(2)}` : "";
  return `${share(object.area_fraction)}${score}`;
}

function button(name, parts) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = name;
  made.append(...parts);
  return made;
}

function swatch(object) {
  const made = document.createElement("i");
  made.className = "swatch";
  made.style.setProperty("background", colourOf(object));
  return made;
}

export function text(tag, content, name = "") {
  const made = document.createElement(tag);
  made.textContent = content;
  made.className = name;
  return made;
}

function mark() {
  for (const row of list.children) {
    const number = Number(row.dataset.number);
    row.classList.toggle("hovered", number === state.hovered);
    if (number === state.object) row.firstChild.setAttribute("aria-current", "true");
    else row.firstChild.removeAttribute("aria-current");
  }
  const isWhatIf = state.mode === "what-if";
  const num = state.image?.objects.length ?? 0;
  hint.textContent = !state.image ? ""
    : num === 0 ? "The network draws nothing in this image."
      : isWhatIf ? "The Dice is that of the object chosen here."
        : state.server.can_explain ? "Click an object in the image to have it explained."
          : "Without a network nothing can be explained: start with --model.";
}

// Chooses the next object, or the one before.
export function chooseNext(step) {
  const numbers = [...list.children].map((row) => Number(row.dataset.number));
  if (!numbers.length) return;
  const place = numbers.indexOf(state.object);
  const next = place < 0 ? 0 : (place + step + numbers.length) % numbers.length;
  set({ hovered: null });
  choosing(numbers[next]);
  list.children[next].scrollIntoView({ block: "nearest" });
}

// The object that is meant where none is chosen: the largest.
export function chosen() {
  return objectOf(state.object) ? state.object
    : Number(list.firstElementChild?.dataset.number ?? -1);
}

on(["image", "server"], build);
on(["hovered", "object", "mode"], mark);
search.addEventListener("input", build);
