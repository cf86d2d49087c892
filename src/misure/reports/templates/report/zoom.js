// Zoom in the large view: all its pictures show the same part.

const MOST_ZOOM = 40;
let view = WHOLE;

// Zooms by a factor around a point of the picture that stays where it is, in [0, 1] of the canvas.
function zoom(factor, at = null) {
  const [x, y] = at ?? placeOfObject();
  const scale = Math.max(1, Math.min(MOST_ZOOM, view.scale * factor));
  moveTo({ scale, x: view.x + x / view.scale - x / scale, y: view.y + y / view.scale - y / scale });
}

// Where the middle of the open object is on a canvas, in [0, 1]; the middle of the canvas if it is out of sight.
function placeOfObject() {
  const [x, y] = middleOfObject();
  const place = [(x - view.x) * view.scale, (y - view.y) * view.scale];
  return place.every((one) => one >= 0 && one <= 1) ? place : [0.5, 0.5];
}

// Where it is in the picture, in [0, 1].
function middleOfObject() {
  const pictures = [...byId("large-runs").children].find((part) => part.misure)?.misure.pictures;
  if (!pictures) return [0.5, 0.5];
  const { planes, width, height } = pictures;
  let [num, sumX, sumY] = [0, 0, 0];
  for (let i = 0; i < width * height; i++) if (has(TARGET)(planes, 4 * i)) [num, sumX, sumY] = [num + 1, sumX + (i % width), sumY + Math.floor(i / width)];
  return num ? [(sumX / num + 0.5) / width, (sumY / num + 0.5) / height] : [0.5, 0.5];
}

// Zooms until a pixel of the image is one of the screen.
function toSinglePixels() {
  const part = [...byId("large-runs").children].find((one) => one.misure);
  if (!part) return;
  const across = part.querySelector("canvas").getBoundingClientRect().width * (devicePixelRatio || 1);
  zoom(part.misure.pictures.entry.size[1] / across / view.scale);
}

function moveTo({ scale, x, y }) {
  const within = (value) => Math.max(0, Math.min(1 - 1 / scale, value));
  view = { scale, x: within(x), y: within(y) };
  byId("large").classList.toggle("zoomed", scale > 1);
  byId("zoomed").textContent = scale > 1 ? `${scale.toFixed(1)} ×` : "";
  paintAgain();
}

let isAsked = false;
function paintAgain() {
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(() => {
    isAsked = false;
    slide();
  });
}

const placeOn = (canvas, { clientX, clientY }) => {
  const box = canvas.getBoundingClientRect();
  return [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
};

function startZoom() {
  const large = byId("large-runs");
  const fingers = new Map(); // those that touch a canvas -> where
  large.addEventListener("wheel", (event) => {
    if (event.target.tagName !== "CANVAS" || !(event.ctrlKey || view.scale > 1)) return;
    event.preventDefault();
    zoom(2 ** (-event.deltaY / 300), placeOn(event.target, event));
  }, { passive: false });
  large.addEventListener("dblclick", (event) => {
    if (event.target.tagName === "CANVAS") zoom(event.shiftKey ? 0.5 : 2, placeOn(event.target, event));
  });
  large.addEventListener("pointerdown", (event) => {
    if (event.target.tagName !== "CANVAS") return;
    fingers.set(event.pointerId, placeOn(event.target, event));
    if (view.scale > 1) event.target.setPointerCapture(event.pointerId);
  });
  large.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before || event.target.tagName !== "CANVAS") return;
    const now = placeOn(event.target, event);
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) zoom(Math.hypot(now[0] - other[0], now[1] - other[1]) / Math.max(0.01, Math.hypot(before[0] - other[0], before[1] - other[1])), other);
    else if (view.scale > 1) moveTo({ ...view, x: view.x - (now[0] - before[0]) / view.scale, y: view.y - (now[1] - before[1]) / view.scale });
    fingers.set(event.pointerId, now);
  });
  for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, (event) => fingers.delete(event.pointerId));
  byId("closer").addEventListener("click", () => zoom(1.6));
  byId("farther").addEventListener("click", () => zoom(1 / 1.6));
  byId("wider").addEventListener("click", () => {
    const isWide = byId("large").classList.toggle("wide");
    byId("wider").setAttribute("aria-pressed", isWide);
  });
  byId("single").addEventListener("click", toSinglePixels);
  byId("whole").addEventListener("click", () => moveTo(WHOLE));
}
