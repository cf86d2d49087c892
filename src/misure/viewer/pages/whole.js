// Regions of all voxels: of a picture at once, of a volume slice by slice.

import { Labels, Mask } from "./pictures.js";
import { getBlob } from "./server.js";
import { state } from "./state.js";

const AT_A_TIME = 6; // slices that are asked for

// Pixels 0 or 1 of a region of an explanation.
export async function regionEverywhere(id, name) {
  const path = `explanations/${id}/regions/${name}`;
  return everywhere([0, numSlices()], async (where) => (await read(path, where, Mask)).pixels);
}

// Pixels 0 or 1 of an object; `labels` are those of the one plane of a picture.
export async function objectEverywhere(object, labels) {
  const wanted = (found) => found.values.map((value) => (value === object.number + 1 ? 1 : 0));
  if (!state.image.is_volume && labels) return wanted(labels);
  const path = `images/${state.image.number}/labels`;
  const range = state.image.is_volume ? [object.box[0], object.box[3]] : [0, 1];
  return everywhere(range, async (where) => wanted(await read(path, where, Labels)));
}

function numSlices() {
  return state.image.is_volume ? state.image.shape[0] : 1;
}

async function read(path, where, kind) {
  return kind.read(await getBlob(path, where), false);
}

async function everywhere([first, end], pixelsOf) {
  const { image } = state;
  const size = image.shape.slice(-2).reduce((a, b) => a * b, 1);
  const voxels = new Uint8Array(size * numSlices());
  const plane = image.planes[0];
  for (let start = first; start < end; start += AT_A_TIME) {
    const slices = [];
    for (let slice = start; slice < Math.min(end, start + AT_A_TIME); slice++) slices.push(slice);
    await Promise.all(slices.map(async (slice) => {
      voxels.set(await pixelsOf({ plane, slice }), slice * size);
    }));
  }
  return voxels;
}
