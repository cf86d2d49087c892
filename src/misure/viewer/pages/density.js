// The density of a region that is too fine to be outlined: the share of the pixels around.
// As in misure's pictures: a Gaussian of 1/32 of the short side, here by three box blurs.

const MOST_SIDE = 320; // pixels of the picture that it is computed on
const NEIGHBOURHOOD = 1 / 32;

// Shares (height x width, in [0, 1]) on a smaller grid, and the largest of them.
export function density(pixels, width, height) {
  const step = Math.max(1, Math.ceil(Math.max(width, height) / MOST_SIDE));
  const small = reduced(pixels, width, height, step);
  const sigma = (NEIGHBOURHOOD * Math.min(width, height)) / step;
  const radii = radiiOf(sigma);
  const everything = small.values.slice().fill(1);
  const inside = blurred(small.values, small.width, small.height, radii);
  const outside = blurred(everything, small.width, small.height, radii);
  let most = 0;
  const shares = inside.map((value, i) => value / outside[i]);
  for (const share of shares) most = Math.max(most, share);
  return { shares, width: small.width, height: small.height, most };
}

function reduced(pixels, width, height, step) {
  const across = Math.ceil(width / step);
  const down = Math.ceil(height / step);
  const sums = new Float32Array(across * down);
  const counts = new Float32Array(across * down);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const cell = Math.floor(row / step) * across + Math.floor(column / step);
      sums[cell] += pixels[row * width + column] ? 1 : 0;
      counts[cell] += 1;
    }
  }
  return { values: sums.map((sum, i) => sum / counts[i]), width: across, height: down };
}

// Radii of three boxes whose variances add up to that of the Gaussian, nearly.
function radiiOf(sigma) {
  const variance = (radius) => (radius * (radius + 1)) / 3;
  const low = Math.floor((Math.sqrt(4 * sigma * sigma + 1) - 1) / 2);
  const missing = sigma * sigma - 3 * variance(low);
  const numHigh = Math.round(missing / (variance(low + 1) - variance(low)));
  return [0, 1, 2].map((turn) => (turn < numHigh ? low + 1 : low));
}

function blurred(values, width, height, radii) {
  let result = values;
  for (const radius of radii) {
    result = boxed(result, width, height, 1, width, radius);
    result = boxed(result, height, width, width, 1, radius);
  }
  return result;
}

// Sums over 2 radius + 1 neighbours along lines of `length` values that lie `step` apart.
function boxed(values, length, lines, step, lineStep, radius) {
  const result = new Float32Array(values.length);
  for (let line = 0; line < lines; line++) {
    const start = line * lineStep;
    let sum = 0;
    for (let i = -radius; i < length; i++) {
      if (i + radius < length) sum += values[start + (i + radius) * step];
      if (i - radius - 1 >= 0) sum -= values[start + (i - radius - 1) * step];
      if (i >= 0) result[start + i * step] = sum / (2 * radius + 1);
    }
  }
  return result;
}
