// Colours of misure's pictures: Okabe and Ito's, and viridis for maps.

export const TARGET = "#D55E00"; // vermilion, solid
export const REGION = "#56B4E9"; // sky blue, dashed
export const SUFFICIENT = "#0072B2"; // blue, dotted
export const DRAWN = "#F0E442"; // yellow, solid
export const CLASSES = [
  "#E69F00", "#009E73", "#0072B2", "#CC79A7", "#F0E442", "#56B4E9", "#D55E00",
];

const VIRIDIS = [
  [68, 1, 84], [72, 26, 108], [71, 47, 125], [65, 68, 135], [57, 86, 140], [49, 104, 142],
  [42, 120, 142], [35, 136, 142], [31, 152, 139], [34, 168, 132], [53, 183, 121], [84, 197, 104],
  [122, 209, 81], [165, 219, 54], [210, 226, 27], [253, 231, 37],
];

export function rgb(colour) {
  return [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
}

// Colours by class index: the first found has the first, as in misure's pictures.
export function coloursOf(objects) {
  const found = [...new Set(objects.map((object) => object.class_index))];
  return new Map(found.map((index, place) => [index, CLASSES[place % CLASSES.length]]));
}

// 256 colours (768 numbers) between the anchors of the scale.
export function scale(anchors = VIRIDIS) {
  const colours = new Uint8Array(768);
  for (let value = 0; value < 256; value++) {
    const place = (value / 255) * (anchors.length - 1);
    const below = Math.min(anchors.length - 2, Math.floor(place));
    for (let i = 0; i < 3; i++) {
      const step = anchors[below + 1][i] - anchors[below][i];
      colours[3 * value + i] = Math.round(anchors[below][i] + (place - below) * step);
    }
  }
  return colours;
}
