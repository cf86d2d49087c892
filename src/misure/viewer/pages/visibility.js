// Which pixels of an image are shown in "what if": strokes, fills, undo.

import { indexAt } from "./planes.js";

const MOST_REMEMBERED = 60e6; // flipped pixels that are kept for undo

export class Visibility {
  constructor(size) {
    this.size = size;
    this.bytes = new Uint8Array(size).fill(1);
    this.bits = null; // instead of the bytes, while it rests
    this.done = []; // for each action the pixels that it flipped
    this.undone = [];
    this.stroke = null;
  }

  // 1 for each pixel that is shown, else 0.
  get shown() {
    if (this.bits) this.#wake();
    return this.bytes;
  }

  // Flipped pixels that are kept for undo.
  get numSteps() {
    return [...this.done, ...this.undone].reduce((sum, action) => sum + action.length, 0);
  }

  forgetSteps() {
    this.done = [];
    this.undone = [];
  }

  // Takes an eighth of the room until it is looked at again.
  rest() {
    if (this.bits) return;
    this.bits = new Uint8Array(Math.ceil(this.size / 8));
    for (let i = 0; i < this.size; i++) this.bits[i >> 3] |= this.bytes[i] << (i & 7);
    this.bytes = null;
  }

  #wake() {
    this.bytes = new Uint8Array(this.size);
    for (let i = 0; i < this.size; i++) this.bytes[i] = (this.bits[i >> 3] >> (i & 7)) & 1;
    this.bits = null;
  }

  begin() {
    this.stroke = [];
  }

  put(index, value) {
    if (this.shown[index] === value) return;
    this.bytes[index] = value;
    this.stroke.push(index);
  }

  // Ends an action; whether it changed anything.
  end() {
    const flipped = Uint32Array.from(this.stroke ?? []);
    this.stroke = null;
    if (!flipped.length) return false;
    this.done.push(flipped);
    this.undone = [];
    let remembered = this.done.reduce((sum, action) => sum + action.length, 0);
    while (remembered > MOST_REMEMBERED && this.done.length > 1) {
      remembered -= this.done.shift().length;
    }
    return true;
  }

  undo() {
    return this.#flip(this.done, this.undone);
  }

  redo() {
    return this.#flip(this.undone, this.done);
  }

  // Shows what `wanted` says of each pixel (0 or 1), as one action.
  fill(wanted) {
    this.begin();
    for (let index = 0; index < this.size; index++) {
      this.put(index, wanted(index) ? 1 : 0);
    }
    return this.end();
  }

  #flip(from, to) {
    const action = from.pop();
    if (!action) return false;
    const { shown } = this;
    for (const index of action) shown[index] ^= 1;
    to.push(action);
    return true;
  }
}

// Paints from one point to another of a plane (in pixels, corners at whole numbers).
// The radius is in the plane's smaller cell side; `depth` says which slices: slice, ball, all.
export function paint(visibility, plane, slice, from, to, radius, value, depth = "slice") {
  const unit = Math.min(...plane.cell);
  for (const [number, reach] of slicesPainted(plane, slice, radius, unit, depth)) {
    paintSlice(visibility, plane, number, from, to, reach, unit, value);
  }
}

function slicesPainted(plane, slice, radius, unit, depth) {
  if (plane.axis === null || depth === "slice") return [[slice, radius]];
  const numbers = Array.from({ length: plane.slices }, (_, number) => number);
  if (depth === "all") return numbers.map((number) => [number, radius]);
  const away = (number) => (Math.abs(number - slice) * plane.depth) / unit;
  return numbers
    .filter((number) => number === slice || away(number) < radius)
    .map((number) => [number, Math.sqrt(Math.max(0, radius ** 2 - away(number) ** 2))]);
}

function paintSlice(visibility, plane, slice, from, to, radius, unit, value) {
  const [high, wide] = plane.cell.map((side) => side / unit);
  const rows = range(from.y, to.y, radius / high, plane.height);
  const columns = range(from.x, to.x, radius / wide, plane.width);
  const [ax, ay] = [from.x * wide, from.y * high];
  const [dx, dy] = [to.x * wide - ax, to.y * high - ay];
  const length = dx * dx + dy * dy;
  for (let row = rows[0]; row <= rows[1]; row++) {
    for (let column = columns[0]; column <= columns[1]; column++) {
      const [px, py] = [(column + 0.5) * wide - ax, (row + 0.5) * high - ay];
      const share = length ? Math.max(0, Math.min(1, (px * dx + py * dy) / length)) : 0;
      const distance = (px - share * dx) ** 2 + (py - share * dy) ** 2;
      const isUnder = row === Math.floor(to.y) && column === Math.floor(to.x);
      if (distance <= radius * radius || isUnder) {
        visibility.put(indexAt(plane, slice, row, column), value);
      }
    }
  }
}

// The box of pixels that such a stroke can reach in its slice.
export function boxOf(plane, from, to, radius) {
  const unit = Math.min(...plane.cell);
  const rows = range(from.y, to.y, (radius * unit) / plane.cell[0], plane.height);
  const columns = range(from.x, to.x, (radius * unit) / plane.cell[1], plane.width);
  return { top: rows[0], bottom: rows[1] + 1, left: columns[0], right: columns[1] + 1 };
}

function range(a, b, reach, length) {
  const low = Math.floor(Math.min(a, b) - reach);
  const high = Math.floor(Math.max(a, b) + reach);
  return [Math.max(0, low), Math.min(length - 1, high)];
}
