// Pictures of the server: fetched once, decoded, kept while there is room.

import { REGION, rgb, scale } from "./colours.js";
import { outline } from "./contours.js";
import { density } from "./density.js";

const ROOM = 120e6; // pixels
const PIXELWISE = { colorSpaceConversion: "none", premultiplyAlpha: "none" };

const kept = new Map(); // key -> {value, pixels, error}; the newest at the end

// What `get` fetches and `make` makes of the blob: at once if it is known, else null, and `ready`
// is called when it is there.
export function known(key, get, make, ready, failed) {
  const entry = kept.get(key);
  if (entry) {
    kept.delete(key);
    kept.set(key, entry);
    if (!entry.value && !entry.error) entry.waiting.add(ready);
    return entry.value;
  }
  const fresh = { value: null, error: null, pixels: 0, waiting: new Set([ready]) };
  kept.set(key, fresh);
  get().then(make).then(
    (value) => {
      Object.assign(fresh, { value, pixels: value.width * value.height });
      for (const react of fresh.waiting) react();
      forgetOldest();
    },
    (error) => {
      fresh.error = error;
      if (error.status === 0) kept.delete(key); // asked again when the server is back
      failed?.(error);
    },
  );
  return null;
}

export function forget(beginning) {
  for (const key of kept.keys()) {
    if (key.startsWith(beginning)) kept.delete(key);
  }
}

function forgetOldest() {
  let pixels = [...kept.values()].reduce((sum, entry) => sum + entry.pixels, 0);
  for (const [key, entry] of kept) {
    if (pixels <= ROOM) return;
    if (!entry.value) continue;
    pixels -= entry.pixels;
    kept.delete(key);
  }
}

// Upright planes come with the feet up: `isTurned` puts the head there.
export function bitmapOf(blob, isTurned) {
  return createImageBitmap(blob, { imageOrientation: isTurned ? "flipY" : "from-image" });
}

async function decoded(blob, isTurned) {
  const orientation = isTurned ? "flipY" : "from-image";
  const picture = await createImageBitmap(blob, { ...PIXELWISE, imageOrientation: orientation });
  const { width, height } = picture;
  const context = canvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  picture.close();
  return { data: context.getImageData(0, 0, width, height).data, width, height };
}

export function canvas(width, height) {
  const made = document.createElement("canvas");
  made.width = width;
  made.height = height;
  return made;
}

// Numbers of parts (objects, superpixels) per pixel, 0 for none.
export class Labels {
  constructor(values, width, height) {
    Object.assign(this, { values, width, height });
    this.paths = new Map();
    this.fill = null;
  }

  static async read(blob, isTurned) {
    const { data, width, height } = await decoded(blob, isTurned);
    const values = new Uint16Array(width * height);
    for (let i = 0; i < values.length; i++) values[i] = data[4 * i] + 256 * data[4 * i + 1];
    return new Labels(values, width, height);
  }

  at(row, column) {
    return this.values[row * this.width + column] ?? 0;
  }

  pathOf(value) {
    if (!this.paths.has(value)) {
      const pixels = this.values.map((other) => (other === value ? 1 : 0));
      this.paths.set(value, outline(pixels, this.width, this.height, 2000).path);
    }
    return this.paths.get(value);
  }

  // A canvas in which each object has the colour of its class; `colours`: of each label.
  coloured(colours) {
    const packs = new Map([...colours].map(([label, colour]) => [label, packed(...rgb(colour))]));
    this.fill ??= painted(this.width, this.height, (i) => packs.get(this.values[i]) ?? 0);
    return this.fill;
  }

  // The lines between parts, a canvas.
  borders() {
    this.lines ??= painted(this.width, this.height, (i) => {
      const isLine = this.values[i] !== this.values[i + 1]
        || this.values[i] !== (this.values[i + this.width] ?? this.values[i]);
      return isLine ? packed(255, 255, 255, 150) : 0;
    });
    return this.lines;
  }
}

// A region of one plane: pixels 0 or 1, and its pictures, made when they are first wanted.
export class Mask {
  constructor(pixels, width, height) {
    Object.assign(this, { pixels, width, height });
    this.isEmpty = !pixels.includes(1);
  }

  static async read(blob, isTurned) {
    const { data, width, height } = await decoded(blob, isTurned);
    const pixels = new Uint8Array(width * height);
    for (let i = 0; i < pixels.length; i++) pixels[i] = data[4 * i] > 127 ? 1 : 0;
    return new Mask(pixels, width, height);
  }

  // Null where the outline would be too many lines.
  get path() {
    this.traced ??= outline(this.pixels, this.width, this.height);
    return this.traced.path;
  }

  get isFine() {
    return this.path === null;
  }

  get outside() {
    const dark = packed(8, 8, 8);
    this.dark ??= painted(this.width, this.height, (i) => (this.pixels[i] ? 0 : dark));
    return this.dark;
  }

  filled(colour) {
    const full = packed(...rgb(colour));
    this.full ??= painted(this.width, this.height, (i) => (this.pixels[i] ? full : 0));
    return this.full;
  }

  // A canvas (on a smaller grid) and the share that its full colour stands for.
  get density() {
    if (!this.dense) {
      const { shares, width, height, most } = density(this.pixels, this.width, this.height);
      const alpha = (i) => Math.round(230 * (shares[i] / (most || 1)));
      const colour = rgb(REGION);
      const picture = painted(width, height, (i) => packed(...colour, alpha(i)));
      this.dense = { picture, most };
    }
    return this.dense;
  }
}

// A map: grey and alpha as colours of viridis.
export async function mapOf(blob, isTurned) {
  const { data, width, height } = await decoded(blob, isTurned);
  const colours = scale();
  return painted(width, height, (i) => {
    if (!data[4 * i + 3]) return 0;
    const value = 3 * data[4 * i];
    return packed(colours[value], colours[value + 1], colours[value + 2]);
  });
}

function packed(red, green, blue, alpha = 255) {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// A canvas of packed colours, 0 where nothing is drawn.
function painted(width, height, colourAt) {
  const made = canvas(width, height);
  const image = new ImageData(width, height);
  const colours = new Uint32Array(image.data.buffer);
  for (let i = 0; i < colours.length; i++) colours[i] = colourAt(i);
  made.getContext("2d").putImageData(image, 0, 0);
  return made;
}
