// What if: what is hidden and shown, what the network then draws, and whether it is a region.

import { figures, progressOf, tellSaved } from "./explain.js";
import { repaint, touch } from "./hidden.js";
import { drawInset } from "./inset.js";
import { labelsOf, mainRegion, superpixelsOf } from "./layers.js";
import { guarded, notice, say } from "./notices.js";
import { chosen, share } from "./objects.js";
import { indexAt, sliceOf } from "./planes.js";
import { greyPng } from "./png.js";
import { getJson, postJson, postPng, remove } from "./server.js";
import { redraw } from "./stage.js";
import { named, objectName, objectOf, on, set, shownEntry, state } from "./state.js";
import { Visibility, boxOf, paint } from "./visibility.js";
import { regionEverywhere, objectEverywhere } from "./whole.js";

const PAUSE_MS = 180; // after the last change, before the network is asked
const MOST_AWAKE = 3; // images whose masks take a byte a pixel; those of others take a bit
const MOST_STEPS = 60e6; // flipped pixels that are kept for undo, of all images together
const REPLACED = 409;

const part = (name) => document.getElementById(name);
const masks = new Map(); // number of an image -> Visibility

let newest = null; // number of the image whose mask was asked for last
let stroke = null; // {view, last, value}
let sent = 0; // questions
let shownAnswer = 0; // the newest question whose answer is shown
let timer = null;
let checking = null; // what is known of the check of what is visible now

// What is visible in the image that is open. That of every image is kept as long as the page is.
export function visibility() {
  const { number, shape } = state.image;
  if (newest === number) return masks.get(number);
  const mask = masks.get(number) ?? new Visibility(shape.reduce((a, b) => a * b, 1));
  masks.delete(number);
  masks.set(number, mask); // the newest at the end
  newest = number;
  [...masks.values()].slice(0, -MOST_AWAKE).forEach((old) => old.rest());
  forgetSteps();
  return mask;
}

// Undo reaches back as far as there is room, in the images that were not looked at for longest least.
function forgetSteps() {
  let steps = [...masks.values()].reduce((sum, mask) => sum + mask.numSteps, 0);
  for (const mask of masks.values()) {
    if (steps <= MOST_STEPS) return;
    steps -= mask.numSteps;
    mask.forgetSteps();
  }
}

function changed({ isDrawn = false, isSame = false } = {}) {
  if (!isDrawn) repaint();
  part("undo").disabled = !visibility().done.length;
  part("redo").disabled = !visibility().undone.length;
  redraw();
  askSoon(isSame);
}

export function strokeStart(view, point, event) {
  const value = (state.tool === "show") !== Boolean(event.shiftKey) ? 1 : 0;
  stroke = { view, last: point, value };
  visibility().begin();
  strokeMove(view, [point]);
}

export function strokeMove(view, points) {
  if (!stroke) return;
  const { plane } = view;
  const slice = sliceOf(plane, state.position);
  for (const point of points) {
    const radius = state.brushPx / 2;
    paint(visibility(), plane, slice, stroke.last, point, radius, stroke.value, state.depth);
    touch(view, boxOf(plane, stroke.last, point, radius));
    stroke.last = point;
  }
  redraw();
}

export function strokeEnd() {
  if (!stroke) return;
  stroke = null;
  if (visibility().end()) changed({ isDrawn: true });
}

export function strokeCancel() {
  if (!stroke) return;
  stroke = null;
  if (visibility().end()) visibility().undo();
  changed();
}

// A click on a superpixel or an object hides it, or shows it where most of it is hidden.
export function clickPart(view, pixel, object) {
  if (state.tool === "superpixels") flipSuperpixel(view, pixel);
  else if (state.tool === "objects" && object !== null) flipObject(view, object);
}

function flipSuperpixel(view, pixel) {
  const parts = superpixelsOf(view);
  const wanted = parts?.at(pixel.row, pixel.column);
  if (!wanted) return;
  const slice = sliceOf(view.plane, state.position);
  const indices = [];
  parts.values.forEach((value, place) => {
    if (value !== wanted) return;
    const row = Math.floor(place / parts.width);
    indices.push(indexAt(view.plane, slice, row, place - row * parts.width));
  });
  flip(indices);
}

async function flipObject(view, number) {
  const object = objectOf(number);
  const pixels = await guarded(() => objectEverywhere(object, view && labelsOf(view)));
  if (!pixels) return;
  const indices = [];
  pixels.forEach((isIn, index) => isIn && indices.push(index));
  flip(indices);
  say(`${objectName(object)} ${visibility().shown[indices[0]] ? "shown" : "hidden"}`);
}

function flip(indices) {
  const mask = visibility();
  const numShown = indices.reduce((sum, index) => sum + mask.shown[index], 0);
  const value = numShown * 2 >= indices.length ? 0 : 1;
  mask.begin();
  for (const index of indices) mask.put(index, value);
  if (mask.end()) changed();
}

export function undo() {
  if (visibility().undo()) changed();
}

export function redo() {
  if (visibility().redo()) changed();
}

export function showAll() {
  if (visibility().fill(() => 1)) changed();
}

// Shows the region of the explanation that is chosen, or all but it.
export async function resetTo(isComplement) {
  const entry = shownEntry();
  const name = entry?.image === state.image.number && mainRegion(entry);
  if (!name) return;
  for (const id of ["check", "save-painted"]) part(id).disabled = true; // until it is asked about
  const pixels = await guarded(() => regionEverywhere(entry.id, name));
  if (pixels && visibility().fill((index) => Boolean(pixels[index]) !== isComplement)) changed();
  else offerCheck();
}

// `isSame`: the region is the one that was asked about before.
export function askSoon(isSame = false) {
  clearTimeout(timer);
  if (!isSame) forgetCheck();
  for (const name of ["check", "save-painted"]) part(name).disabled = true;
  if (state.mode === "what-if" && state.server.can_explain) timer = setTimeout(ask, PAUSE_MS);
}

async function ask() {
  const { image } = state;
  const object = chosen();
  if (object < 0) return;
  sent += 1;
  const number = sent;
  part("outcome").setAttribute("aria-busy", "true");
  const answer = await guarded(() => question(image, object).catch((error) => {
    if (error.status === REPLACED && number !== sent) return null; // by a newer question
    throw error;
  }));
  if (number === sent) part("outcome").removeAttribute("aria-busy");
  if (!answer || answer.object !== object || number < shownAnswer || image !== state.image) return;
  shownAnswer = number;
  set({ whatIf: answer });
  offerCheck();
}

async function question(image, object) {
  const { shown } = visibility();
  const rows = image.is_volume ? image.shape[0] * image.shape[1] : image.shape[0];
  const width = image.shape.at(-1);
  const bytes = shown.map((value) => (value ? 255 : 0));
  const query = {
    image: image.number, object, baseline: part("baseline").value,
    edge_px: Math.max(0, Math.round(part("edge").valueAsNumber || 0)),
  };
  if (image.is_volume) query.depth = "volume";
  return postPng("what-if", query, await greyPng(bytes, width, rows));
}

async function check() {
  const answer = state.whatIf;
  if (!answer) return;
  part("check").disabled = true;
  const told = await guarded(() => postJson(`what-if/${answer.id}/check`, {
    preset: part("preset").value, dice_threshold: wantedDice(),
  }));
  if (!told) tellCheck(null);
  else if (state.whatIf?.id !== answer.id) remove(`checks/${told.id}`);
  else {
    tellCheck(told);
    refreshCheck(); // it may have ended before this answer came
  }
}

// What is told of a check, by the stream of events or by an answer; null: there is none.
function tellCheck(told) {
  checking = told;
  const isOpen = told?.status === "queued" || told?.status === "running";
  part("check-progress").hidden = !isOpen;
  offerCheck();
  part("check-sentence").textContent = told?.sentence ?? told?.error
    ?? (told?.status === "cancelled" ? "The check was cancelled." : "");
  figures(part("check-figures"), told?.figures ?? []);
  if (isOpen) {
    part("check-doing").textContent = progressOf(told);
    Object.assign(part("check-bar"), { max: told.max_passes, value: told.passes });
    say(`Check: ${progressOf(told)}`, false);
  } else if (told) say(part("check-sentence").textContent);
}

function isChecking() {
  return checking?.status === "queued" || checking?.status === "running";
}

export function checkTold(told) {
  if (checking?.id === told.id && isChecking()) tellCheck(told);
}

// What the server knows of the check, for instance after it was away.
export async function refreshCheck() {
  if (!isChecking()) return;
  const { id } = checking;
  const failed = (error) => ({ id, status: "failed", error: error.message });
  const told = await getJson(`checks/${id}`).catch((error) => error.status && failed(error));
  if (told) checkTold(told);
}

// Another region is asked about: a check of the one before is no longer wanted.
function forgetCheck() {
  part("painted-saved").hidden = true;
  if (!checking) return;
  const [{ id }, wasOpen] = [checking, isChecking()];
  tellCheck(null);
  if (!wasOpen) return;
  guarded(() => remove(`checks/${id}`));
  notice("The check was cancelled: it was of what was visible before.", "note");
}

// What is visible can be checked and saved once the newest question about it is answered.
function offerCheck() {
  const isFresh = Boolean(state.whatIf) && shownAnswer === sent;
  part("check").disabled = !isFresh || isChecking();
  part("save-painted").disabled = !isFresh;
}

async function save() {
  const answer = state.whatIf;
  if (!answer) return;
  const saved = await guarded(() => postJson(`what-if/${answer.id}/save`, {
    preset: part("preset").value, dice_threshold: wantedDice(),
  }));
  if (!saved || state.whatIf?.id !== answer.id) return;
  tellSaved(part("painted-saved"), saved);
}

function tell() {
  const answer = state.whatIf;
  const dice = answer ? answer.dice.toFixed(3) : "–";
  part("outcome-dice").textContent = dice;
  part("stage-dice").hidden = !answer || state.mode !== "what-if";
  part("stage-dice").textContent = `Dice ${dice}`;
  part("outcome-bar").style.setProperty("width", `${100 * (answer?.dice ?? 0)}%`);
  part("outcome-mark").style.setProperty("left", `${100 * wantedDice()}%`);
  const object = answer && objectOf(answer.object);
  part("outcome-text").textContent = object
    ? `Dice of ${objectName(object)}: as drawn now and as drawn on the whole image`
    : "Dice: as drawn now and as drawn on the whole image";
  part("outcome-area").textContent = answer
    ? `${share(answer.area_fraction)} shown; the network draws ${share(answer.drawn_fraction)}`
      + ` as ${object ? named(object.class_name) : "the object"}.`
    : "";
  drawInset();
}

// The Dice from which a region suffices, as for a search.
function wantedDice() {
  return part("dice").valueAsNumber || state.server?.defaults.dice_threshold || 0.9;
}

export function buildBaselines() {
  const { baselines, images } = state.server;
  const select = part("baseline");
  const before = select.value;
  const names = baselines.map((baseline) => baseline.name ?? baseline);
  const others = images.filter(({ number }) => number !== state.image?.number).slice(0, 200);
  select.replaceChildren(
    ...names.map((name) => new Option(name, name)),
    ...others.map(({ number, name }) => new Option(`image ${name}`, `image:${number}`)),
  );
  if ([...select.options].some(({ value }) => value === before)) select.value = before;
}

function imageChanged() {
  forgetCheck();
  set({ whatIf: null });
  shownAnswer = sent + 1;
  buildBaselines();
  modeChanged();
}

function modeChanged() {
  part("what-if-part").hidden = state.mode !== "what-if";
  part("explain-part").hidden = state.mode === "what-if" || !state.server.can_explain;
  const isWhatIf = state.mode === "what-if";
  set({ overlays: { ...state.overlays, minimal: !isWhatIf, brightness: false, map: false } });
  if (!isWhatIf || !state.image) return;
  if (!objectOf(state.object) && chosen() >= 0) set({ object: chosen() });
  set({ overlays: { ...state.overlays, segmentation: state.tool === "objects" } });
  changed({ isSame: checking?.object === state.object });
}

function offerRegion() {
  const entry = shownEntry();
  const isThere = Boolean(entry && entry.image === state.image?.number && mainRegion(entry));
  for (const name of ["to-region", "to-complement"]) part(name).disabled = !isThere;
}

on(["image"], imageChanged);
on(["mode"], modeChanged);
on(["object"], () => state.image && state.mode === "what-if" && askSoon());
on(["whatIf", "mode", "position", "channel", "window"], tell);
on(["explanation", "entries", "nested", "image"], offerRegion);
for (const name of ["baseline", "edge"]) part(name).addEventListener("change", () => askSoon());
part("undo").addEventListener("click", undo);
part("redo").addEventListener("click", redo);
part("all-shown").addEventListener("click", showAll);
part("to-region").addEventListener("click", () => resetTo(false));
part("to-complement").addEventListener("click", () => resetTo(true));
part("check").addEventListener("click", check);
part("check-cancel").addEventListener("click", () => {
  if (checking) guarded(() => remove(`checks/${checking.id}`));
});
part("save-painted").addEventListener("click", save);
