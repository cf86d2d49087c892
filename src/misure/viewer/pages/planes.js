// The planes of an image and how their pixels lie in the flat array of all its voxels.
// Volumes are (z, y, x): z from feet to head, y from front to back. The upright planes have the
// head up, the server sends them with the feet up (`isTurned`). Of a volume of which nobody knows
// how it lies, no plane is turned.

export function planesOf(image) {
  if (!image.is_volume) {
    const [height, width] = image.shape;
    return [{
      name: image.planes[0], axis: null, height, width, slices: 1, cell: [1, 1], depth: 1,
      isTurned: false, start: 0, sliceStep: 0, rowStep: width, columnStep: 1,
    }];
  }
  const [z, y, x] = image.shape;
  const [dz, dy, dx] = image.spacing_mm ?? [1, 1, 1];
  const isTurned = image.is_oriented;
  const upright = {
    isTurned, start: isTurned ? (z - 1) * y * x : 0, rowStep: isTurned ? -y * x : y * x,
  };
  const [axial, coronal, sagittal] = image.plane_labels;
  return [
    { name: "axial", label: axial, axis: 0, height: y, width: x, slices: z, cell: [dy, dx],
      depth: dz, isTurned: false, start: 0, sliceStep: y * x, rowStep: x, columnStep: 1 },
    { name: "coronal", label: coronal, axis: 1, height: z, width: x, slices: y, cell: [dz, dx],
      depth: dy, ...upright, sliceStep: x, columnStep: 1 },
    { name: "sagittal", label: sagittal, axis: 2, height: z, width: y, slices: x, cell: [dz, dy],
      depth: dx, ...upright, sliceStep: 1, columnStep: x },
  ];
}

export function sliceOf(plane, position) {
  return plane.axis === null ? 0 : position[plane.axis];
}

// The row and column of a voxel in its slice of a plane.
export function placeIn(plane, position, shape) {
  const [z, y, x] = position;
  if (plane.axis === null) return { row: y, column: x };
  if (plane.axis === 0) return { row: y, column: x };
  const row = plane.isTurned ? shape[0] - 1 - z : z;
  return { row, column: plane.axis === 1 ? x : y };
}

// The voxel (z, y, x) of a pixel.
export function voxelAt(plane, slice, row, column, shape) {
  if (plane.axis === null) return [0, row, column];
  if (plane.axis === 0) return [slice, row, column];
  const z = plane.isTurned ? shape[0] - 1 - row : row;
  return plane.axis === 1 ? [z, slice, column] : [z, column, slice];
}

// A voxel (z, y, x), or a pixel, as --point takes it: in the order in which the image is stored.
export function pointOf(image, voxel) {
  if (!image.is_volume) return voxel.slice(1);
  const stored = [0, 0, 0];
  image.order.forEach(([axis, isTurned], i) => {
    stored[axis] = isTurned ? image.shape[i] - 1 - voxel[i] : voxel[i];
  });
  return stored;
}

export function indexAt(plane, slice, row, column) {
  return plane.start + slice * plane.sliceStep + row * plane.rowStep + column * plane.columnStep;
}

// The pixels of a box of one slice out of all voxels.
export function cut(voxels, plane, slice, { top, left, bottom, right }) {
  const width = right - left;
  const pixels = new Uint8Array((bottom - top) * width);
  for (let row = top; row < bottom; row++) {
    let from = indexAt(plane, slice, row, left);
    const start = (row - top) * width;
    for (let to = start; to < start + width; to++) {
      pixels[to] = voxels[from];
      from += plane.columnStep;
    }
  }
  return pixels;
}

export function limited(position, shape) {
  const full = shape.length === 3 ? shape : [1, ...shape];
  return position.map((value, axis) => Math.max(0, Math.min(full[axis] - 1, Math.round(value))));
}
