// Painting: an object's image, and what is known of it over the image, as sharp as the screen is.

const COLOURS = { target: "#d55e00", sufficient: "#56b4e9", minimal: "#e69f00", annotation: "#00c08b", reasons: "#cc79a7" };
const TARGET = 1, SUFFICIENT = 2, MINIMAL = 4, UNKNOWN = 8;
const HIDDEN = { necessary: 16, surroundings: 32 }, REASONS = 64, ANNOTATION = 128;
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const MAP_COVER = 191; // of 255: a map is seen over its image
const MOST_PIXELS = 1600; // along the longer side of a canvas
const WHOLE = { scale: 1, x: 0, y: 0 }; // what is looked at: how much larger, and its corner in [0, 1]

const has = (flag) => (planes, i) => (planes[i + 1] & flag) !== 0;
const heldBy = (nested) => (nested === null ? has(MINIMAL) : (planes, i) => planes[i + 2] >= nested);
const numbers = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));

function mapColour(value) {
  const place = (value / 255) * (VIRIDIS.length - 1);
  const low = Math.min(VIRIDIS.length - 2, Math.floor(place));
  return VIRIDIS[low].map((c, i) => c + (place - low) * (VIRIDIS[low + 1][i] - c));
}
const MAP_COLOURS = Array.from({ length: 256 }, (_, value) => [...mapColour(value), MAP_COVER]);
const hatch = (x, y, cover) => ((x + y) % 6 < 2 ? [119, 119, 119, cover] : [187, 187, 187, cover]);

// The density of a region of dust, in [0, 1] at each pixel: that of the nested one, or the minimal one.
function densityOf({ entry, width, height, densities }, nested) {
  const num = entry.curve?.length ?? 1;
  const own = Math.max(0, entry.curve?.findIndex(([threshold]) => threshold === entry.threshold) ?? 0);
  const level = nested === null ? own : num - nested;
  const side = densities.naturalHeight / num;
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  context.drawImage(densities, 0, level * side, densities.naturalWidth, side, 0, 0, width, height);
  const { data: values } = context.getImageData(0, 0, width, height);
  return (i) => values[i] / 255;
}

// The colour (r, g, b, cover in [0, 255]) that a layer puts over a pixel; null: it puts none over any.
function coverOf(pictures, layer, nested) {
  const { planes } = pictures;
  const needed = heldBy(nested);
  if (layer === "map") return (i, x, y) => (has(UNKNOWN)(planes, i) ? hatch(x, y, 170) : MAP_COLOURS[planes[i]]);
  if (HIDDEN[layer]) return (i, x, y) => (has(HIDDEN[layer])(planes, i) ? hatch(x, y, 217) : null);
  if (layer === "reasons") return (i) => (has(REASONS)(planes, i) ? [...numbers(COLOURS.reasons), 153] : null);
  if (layer === "seen") return (i) => (needed(planes, i) ? null : [34, 34, 34, 224]);
  if (layer !== "outlines" || pictures.status === MAP) return null;
  const density = pictures.densities ? densityOf(pictures, nested) : null;
  const colour = numbers(COLOURS.minimal);
  return (i) => (density ? [...colour, 230 * density(i)] : needed(planes, i) ? [...colour, 128] : null);
}

// The colours of a layer, as a canvas of the planes' own pixels; null: it has none. The last of each layer is kept.
function coloured(pictures, layer, nested) {
  const kept = pictures.covers.get(layer);
  if (kept?.nested === nested) return kept.canvas;
  const cover = coverOf(pictures, layer, nested);
  const canvas = cover && covered(pictures, cover);
  pictures.covers.set(layer, { nested, canvas });
  return canvas;
}

function covered({ width, height }, cover) {
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  const result = context.createImageData(width, height);
  for (let y = 0, i = 0; y < height; y++) for (let x = 0; x < width; x++, i += 4) {
    const colour = cover(i, x, y);
    if (colour) result.data.set(colour, i);
  }
  context.putImageData(result, 0, 0);
  return canvas;
}

// What is outlined on a layer, the lowest first: path, colour, dashes.
function linesOf(pictures, layer, nested) {
  if (layer === "image") return [];
  const lines = [];
  if (layer === "outlines") {
    if (!pictures.densities) lines.push([`minimal ${nested}`, heldBy(nested), COLOURS.minimal, []]);
    lines.push(["sufficient", has(SUFFICIENT), COLOURS.sufficient, [5, 3]]);
  }
  lines.push(["target", has(TARGET), COLOURS.target, []]);
  if (layer === "outlines") lines.push(["annotation", has(ANNOTATION), COLOURS.annotation, [1.5, 2.5]]);
  return lines.map(([name, holds, colour, dashes]) => [outline(pictures, name, holds), colour, dashes]).filter(([path]) => path);
}

// layer: outlines, map, seen, necessary, surroundings, reasons or image; nested: only pixels held by
// at least so many nested regions; view: the part of the picture that is looked at.
function paint(canvas, pictures, layer, nested = null, view = WHOLE) {
  const { width, height, image } = pictures;
  const box = canvas.getBoundingClientRect();
  const isCard = canvas.closest(".card") !== null;
  const fits = Math.min((box.width || 160) / width, (box.height && isCard ? box.height : Infinity) / height);
  const ratio = Math.min(fits * (devicePixelRatio || 1), MOST_PIXELS / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(ratio * width));
  canvas.height = Math.max(1, Math.round(ratio * height));
  const scale = ratio * view.scale;
  const line = Math.max(1, ratio / fits); // of the screen, in pixels of the canvas
  const context = canvas.getContext("2d");
  context.setTransform(canvas.width / width * view.scale, 0, 0, canvas.height / height * view.scale,
    -view.x * view.scale * canvas.width, -view.y * view.scale * canvas.height);
  context.imageSmoothingEnabled = scale * width < 6 * image.naturalWidth; // else its pixels are looked at
  context.drawImage(image, 0, 0, width, height);
  if (layer === "map") { // colours of the map are read off best over greys
    context.globalCompositeOperation = "saturation";
    context.fillStyle = "#808080";
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "source-over";
  }
  context.imageSmoothingEnabled = false;
  const cover = coloured(pictures, layer, nested);
  if (cover) context.drawImage(cover, 0, 0);
  context.lineJoin = "round";
  for (const [path, colour, dashes] of linesOf(pictures, layer, nested)) {
    const wide = (isCard ? 1.3 : 1.8) * (colour === COLOURS.minimal ? 0.6 : 1);
    // Gaps of a dashed line let a line below it be seen where both run along each other.
    context.setLineDash(dashes.map((length) => (length * 1.6 * line) / scale));
    [context.strokeStyle, context.lineWidth] = ["rgb(0 0 0 / .6)", (wide * 1.9 * line) / scale];
    context.stroke(path);
    [context.strokeStyle, context.lineWidth] = [colour, (wide * line) / scale];
    context.stroke(path);
  }
}

// A method that finds no regions has a map to show and nothing else.
const layerFor = (object, run, layer) => (statusOf(object, run) === MAP && layer !== "image" ? "map" : layer);
