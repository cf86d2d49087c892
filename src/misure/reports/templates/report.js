"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const runNames = JSON.parse(document.getElementById("run-names").textContent);
const byId = (id) => document.getElementById(id);
const COLOURS = { target: [213, 94, 0], sufficient: [0, 114, 178], minimal: [230, 159, 0] };
const TARGET = 1, SUFFICIENT = 2, MINIMAL = 4;
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const collator = new Intl.Collator("en", { numeric: true });
let shown = [];
let current = -1;

function make(tag, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
}

// --- pictures ---------------------------------------------------------------------------------

function load(kind, base64) {
  const image = new Image();
  image.src = `data:image/${kind};base64,${base64}`;
  return image.decode().then(() => image);
}

function pixelsOf(image, width, height) {
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

async function picturesOf(object, run) {
  const entry = object.runs[run];
  const planes = await load("png", entry.planes);
  const { naturalWidth: width, naturalHeight: height } = planes;
  const image = await load("jpeg", data.images[object.image]);
  return { width, height, planes: pixelsOf(planes, width, height).data, image: pixelsOf(image, width, height).data };
}

function mapColour(value) {
  const place = (value / 255) * (VIRIDIS.length - 1);
  const low = Math.min(VIRIDIS.length - 2, Math.floor(place));
  return VIRIDIS[low].map((c, i) => c + (place - low) * (VIRIDIS[low + 1][i] - c));
}

function isEdge(planes, width, height, x, y, inside) {
  if (!inside(planes, 4 * (y * width + x))) return false;
  return [[-1, 0], [1, 0], [0, -1], [0, 1]].some(([dx, dy]) => {
    const [u, v] = [x + dx, y + dy];
    return u < 0 || v < 0 || u >= width || v >= height || !inside(planes, 4 * (v * width + u));
  });
}

const has = (flag) => (planes, i) => (planes[i + 1] & flag) !== 0;

// layer: outlines, map, seen or image; nested: only pixels held by at least so many nested regions
function paint(canvas, pictures, layer, nested = null) {
  const { width, height, planes, image } = pictures;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const result = context.createImageData(width, height);
  const needed = nested === null ? has(MINIMAL) : (p, i) => p[i + 2] >= nested;
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const i = 4 * (y * width + x);
    let colour = [image[i], image[i + 1], image[i + 2]];
    if (layer === "map") colour = mapColour(planes[i]);
    if (layer === "seen" && !needed(planes, i)) colour = colour.map((c) => 0.12 * c + 30);
    if (layer === "outlines") {
      if (needed(planes, i)) colour = colour.map((c, k) => 0.4 * c + 0.6 * COLOURS.minimal[k]);
      if (isEdge(planes, width, height, x, y, has(SUFFICIENT))) colour = COLOURS.sufficient;
    }
    if (layer !== "image" && isEdge(planes, width, height, x, y, has(TARGET))) colour = COLOURS.target;
    result.data.set([...colour, 255], i);
  }
  context.putImageData(result, 0, 0);
}

// --- cards ------------------------------------------------------------------------------------

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

function figuresOf(entry) {
  if (entry.relative_area === undefined) return `${entry.passes} passes`;
  return `needs ${entry.relative_area.toFixed(2)} × object, ${percent(entry.outside)} outside, ` +
    `growth ${entry.growth_px.toFixed(0)} px`;
}

function allFiguresOf(entry) {
  return regionFiguresOf(entry) + (entry.predicted_dice === undefined ? "" : `; predicted Dice ${entry.predicted_dice.toFixed(2)} ` +
    `(${entry.low.toFixed(2)} to ${entry.high.toFixed(2)}), chance of failure ${percent(entry.failure_probability)}` +
    entry.reasons.map(([name, part]) => `, ${name.replaceAll("_", " ")} ${part.toFixed(2)}`).join(""));
}

function regionFiguresOf(entry) {
  if (entry.relative_area === undefined) return figuresOf(entry);
  const context = entry.context.filter(([, share]) => share >= 0.01).map(([name, share]) => `${name} ${percent(share)}`);
  return `${figuresOf(entry)}; minimally sufficient region ${percent(entry.area)} of the image, Dice ${entry.dice.toFixed(3)}, ` +
    `${entry.num_parts} parts; sufficient region ${percent(entry.sufficient_area)}; outline alone Dice ` +
    `${entry.silhouette_dice.toFixed(2)}, on another image ${entry.transfer_dice.toFixed(2)}; ${entry.passes} pass equivalents` +
    (context.length ? `; context: ${context.join(", ")}` : "");
}

const painter = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) {
    painter.unobserve(target);
    const { object, run } = target.misure;
    picturesOf(object, run).then((pictures) => paint(target, pictures, byId("layer").value));
  }
}, { rootMargin: "300px" });

function cardOf(object, place) {
  const runs = make("span", { className: "runs" });
  object.runs.forEach((entry, run) => {
    const cell = make("span");
    if (runNames.length > 1) cell.append(make("span", { className: "figures", textContent: runNames[run] }));
    if (!entry) cell.append(make("span", { className: "figures", textContent: "not in this run" }));
    else if (entry.failed) cell.append(make("span", { className: "failure", textContent: `failed: ${entry.failed}` }));
    else {
      const canvas = make("canvas", { width: 160, height: 120 });
      canvas.misure = { object, run };
      painter.observe(canvas);
      cell.append(canvas, make("span", { className: "figures", textContent: figuresOf(entry) }));
    }
    runs.append(cell);
  });
  const button = make("button", { className: "card", type: "button" },
    make("span", { className: "name", textContent: object.class ? `${object.class} · ${object.key}` : object.key }), runs);
  button.addEventListener("click", () => open(place));
  return make("li", {}, button);
}

const STEP = 240; // cards made at a time; more as the reader comes to the end
let numMade = 0;

function makeMore() {
  const some = shown.slice(numMade, numMade + STEP);
  byId("cards").append(...some.map((object, i) => cardOf(object, numMade + i)));
  numMade += some.length;
}

function contextsOf(object) {
  return object.runs.flatMap((entry) => entry?.context ?? []).filter(([, share]) => share >= 0.01).map(([name]) => name);
}

function update() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [wanted, context, sort] = ["class", "context", "sort"].map((id) => byId(id).value);
  const run = Number(byId("of-run")?.value ?? 0);
  const sign = byId("descending").checked && sort !== "key" ? -1 : 1;
  const text = (object) => `${object.class} ${object.key} ${object.runs.map((e) => e?.failed ?? "").join(" ")}`.toLowerCase();
  shown = data.objects.filter((object) =>
    (!wanted || object.class === wanted) &&
    (!context || contextsOf(object).includes(context)) &&
    words.every((word) => text(object).includes(word)));
  const value = (object) => object.runs[run]?.[sort];
  shown.sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (sort !== "key" && (x === undefined) !== (y === undefined)) return x === undefined ? 1 : -1;
    return (sort === "key" || x === undefined ? 0 : sign * (x - y)) || collator.compare(a.key, b.key);
  });
  byId("cards").replaceChildren();
  numMade = 0;
  makeMore();
  byId("count").textContent = `${shown.length} of ${data.objects.length} objects`;
}

// --- the large view ---------------------------------------------------------------------------

function open(place) {
  current = Math.max(0, Math.min(shown.length - 1, place));
  const object = shown[current];
  byId("large-title").textContent = object.class ? `${object.class} · ${object.key}` : object.key;
  const thresholds = object.runs.map((entry) => (entry?.curve ?? []).map(([threshold]) => threshold));
  const most = Math.max(0, ...thresholds.map((one) => one.length));
  const slider = byId("slider");
  slider.max = most;
  slider.value = most ? Math.max(0, thresholds.find((one) => one.length).indexOf(0.9)) : 0;
  slider.disabled = byId("slider-label").hidden = !most;
  if (most) slider.max = most - 1;
  const parts = object.runs.map((entry, run) => {
    const part = make("div", { className: "run" });
    if (runNames.length > 1) part.append(make("h3", { textContent: runNames[run] }));
    if (!entry || entry.failed) {
      part.append(make("p", { className: "failure", textContent: entry ? `failed: ${entry.failed}` : "not in this run" }));
      return part;
    }
    const kinds = [["image", "image"], ["outlines", "object, sufficient region, nested region"],
      ["seen", "nested region alone"], ["map", "saliency map"]];
    const figures = kinds.map(([kind, caption]) => {
      const canvas = make("canvas", { width: 160, height: 120 });
      canvas.dataset.kind = kind;
      return make("figure", {}, canvas, make("figcaption", { textContent: caption }));
    });
    part.append(make("div", { className: "pictures" }, ...figures), make("p", { className: "figures", textContent: allFiguresOf(entry) }));
    picturesOf(object, run).then((pictures) => { part.misure = { pictures, entry }; slide(); });
    return part;
  });
  byId("large-runs").replaceChildren(...parts);
  slide();
  if (!byId("large").open) byId("large").showModal();
}

// A pixel that the region of the i-th threshold of n holds is held by n - i regions or more.
function slide() {
  const step = Number(byId("slider").value);
  const said = [];
  for (const part of byId("large-runs").children) {
    if (!part.misure) continue;
    const { pictures, entry } = part.misure;
    const curve = entry.curve ?? [];
    const point = curve[Math.min(step, curve.length - 1)];
    const nested = point ? curve.length - Math.min(step, curve.length - 1) : null;
    for (const canvas of part.querySelectorAll("canvas")) paint(canvas, pictures, canvas.dataset.kind, nested);
    if (point) said.push(`${point[0]}: ${percent(point[1])} of the image, Dice ${point[2].toFixed(3)}`);
  }
  byId("slider-value").textContent = said.join(" · ");
}

// --- tables, filters, keys --------------------------------------------------------------------

for (const table of document.querySelectorAll(".sortable")) {
  table.querySelectorAll("thead th").forEach((heading, column) => heading.firstElementChild?.addEventListener("click", () => {
    const direction = heading.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
    table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", direction);
    const sign = direction === "descending" ? -1 : 1;
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const rows = [...table.tBodies[0].rows].sort((a, b) => sign * collator.compare(value(a), value(b)));
    if (column) rows.sort((a, b) => sign * (Number(value(a)) - Number(value(b))));
    table.tBodies[0].append(...rows);
  }));
}

function options(id, names) {
  const all = make("option", { value: "", textContent: "all" });
  byId(id).replaceChildren(all, ...[...new Set(names)].sort(collator.compare).map((name) => make("option", { value: name, textContent: name })));
}

options("class", data.objects.map((object) => object.class).filter(Boolean));
options("context", data.objects.flatMap(contextsOf));
for (const button of document.querySelectorAll(".to-class, .to-context")) button.addEventListener("click", () => {
  byId("class").value = button.dataset.class;
  byId("context").value = button.dataset.context ?? "";
  if (byId("of-run")) byId("of-run").value = button.dataset.run;
  byId("sort").value = "outside";
  update();
  byId("filters").scrollIntoView();
  byId("cards").querySelector("button")?.focus({ preventScroll: true });
});
// Opens the object of this key, its filters off, where this page has it.
function openKey(key) {
  if (!data.objects.some((object) => object.key === key)) return;
  byId("filters").reset();
  update();
  open(shown.findIndex((object) => object.key === key));
}

for (const button of document.querySelectorAll(".to-object")) button.addEventListener("click", () => {
  openKey(button.dataset.key);
  byId("large").addEventListener("close", () => button.focus(), { once: true });
});
byId("filters").addEventListener("input", update);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("reset", () => setTimeout(update));
byId("slider").addEventListener("input", slide);
document.addEventListener("keydown", (event) => {
  const typing = ["INPUT", "SELECT"].includes(document.activeElement.tagName);
  if (byId("large").open && !typing && ["ArrowLeft", "ArrowRight"].includes(event.key)) {
    open(current + (event.key === "ArrowRight" ? 1 : -1));
  } else if (event.key === "/" && !typing && !byId("large").open) {
    event.preventDefault();
    byId("search").focus();
  }
});
byId("large").addEventListener("close", () => byId("cards").children[current]?.firstElementChild.focus());
new IntersectionObserver(([entry]) => { if (entry.isIntersecting && numMade < shown.length) makeMore(); },
  { rootMargin: "800px" }).observe(document.querySelector("footer"));
update();
if (location.hash.length > 1) openKey(decodeURIComponent(location.hash.slice(1)));
