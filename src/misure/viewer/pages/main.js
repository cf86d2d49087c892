// The page: what is opened, and what the parts are told of each other.

import * as explaining from "./explain.js";
import { listen } from "./events.js";
import { isByKeys } from "./keys.js";
import { openImage, stepImage, wait } from "./images.js";
import { guarded, notice } from "./notices.js";
import * as objects from "./objects.js";
import { getJson } from "./server.js";
import * as stage from "./stage.js";
import { on, set, state } from "./state.js";
import { windowBy } from "./volumes.js";
import * as whatIf from "./whatif.js";
import "./brush.js";
import "./overlays.js";

const TOOL_HINTS = {
  hide: "Paint over what the network must not see.",
  show: "Paint over what the network may see again.",
  superpixels: "Click a superpixel to hide it, and again to show it.",
  objects: "Click something that the network has segmented to hide it, and again to show it.",
  pan: "Drag the image.",
};

const part = (name) => document.getElementById(name);

function clicked(view, pixel, object) {
  if (state.mode === "what-if") whatIf.clickPart(view, pixel, object);
  else if (object !== null) explaining.explain(object);
}

function tellMode() {
  for (const input of document.querySelectorAll("[name=mode]")) {
    input.checked = input.value === state.mode;
  }
  for (const input of document.querySelectorAll("[name=tool]")) {
    input.checked = input.value === state.tool;
  }
  const isBrush = state.tool === "hide" || state.tool === "show";
  part("brush-line").hidden = !isBrush;
  part("depth-line").hidden = !isBrush || !state.image?.is_volume;
  part("tool-hint").textContent = TOOL_HINTS[state.tool];
  document.body.dataset.mode = state.mode;
  document.body.dataset.tool = state.tool;
}

function fillHeader() {
  const { images, model, can_explain: canExplain, run } = state.server;
  part("images").replaceChildren(...images.map(({ number, name }) => new Option(name, number)));
  document.querySelector(".chooser").classList.toggle("single", images.length < 2);
  part("model").textContent = model;
  part("model").title = model;
  part("report").hidden = !run;
  for (const input of document.querySelectorAll("[value=what-if]")) {
    input.disabled = !canExplain;
  }
  part("about").textContent = `misure ${state.server.version}. Saved results go to `
    + `${state.server.out}.`;
}

// The image that the address names, as `#image=3`; null: none that is there.
function askedFor() {
  const number = /^#image=(\d+)$/.exec(location.hash)?.[1];
  const known = state.server.images.find((image) => String(image.number) === number);
  return known ? known.number : null;
}

async function start() {
  stage.connect({ ...whatIf, click: clicked, windowBy, isByKeys });
  explaining.connect(openImage);
  objects.connect(explaining.explain, explaining.choose);
  wait("The page asks the server …");
  const server = await guarded(() => getJson("state"));
  wait(null);
  if (!server) return;
  set({ server });
  fillHeader();
  explaining.buildSettings();
  listen();
  await explaining.refresh(); // before the first image, so that its explanation is shown
  if (server.images.length) await openImage(askedFor() ?? server.images[0].number);
  else notice("No image is open: start misure view with --model to look at images.", "note");
}

on(["mode", "tool", "image"], tellMode);
on(["tool"], () => {
  set({ overlays: { ...state.overlays, segmentation: state.tool === "objects" } });
});
for (const input of document.querySelectorAll("[name=mode]")) {
  input.addEventListener("change", () => set({ mode: input.value }));
}
for (const input of document.querySelectorAll("[name=tool]")) {
  input.addEventListener("change", () => set({ tool: input.value }));
}
part("images").addEventListener("change", () => openImage(Number(part("images").value)));
part("previous-image").addEventListener("click", () => stepImage(-1));
part("next-image").addEventListener("click", () => stepImage(1));
addEventListener("hashchange", () => {
  const number = askedFor();
  if (number !== null) openImage(number);
});
tellMode();
start();
