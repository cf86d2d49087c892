// What is drawn of one plane: picture, segmentation, regions, map, and what is hidden.

import { DRAWN, REGION, SUFFICIENT, TARGET } from "./colours.js";
import { notice } from "./notices.js";
import { Labels, Mask, bitmapOf, known, mapOf } from "./pictures.js";
import { sliceOf } from "./planes.js";
import { getBlob, postForBlob } from "./server.js";
import { colourOf, objectOf, set, shownEntry, state } from "./state.js";

const SMALL_SIDE = 1600; // larger pictures are drawn scaled first, in full when they are zoomed
const PIXELS_SEEN_FROM = 4; // zoom from which the pixels of a fine region are drawn themselves

// `isPassing`: what is asked for may be gone, for the search goes on.
function asked(view, path, query, make, isPassing = false) {
  const { plane } = view;
  const slice = sliceOf(plane, state.position);
  const all = { plane: plane.name, slice, ...query };
  const key = `${path}?${new URLSearchParams(all)}`;
  const ready = () => view.draw();
  const failed = (error) => error.status && !isPassing && notice(error.message);
  const decode = (blob) => make(blob, plane.isTurned);
  return known(key, () => getBlob(path, all), decode, ready, failed);
}

function pictureQuery() {
  const [low, high] = state.window ?? [];
  const query = {};
  if (state.channel !== null) query.channel = state.channel;
  if (state.window) Object.assign(query, { low, high });
  return query;
}

function picture(view) {
  const path = `images/${state.image.number}/picture`;
  const { width, height } = view.plane;
  const longest = Math.max(width, height);
  const isLarge = longest > SMALL_SIDE * 1.25;
  const isZoomed = view.zoom * view.density * longest > SMALL_SIDE * 1.1;
  let shown = null;
  if (!isLarge || isZoomed) shown = asked(view, path, pictureQuery(), bitmapOf);
  if (!shown && isLarge) {
    shown = asked(view, path, { ...pictureQuery(), max_side: SMALL_SIDE }, bitmapOf);
  }
  if (shown) view.last = shown;
  return view.last ?? null; // the one before, until the new one is there
}

export function labelsOf(view) {
  return asked(view, `images/${state.image.number}/labels`, {}, Labels.read);
}

export function superpixelsOf(view) {
  const { plane } = view;
  const slice = sliceOf(plane, state.position);
  const path = `images/${state.image.number}/superpixels`;
  const get = () => postForBlob(path, { plane: plane.name, slice });
  const decode = (blob) => Labels.read(blob, plane.isTurned);
  return known(
    `${path}?${plane.name}&${slice}`, get, decode, () => view.draw(),
    (error) => notice(error.message),
  );
}

// Names of the regions that an explanation has, also while it is searched for.
export function regionsOf(entry) {
  if (!entry) return [];
  if (entry.status === "done") return entry.regions ?? [];
  return entry.status === "running" ? Object.keys(entry.found) : [];
}

export function mainRegion(entry) {
  const names = regionsOf(entry);
  if (state.nested && names.includes(state.nested)) return state.nested;
  return ["minimally_sufficient_region", "sufficient_region"].find((name) => names.includes(name));
}

function region(view, entry, name) {
  const version = entry.found?.[name]?.version ?? 0;
  const isDone = entry.status === "done";
  const query = isDone ? {} : { version };
  const mask = asked(view, `explanations/${entry.id}/regions/${name}`, query, Mask.read, !isDone);
  view.regions ??= new Map();
  const key = `${entry.id}/${name}/${sliceOf(view.plane, state.position)}`;
  if (mask) view.regions.set(name, { key, mask });
  const before = view.regions.get(name);
  return mask ?? (before?.key === key ? before.mask : null); // the one before of the same slice
}

export function whatIfMask(view, answer) {
  return asked(view, `what-if/${answer.id}/drawn`, {}, Mask.read);
}

export function whatIfPicture(view, answer) {
  return asked(view, `what-if/${answer.id}/shown`, pictureQuery(), bitmapOf);
}

export function layersOf(view, hidden) {
  if (!state.image) return [];
  const isWhatIf = state.mode === "what-if";
  const { overlays } = state;
  const layers = [];
  const saw = isWhatIf && overlays.saw && state.whatIf && whatIfPicture(view, state.whatIf);
  const below = saw || picture(view);
  if (below) layers.push({ picture: below });
  const labels = state.server.can_segment === false ? null : labelsOf(view);
  if (overlays.segmentation && labels) {
    const colours = new Map(state.image.objects.map((one) => [one.number + 1, colourOf(one)]));
    layers.push({ picture: labels.coloured(colours), alpha: 0.7 * state.opacity });
  }
  const entry = shownEntry();
  const isExplained = entry?.image === state.image.number && entry.object === state.object;
  if (isExplained) layers.push(...explained(view, entry));
  if (!isExplained && overlays.target && objectOf(state.object) && labels) {
    layers.push({ path: labels.pathOf(state.object + 1), colour: TARGET, width: 2 });
  }
  if (isWhatIf) {
    if (hidden && !overlays.saw) layers.push({ picture: hidden, alpha: 0.88 });
    layers.push(...drawnNow(view));
  }
  return [...layers.filter((layer) => layer.picture), ...layers.filter((layer) => layer.path),
    ...pointed(view, labels)];
}

function explained(view, entry) {
  const { overlays } = state;
  const layers = [];
  const names = regionsOf(entry);
  const main = mainRegion(entry);
  if (overlays.map && entry.status === "done") {
    const map = asked(view, `explanations/${entry.id}/map`, {}, mapOf);
    if (map) layers.push({ picture: map, alpha: state.opacity });
  }
  const mask = main && region(view, entry, main);
  if (mask && overlays.brightness) layers.push({ picture: mask.outside, alpha: 0.75 });
  if (mask && overlays.minimal) {
    const isWhole = entry.status === "done" && !entry.is_dust && mask.isFine;
    if (isWhole) set({ tinted: entry.id });
    layers.push(...isWhole ? [tinted(mask, REGION)] : drawn(view, mask, REGION, [7, 4]));
  }
  if (overlays.sufficient && names.includes("sufficient_region") && main !== "sufficient_region") {
    const larger = region(view, entry, "sufficient_region");
    if (larger) layers.push(...drawn(view, larger, SUFFICIENT, [2, 4], false));
  }
  if (overlays.target) {
    const isKnown = ["queued", "running", "done"].includes(entry.status);
    const target = isKnown && region(view, entry, "target");
    if (target?.path) layers.push({ path: target.path, colour: TARGET, width: 2 });
  }
  return layers;
}

function tinted(mask, colour) {
  return { picture: mask.filled(colour), alpha: 0.55 };
}

// A region as an outline; if it is dust, as its density, or as its pixels when they are large.
function drawn(view, mask, colour, dash, withDensity = true) {
  if (mask.isEmpty) return [];
  if (!mask.isFine) return [{ path: mask.path, colour, dash, width: 2 }];
  if (view.zoom >= PIXELS_SEEN_FROM) return [tinted(mask, colour)];
  if (!withDensity || state.overlays.brightness) return [];
  return [{ picture: mask.density.picture, isSmooth: true }];
}

function drawnNow(view) {
  if (!state.overlays.drawn || !state.whatIf) return [];
  const mask = whatIfMask(view, state.whatIf) ?? view.lastDrawn;
  view.lastDrawn = mask;
  if (!mask || mask.isEmpty) return [];
  if (mask.isFine) return [{ picture: mask.filled(DRAWN), alpha: 0.6 }];
  return [{ path: mask.path, colour: DRAWN, width: 2 }];
}

// What the pointer or the keys point at.
function pointed(view, labels) {
  const layers = [];
  const isWhatIf = state.mode === "what-if";
  if (isWhatIf && state.tool === "superpixels") {
    const parts = superpixelsOf(view);
    if (parts) layers.push({ picture: parts.borders(), alpha: 0.5 });
    if (parts && view.pixel) {
      const part = parts.at(view.pixel.row, view.pixel.column);
      if (part) layers.push({ path: parts.pathOf(part), colour: "#fff", width: 2 });
    }
  } else if (state.hovered !== null && labels && (!isWhatIf || state.tool === "objects")) {
    const object = objectOf(state.hovered);
    const isOutlined = !isWhatIf && state.overlays.target && state.hovered === state.object;
    const path = object && !isOutlined && labels.pathOf(state.hovered + 1);
    if (path) layers.push({ path, colour: colourOf(object), width: 3 });
  }
  return layers;
}
