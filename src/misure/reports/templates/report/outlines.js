// Outlines of regions as paths: drawn sharp at any size.

const MOST_OUTLINES = 40; // of one region; more would hide the picture

// East, south, west, north: from a corner of a pixel to the next one.
const STEPS = [[1, 0], [0, 1], [-1, 0], [0, -1]];

// The closed outlines of the pixels that `inside` holds, each a list of x, y in pixels; corners are cut.
function outlinesOf(inside, width, height) {
  const columns = width + 1;
  const leaving = new Uint8Array(columns * (height + 1)); // directions of the edges that leave a corner
  for (let y = 0, i = 0; y < height; y++) for (let x = 0; x < width; x++, i++) {
    if (!inside[i]) continue;
    const corner = y * columns + x;
    if (y === 0 || !inside[i - width]) leaving[corner] |= 1;
    if (x === width - 1 || !inside[i + 1]) leaving[corner + 1] |= 2;
    if (y === height - 1 || !inside[i + width]) leaving[corner + columns + 1] |= 4;
    if (x === 0 || !inside[i - 1]) leaving[corner + columns] |= 8;
  }
  const outlines = [];
  for (let corner = 0; corner < leaving.length; corner++) while (leaving[corner]) {
    const first = 31 - Math.clz32(leaving[corner] & -leaving[corner]);
    outlines.push(followed(leaving, corner, first, columns));
  }
  return outlines;
}

// Follows edges until none is left, the inside on the right, and takes them away; through their middles.
function followed(leaving, corner, direction, columns) {
  const points = [];
  let [x, y] = [corner % columns, Math.floor(corner / columns)];
  let [atX, atY, stepX, stepY] = [NaN, NaN, NaN, NaN]; // the middle before, and the step to it
  for (;;) {
    leaving[y * columns + x] &= ~(1 << direction);
    const [dx, dy] = STEPS[direction];
    const [middleX, middleY] = [x + dx / 2, y + dy / 2];
    if (middleX - atX === stepX && middleY - atY === stepY) points.length -= 2; // straight on
    points.push(middleX, middleY);
    [stepX, stepY, atX, atY] = [middleX - atX, middleY - atY, middleX, middleY];
    [x, y] = [x + dx, y + dy];
    const next = leaving[y * columns + x];
    if (!next) return points;
    direction = [1, 0, 3].map((turn) => (direction + turn) % 4).find((one) => next & (1 << one));
  }
}

function pathOf(outlines) {
  const path = new Path2D();
  for (const points of outlines) {
    path.moveTo(points[0], points[1]);
    for (let i = 2; i < points.length; i += 2) path.lineTo(points[i], points[i + 1]);
    path.closePath();
  }
  return path;
}

// The path around the pixels of an object's planes that a test holds, made once; null: too many outlines.
function outline(pictures, name, holds) {
  if (!pictures.outlines.has(name)) {
    const { planes, width, height } = pictures;
    const inside = new Uint8Array(width * height);
    for (let i = 0; i < inside.length; i++) inside[i] = holds(planes, 4 * i) ? 1 : 0;
    const found = outlinesOf(inside, width, height);
    pictures.outlines.set(name, found.length > MOST_OUTLINES ? null : pathOf(found));
  }
  return pictures.outlines.get(name);
}
