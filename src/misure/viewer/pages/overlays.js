// What is drawn over the image: check boxes, opacity, and what the colours mean.

import { DRAWN, REGION, SUFFICIENT, TARGET } from "./colours.js";
import { on, set, shownEntry, state } from "./state.js";

const CHOICES = [ // key of the overlay, words, key of the keyboard, colour, style of the line
  ["segmentation", "What the network draws", "G", null, "classes"],
  ["target", "The target: the object", "T", TARGET, "solid"],
  ["minimal", "Minimally sufficient region", "F", REGION, "dashed"],
  ["sufficient", "Sufficient region", "U", SUFFICIENT, "dotted"],
  ["brightness", "The region as brightness", "B", null, "brightness"],
  ["map", "The map: yellow counts most", "M", null, "map"],
  ["drawn", "What if: drawn now", "Y", DRAWN, "solid"],
  ["saw", "What if: as the network saw it", "V", null, "none"],
];

const list = document.getElementById("overlays");
const opacity = document.getElementById("opacity");

export function toggle(name) {
  set({ overlays: { ...state.overlays, [name]: !state.overlays[name] } });
}

export function keysOfOverlays() {
  return CHOICES.map(([name, words, key]) => [key.toLowerCase(), name, words]);
}

function build() {
  list.replaceChildren(...CHOICES.map(([name, words, key, colour, style]) => {
    const row = document.createElement("li");
    const label = document.createElement("label");
    const box = document.createElement("input");
    const mark = document.createElement("i");
    const text = document.createElement("span");
    box.type = "checkbox";
    box.dataset.overlay = name;
    box.addEventListener("change", () => toggle(name));
    mark.className = `line-mark ${style}`;
    if (colour) mark.style.setProperty("border-color", colour);
    text.textContent = words;
    label.title = `Key ${key}`;
    label.append(box, mark, text);
    row.append(label);
    return row;
  }));
  tell();
}

function tell() {
  const isWhatIf = state.mode === "what-if";
  for (const box of list.querySelectorAll("input")) {
    const name = box.dataset.overlay;
    box.checked = state.overlays[name];
    const ofWhatIf = name === "drawn" || name === "saw";
    const ofEntry = ["minimal", "sufficient", "brightness", "map"].includes(name);
    box.closest("li").hidden = (ofWhatIf && !isWhatIf) || (ofEntry && !shownEntry());
  }
  document.getElementById("drawn-note").textContent = note();
}

function note() {
  const entry = shownEntry();
  if (!entry?.is_dust) {
    return entry && entry.id === state.tinted
      ? "This region has too many parts and holes for an outline: its pixels are tinted blue." : "";
  }
  return "This region is too fine for an outline: its density is drawn in blue, the share of the "
    + "pixels around that it holds. Zoomed to four pixels of the screen, its own pixels are drawn.";
}

build();
on(["overlays", "mode", "explanation", "entries", "tinted"], tell);
opacity.addEventListener("input", () => {
  set({ opacity: Number(opacity.value) / 100 });
  document.getElementById("opacity-text").textContent = `${opacity.value} %`;
});
