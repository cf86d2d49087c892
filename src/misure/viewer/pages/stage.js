// The stage: one canvas, or one for each plane of a volume, and what pointers do there.

import { View } from "./canvas.js";
import { hiddenPicture } from "./hidden.js";
import { labelsOf, layersOf } from "./layers.js";
import { listen } from "./pointer.js";
import { limited, placeIn, planesOf, pointOf, sliceOf, voxelAt } from "./planes.js";
import { objectName, objectOf, on, set, state } from "./state.js";

const ZOOM_STEP = 1.25;

const holder = document.getElementById("views");
const hoverText = document.getElementById("hover");
const zoomText = document.getElementById("zoom");

let views = [];
let tools = null; // what clicks and strokes do; set by `connect`

export function connect(connected) {
  tools = connected;
}

// The view that keys and buttons mean: the one with the focus, else the first that is seen.
export function mainView() {
  return views.find((view) => view.element === document.activeElement)
    ?? views.find((view) => view.element.clientWidth) ?? null;
}

export function allViews() {
  return views;
}

export function redraw() {
  for (const view of views) view.draw();
}

function build() {
  for (const view of views) view.observer.disconnect();
  views = [];
  holder.replaceChildren();
  if (!state.image) return;
  const planes = planesOf(state.image);
  views = planes.map((plane) => new View(plane, layers));
  for (const view of views) {
    const { element, plane } = view;
    const frame = document.createElement("figure");
    frame.dataset.plane = plane.name;
    element.id = `view-${plane.name}`;
    element.setAttribute("aria-label", labelOf(plane));
    frame.append(element);
    if (state.image.is_volume) frame.append(sliceSlider(view));
    holder.append(frame);
    listen(view, actions);
    element.addEventListener("focus", redraw);
    element.addEventListener("blur", () => view.draw());
  }
  set({ planes });
  arrange();
}

function labelOf(plane) {
  const what = state.image.is_volume ? `${plane.label} plane of ` : "";
  return `${what}${state.image.name}. Arrow keys move the cursor, Enter clicks.`;
}

function sliceSlider(view) {
  const { plane } = view;
  const caption = document.createElement("figcaption");
  const text = document.createElement("span");
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: plane.slices - 1, step: 1 });
  slider.setAttribute("aria-label", `Slice of the ${plane.label} plane`);
  slider.addEventListener("input", () => goTo(plane, Number(slider.value)));
  view.showSlice = () => {
    const slice = sliceOf(plane, state.position);
    slider.value = slice;
    text.textContent = `${plane.label} ${slice} of 0 to ${plane.slices - 1}`;
  };
  view.showSlice();
  caption.append(text, slider);
  return caption;
}

function arrange() {
  const isOne = views.length === 1 || state.layout !== "three";
  holder.classList.toggle("one", isOne);
  for (const frame of holder.children) {
    frame.hidden = state.layout !== "three" && views.length > 1
      && frame.dataset.plane !== state.layout;
  }
  redraw();
}

export function goTo(plane, slice) {
  const position = [...state.position];
  position[plane.axis] = slice;
  set({ position: limited(position, state.image.shape) });
}

export function moveSlice(view, steps) {
  if (view?.plane.axis !== null) goTo(view.plane, sliceOf(view.plane, state.position) + steps);
}

// Moves the cursor of a view by pixels.
export function moveCursor(view, rows, columns) {
  const { plane } = view;
  const place = placeIn(plane, state.position, state.image.shape);
  const row = Math.max(0, Math.min(plane.height - 1, place.row + rows));
  const column = Math.max(0, Math.min(plane.width - 1, place.column + columns));
  const slice = sliceOf(plane, state.position);
  set({ position: voxelAt(plane, slice, row, column, state.image.shape) });
  view.reveal({ row, column });
  actions.hover(view, { row, column });
}

export function clickAtCursor(view, event) {
  const place = placeIn(view.plane, state.position, state.image.shape);
  actions.click(view, place, event);
}

function layers(view) {
  if (view === mainView()) zoomText.textContent = `${Math.round(100 * view.zoom)} %`;
  if (view.pixel) tellPixel(view);
  const hidden = state.mode === "what-if" ? hiddenPicture(view, tools.visibility().shown) : null;
  const drawn = layersOf(view, hidden);
  const place = placeIn(view.plane, state.position, state.image.shape);
  if (state.image.is_volume) drawn.push({ cross: place, colour: "#fff" });
  else if (view.element === document.activeElement && tools.isByKeys()) {
    drawn.push({ square: place });
  }
  const isBrush = state.mode === "what-if" && (state.tool === "hide" || state.tool === "show");
  if (isBrush && view.cursor) drawn.push({ circle: view.cursor, radius: state.brushPx / 2 });
  return drawn;
}

export function objectAt(view, pixel) {
  const label = pixel && labelsOf(view)?.at(pixel.row, pixel.column);
  return label ? label - 1 : null;
}

// Names what the pointer is over; called again when the segmentation is there.
function tellPixel(view) {
  const { pixel } = view;
  const hovered = objectAt(view, pixel);
  const object = objectOf(hovered);
  hoverText.textContent = placeText(view.plane, pixel, object);
  view.element.classList.toggle("on-object", object !== null);
  set({ hovered });
}

// In a volume the point is that of --point. Beside the image the text names that of the cross-hair,
// so that it can be copied.
function placeText(plane, pixel, object) {
  const { image, position } = state;
  if (!pixel) return image.is_volume ? `--point ${pointOf(image, position).join(",")}` : "";
  const voxel = voxelAt(plane, sliceOf(plane, position), pixel.row, pixel.column, image.shape);
  const place = image.is_volume ? `--point ${pointOf(image, voxel).join(",")}`
    : `row ${pixel.row}, column ${pixel.column}`;
  return object ? `${objectName(object)} · ${place}` : place;
}

const actions = {
  hover(view, pixel) {
    view.pixel = pixel;
    tellPixel(view);
    view.draw();
  },
  click(view, pixel, event) {
    if (!pixel) return;
    const { plane } = view;
    const slice = sliceOf(plane, state.position);
    set({ position: voxelAt(plane, slice, pixel.row, pixel.column, state.image.shape) });
    if (event?.shiftKey || event?.ctrlKey) return;
    tools.click(view, pixel, objectAt(view, pixel));
  },
  scrub(view, point) {
    const { plane } = view;
    const slice = sliceOf(plane, state.position);
    const place = [Math.floor(point.y), Math.floor(point.x)];
    const voxel = voxelAt(plane, slice, ...place, state.image.shape);
    set({ position: limited(voxel, state.image.shape) });
  },
  canScrub: () => state.image.is_volume,
  isPainting: () => state.mode === "what-if" && ["hide", "show"].includes(state.tool),
  strokeStart: (view, point, event) => tools.strokeStart(view, point, event),
  strokeMove: (view, points) => tools.strokeMove(view, points),
  strokeEnd: () => tools.strokeEnd(),
  strokeCancel: () => tools.strokeCancel(),
  wheel(view, steps, event, place) {
    if (state.image.is_volume && !event.ctrlKey) moveSlice(view, steps);
    else {
      view.zoomBy(ZOOM_STEP ** -steps, place);
      redraw();
    }
  },
  windowBy: (dx, dy) => tools.windowBy(dx, dy),
  zoomed: redraw,
};

export function zoom(steps) {
  mainView()?.zoomBy(ZOOM_STEP ** steps);
  redraw();
}

export function fit() {
  for (const view of views) view.fit();
  redraw();
}

export function pixelForPixel() {
  const view = mainView();
  view?.zoomBy(1 / view.zoom);
  redraw();
}

on(["image"], build);
on(["layout"], arrange);
on(["position", "planes"], () => {
  views.forEach((view) => view.showSlice?.());
  const isOver = views.some((view) => view.pixel);
  if (views.length && !isOver) hoverText.textContent = placeText(views[0].plane, null, null);
});
on(
  ["position", "channel", "window", "mode", "tool", "object", "hovered", "entries", "explanation",
    "nested", "whatIf", "overlays", "opacity", "brushPx"],
  redraw,
);
document.getElementById("zoom-in").addEventListener("click", () => zoom(1));
document.getElementById("zoom-out").addEventListener("click", () => zoom(-1));
document.getElementById("zoom-fit").addEventListener("click", fit);
