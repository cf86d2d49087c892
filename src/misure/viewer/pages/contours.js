// The outline of a region, along the edges of its pixels.

export const OUTLINED = 40; // parts and holes up to which a region is outlined

const STEPS = [[1, 0], [0, 1], [-1, 0], [0, -1]]; // east, south, west, north

// A path in pixels, and how many closed lines it has; the path is null if they are too many.
export function outline(pixels, width, height, most = OUTLINED) {
  const leaving = edges(pixels, width, height);
  const path = new Path2D();
  const across = width + 1;
  let loops = 0;
  for (let vertex = 0; vertex < leaving.length; vertex++) {
    while (leaving[vertex]) {
      loops += 1;
      if (loops > most) return { path: null, loops };
      follow(leaving, vertex, across, path);
    }
  }
  return { path, loops };
}

// For each corner of the grid the directions (bits) of the edges that leave it, region at right.
function edges(pixels, width, height) {
  const across = width + 1;
  const leaving = new Uint8Array(across * (height + 1));
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const place = row * width + column;
      if (!pixels[place]) continue;
      const corner = row * across + column;
      if (row === 0 || !pixels[place - width]) leaving[corner] |= 1;
      if (column === width - 1 || !pixels[place + 1]) leaving[corner + 1] |= 2;
      if (row === height - 1 || !pixels[place + width]) leaving[corner + across + 1] |= 4;
      if (column === 0 || !pixels[place - 1]) leaving[corner + across] |= 8;
    }
  }
  return leaving;
}

function follow(leaving, start, across, path) {
  const first = lowest(leaving[start]);
  let [x, y] = [start % across, Math.floor(start / across)];
  let vertex = start;
  let direction = first;
  path.moveTo(x, y);
  for (;;) {
    leaving[vertex] &= ~(1 << direction);
    x += STEPS[direction][0];
    y += STEPS[direction][1];
    vertex = y * across + x;
    if (vertex === start && (!leaving[vertex] || (direction + 1) % 4 === first)) break;
    const next = turned(leaving[vertex], direction);
    if (next !== direction) path.lineTo(x, y);
    direction = next;
  }
  path.closePath();
}

function lowest(bits) {
  return bits & 1 ? 0 : bits & 2 ? 1 : bits & 4 ? 2 : 3;
}

// Right before straight before left, so that pixels that touch at a corner stay apart.
function turned(bits, direction) {
  for (const turn of [1, 0, 3]) {
    const next = (direction + turn) % 4;
    if (bits & (1 << next)) return next;
  }
  return null;
}
