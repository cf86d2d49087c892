"use strict";
const parsed = (id) => JSON.parse(document.getElementById(id).textContent);
const data = parsed("data");
const runs = parsed("runs").map((run, i) => ({ ...run, ...data.runs[i] }));
const NUM = data.keys.length;
const byId = (id) => document.getElementById(id);
const COLOURS = { target: [213, 94, 0], sufficient: [0, 114, 178], minimal: [230, 159, 0], reasons: [204, 121, 167] };
const TARGET = 1, SUFFICIENT = 2, MINIMAL = 4, UNKNOWN = 8;
const HIDDEN = { necessary: 16, surroundings: 32 }, REASONS = 64;
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const collator = new Intl.Collator("en", { numeric: true });
const labels = new Map(data.labels);
let shown = []; // objects by number, as filtered and sorted
let current = -1;

function make(tag, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
}

// --- what is known of an object in a run ------------------------------------------------------

const NONE = "-", REGIONS = "r", MAP = "m", FAILED = "f";
const statusOf = (object, run) => runs[run].status[object];
const isDone = (object, run) => statusOf(object, run) === REGIONS || statusOf(object, run) === MAP;
const classOf = (object, run) => runs[run].class[object] ?? data.classes[object];
const keyOf = (object, run) => runs[run].key[object] ?? data.keys[object];
const figureOf = (object, run, name) => runs[run].figures[name]?.[object] ?? null;
const contextOf = (object, run) => runs[run].context[object] ?? [];
const notesOf = (object, run) => runs[run].notes[object] ?? [];
const leansOf = (object, run) => runs[run].leans[object] ?? "";
const lostOf = (object, run) => runs[run].lost[object] ?? "";
const dustOf = (object, run) => runs[run].dust[object] ?? "";
const sentencesOf = (object, run) => [leansOf, lostOf, dustOf].map((of) => of(object, run)).filter(Boolean);
const titled = (key, name) => (name ? `${name} · ${key}` : key);
const titleOf = (object) => titled(data.keys[object], data.names[data.classes[object]]);

// --- pictures, part by part -------------------------------------------------------------------

const MOST_PARTS = 60; // kept in memory
const parts = new Map(); // number -> promise of its pictures, the latest used last
const waiting = new Map(); // number -> what to call when its file has come
const inPage = [...document.querySelectorAll("script.pictures")];
const isInPage = inPage.length > 0;

globalThis.misurePictures = (number, build, part) => waiting.get(number)?.(build === data.build ? part : null);

function loadPart(number) {
  return new Promise((resolve, reject) => {
    const src = `${encodeURIComponent(data.folder)}/pictures-${number}.js`;
    const script = make("script", { src });
    const end = (part) => {
      waiting.delete(number);
      script.remove();
      if (part) return resolve(part);
      parts.delete(number);
      byId("missing").textContent = `The pictures in the folder ${data.folder} are missing, or of another report. It belongs beside this page.`;
      byId("missing").hidden = false;
      return reject(new Error(`no pictures in ${src}`));
    };
    waiting.set(number, end);
    script.onerror = script.onload = () => waiting.has(number) && end(null);
    document.head.append(script);
  });
}

// The promise of a part's pictures: one for all that ask for them.
function partOf(object) {
  const number = Math.floor(object / data.of_part);
  const read = isInPage ? () => Promise.resolve(JSON.parse(inPage[number].textContent)) : () => loadPart(number);
  const part = parts.get(number) ?? read();
  parts.delete(number);
  parts.set(number, part);
  if (parts.size > MOST_PARTS) parts.delete(parts.keys().next().value);
  return part;
}

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
  const part = await partOf(object);
  const entry = part.objects[object % data.of_part][run];
  const planes = await load("png", entry.planes);
  const { naturalWidth: width, naturalHeight: height } = planes;
  const image = await load("jpeg", part.images[entry.image]);
  const densities = entry.densities ? await load("png", entry.densities) : null;
  return { entry, width, height, densities, planes: pixelsOf(planes, width, height).data, image: pixelsOf(image, width, height).data };
}

// The density of a region of dust, in [0, 1] at each pixel: that of the nested one, or the minimal one.
function densityOf({ entry, width, height, densities }, nested) {
  const num = entry.curve?.length ?? 1;
  const own = Math.max(0, entry.curve?.findIndex(([threshold]) => threshold === entry.threshold) ?? 0);
  const level = nested === null ? own : num - nested;
  const side = densities.naturalHeight / num;
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  context.drawImage(densities, 0, level * side, densities.naturalWidth, side, 0, 0, width, height);
  const { data: values } = context.getImageData(0, 0, width, height);
  return (i) => values[i] / 255;
}

function mapColour(value) {
  const place = (value / 255) * (VIRIDIS.length - 1);
  const low = Math.min(VIRIDIS.length - 2, Math.floor(place));
  return VIRIDIS[low].map((c, i) => c + (place - low) * (VIRIDIS[low + 1][i] - c));
}

const hatch = (x, y) => Array(3).fill((x + y) % 6 < 2 ? 119 : 187);

function isEdge(planes, width, height, x, y, inside) {
  if (!inside(planes, 4 * (y * width + x))) return false;
  return [[-1, 0], [1, 0], [0, -1], [0, 1]].some(([dx, dy]) => {
    const [u, v] = [x + dx, y + dy];
    return u < 0 || v < 0 || u >= width || v >= height || !inside(planes, 4 * (v * width + u));
  });
}

const has = (flag) => (planes, i) => (planes[i + 1] & flag) !== 0;

// layer: outlines, map, seen, necessary, surroundings, reasons or image; nested: only pixels held by at least so many nested regions
function paint(canvas, pictures, layer, nested = null) {
  const { width, height, planes, image } = pictures;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const result = context.createImageData(width, height);
  const needed = nested === null ? has(MINIMAL) : (p, i) => p[i + 2] >= nested;
  const density = pictures.densities && layer === "outlines" ? densityOf(pictures, nested) : null;
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const i = 4 * (y * width + x);
    let colour = [image[i], image[i + 1], image[i + 2]];
    if (layer === "map") colour = has(UNKNOWN)(planes, i) ? hatch(x, y) : mapColour(planes[i]);
    if (HIDDEN[layer] && has(HIDDEN[layer])(planes, i)) colour = hatch(x, y).map((c, k) => 0.85 * c + 0.15 * colour[k]);
    if (layer === "reasons" && has(REASONS)(planes, i)) colour = colour.map((c, k) => 0.4 * c + 0.6 * COLOURS.reasons[k]);
    if (layer === "seen" && !needed(planes, i)) colour = colour.map((c) => 0.12 * c + 30);
    if (layer === "outlines") {
      const cover = density ? 0.9 * density(i) : needed(planes, i) ? 0.6 : 0;
      colour = colour.map((c, k) => (1 - cover) * c + cover * COLOURS.minimal[k]);
      if (isEdge(planes, width, height, x, y, has(SUFFICIENT))) colour = COLOURS.sufficient;
    }
    if (layer !== "image" && isEdge(planes, width, height, x, y, has(TARGET))) colour = COLOURS.target;
    result.data.set([...colour, 255], i);
  }
  context.putImageData(result, 0, 0);
}

// A method that finds no regions has a map to show and nothing else.
const layerFor = (object, run, layer) => (statusOf(object, run) === MAP && layer !== "image" ? "map" : layer);

// --- words ------------------------------------------------------------------------------------

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits));

function briefOf(object, run) {
  const figure = (name) => figureOf(object, run, name);
  if (statusOf(object, run) === MAP) return `map by ${runs[run].method}, ${figure("passes")} passes`;
  return `needs ${fixed(figure("relative_area"), 2)} × object, ${percent(figure("outside"))} outside, ` +
    `growth ${figure("growth_mm") === null ? `${fixed(figure("growth_px"), 0)} px` : `${fixed(figure("growth_mm"), 1)} mm`}`;
}

function counterpartOf(object, run) {
  const overlap = figureOf(object, run, "overlap");
  const said = [];
  if (runs[run].key[object] !== undefined || runs[run].class[object] !== undefined) {
    said.push(`here ${titled(keyOf(object, run), data.names[classOf(object, run)])}`);
  }
  if (overlap !== null && overlap < 1) said.push(`overlap ${overlap.toFixed(2)}`);
  return said.join(", ");
}

const OTHER_BASELINES = ["mean", "blurred", "noise", "filled"];
const SMALL_CHANGES = { shift: "a shift of one pixel", noise: "1 % noise", soft_edge: "a soft edge" };

function allOf(object, run, entry) {
  const figure = (name) => figureOf(object, run, name);
  const said = [briefOf(object, run)];
  if (statusOf(object, run) === REGIONS) {
    said.push(`minimally sufficient region ${percent(figure("area"))} of the image, Dice ${fixed(figure("dice"), 3)}, ${figure("num_parts")} parts`,
      `sufficient region ${percent(figure("sufficient_area"))}`,
      `outline alone Dice ${fixed(figure("silhouette_dice"), 2)}, filled with ${data.names[runs[run].transfer[object]]} ${fixed(figure("transfer_dice"), 2)}`,
      `${figure("passes")} pass equivalents`);
    const others = OTHER_BASELINES.filter((name) => figure(`dice_on_${name}`) !== null);
    if (others.length) said.push(`on other baseline images ${others.map((name) => `${name} ${fixed(figure(`dice_on_${name}`), 2)}`).join(", ")}`);
    const changes = Object.entries(SMALL_CHANGES).filter(([kind]) => figure(`dice_under_${kind}`) !== null);
    const whole = (kind) => (figure(`whole_under_${kind}`) === null ? "" : ` (whole image ${fixed(figure(`whole_under_${kind}`), 2)})`);
    if (changes.length) said.push(`under small changes ${changes.map(([kind, label]) => `${label} ${fixed(figure(`dice_under_${kind}`), 2)}${whole(kind)}`).join(", ")}`);
    const context = contextOf(object, run).map(([name, share]) => `${data.names[name]} ${percent(share)}`);
    if (context.length) said.push(`context: ${context.join(", ")}`);
  }
  if (figure("predicted_dice") !== null) {
    said.push(`predicted Dice ${fixed(figure("predicted_dice"), 2)} (${fixed(figure("low"), 2)} to ${fixed(figure("high"), 2)}), ` +
      `chance of failure ${percent(figure("failure_probability"))}` +
      (entry.reasons ?? []).map(([name, part]) => `, ${name.replaceAll("_", " ")} ${part.toFixed(2)}`).join(""));
  }
  return said.join("; ");
}

// All notes on an object: few words each, then whole sentences.
function notedOf(object, run, counterpart = "") {
  const words = [counterpart, ...notesOf(object, run)].filter(Boolean).join("; ");
  const sentences = sentencesOf(object, run);
  return [words && sentences.length ? `${words}.` : words, ...sentences].filter(Boolean).join(" ");
}

function missingIn(object, run) {
  if (statusOf(object, run) === FAILED) return `failed: ${runs[run].failed[object]}`;
  return "no counterpart in this run";
}

// --- filters ----------------------------------------------------------------------------------

const SIGNS = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b, "=": (a, b) => a === b };
const WHICH = {
  "": ["all", () => true],
  done: ["explained", isDone],
  failed: ["failed", (object, run) => statusOf(object, run) === FAILED],
  noted: ["not reduced to the end", (object, run) => notesOf(object, run).length > 0],
  unreduced: ["not reduced at all", (object, run) => notesOf(object, run).some((note) => note.startsWith("not reduced"))],
  leaning: ["suffices on its own baseline image alone", (object, run) => leansOf(object, run) !== ""],
  lost: ["does not hold under small changes", (object, run) => lostOf(object, run) !== ""],
  dust: ["dust", (object, run) => dustOf(object, run) !== ""],
  alone: ["no counterpart", (object, run) => statusOf(object, run) === NONE],
};
const allRuns = runs.map((_, i) => i);

// The runs that filters look at: the chosen one, or any.
function chosenRuns() {
  const chosen = byId("of-run")?.value ?? "0";
  return chosen === "" ? allRuns : [Number(chosen)];
}

let texts = null;
function textOf(object) {
  texts ??= new Array(NUM);
  texts[object] ??= [titleOf(object), ...allRuns.flatMap((run) =>
    [keyOf(object, run), data.names[classOf(object, run)], runs[run].failed[object] ?? "", ...notesOf(object, run), ...sentencesOf(object, run)])].join(" ").toLowerCase();
  return texts[object];
}

// The words and the comparisons (figure, sign, number) of what was typed.
function asked(text) {
  const words = [], comparisons = [];
  for (const word of text.toLowerCase().split(/\s+/).filter(Boolean)) {
    const [, name, sign, number] = word.match(/^(\w+)(<=|>=|<|>|=)(-?[\d.]+(?:e-?\d+)?)$/) ?? [];
    if (labels.has(name) && Number.isFinite(Number(number))) comparisons.push([name, SIGNS[sign], Number(number)]);
    else words.push(word);
  }
  return { words, comparisons };
}

// The number of the class that is chosen; -1 for all.
function numberOf(id) {
  const name = byId(id)?.value ?? "";
  return name === "" ? -1 : data.names.indexOf(name);
}

function filtered() {
  const { words, comparisons } = asked(byId("search").value);
  const [which, sort] = [byId("which").value, byId("sort").value];
  const [wanted, context] = [numberOf("class"), numberOf("context")];
  const isWhich = WHICH[which][1];
  for (const [id, sign] of [["from", ">="], ["to", "<="]]) {
    if (sort !== "key" && byId(id).value !== "") comparisons.push([sort, SIGNS[sign], Number(byId(id).value)]);
  }
  const fits = (object, run) =>
    isWhich(object, run) &&
    (wanted < 0 || (statusOf(object, run) !== NONE && classOf(object, run) === wanted)) &&
    (context < 0 || contextOf(object, run).some(([name]) => name === context)) &&
    comparisons.every(([name, holds, number]) => {
      const value = figureOf(object, run, name);
      return value !== null && holds(value, number);
    });
  const some = chosenRuns();
  const result = [];
  for (let object = 0; object < NUM; object++) {
    if (some.some((run) => fits(object, run)) && words.every((word) => textOf(object).includes(word))) result.push(object);
  }
  return result;
}

// Sorts by a figure of the chosen run, or of the first that has it; without one last, then by name.
function sorted(objects) {
  const name = byId("sort").value;
  if (name === "key") return objects;
  const values = new Float64Array(NUM).fill(NaN);
  for (const run of [...chosenRuns()].reverse()) {
    const column = runs[run].figures[name];
    if (column) for (const object of objects) values[object] = column[object] ?? values[object];
  }
  const sign = byId("descending").checked ? -1 : 1;
  return objects.sort((a, b) => {
    const [x, y] = [values[a], values[b]];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
    return sign * (x - y) || a - b;
  });
}

function update() {
  for (const id of ["descending", "from", "to"]) byId(id).disabled = byId("sort").value === "key";
  shown = sorted(filtered());
  byId("count").textContent = `${shown.length.toLocaleString("en")} of ${NUM.toLocaleString("en")} objects`;
  showWindow(0);
}

// --- cards: only those in sight are made ------------------------------------------------------

const MOST_IN_WINDOW = 20000; // places that can be scrolled to at a time; browsers limit heights
const GAP = 12, LEAST_WIDTH = 176, MARGIN = 600; // pixels
let first = 0; // place of the first one in the window
let grid = { columns: 1, rowHeight: 1 };
let cards = new Map(); // place -> its element

function showWindow(start) {
  first = Math.max(0, Math.min(start, shown.length - 1));
  first -= first % MOST_IN_WINDOW;
  const last = Math.min(shown.length, first + MOST_IN_WINDOW);
  byId("windows").hidden = shown.length <= MOST_IN_WINDOW;
  byId("windows").dataset.said = `${first + 1} to ${last}`;
  byId("earlier").disabled = first === 0;
  byId("later").disabled = last === shown.length;
  byId("earlier").textContent = "← earlier";
  byId("later").textContent = `${(first + 1).toLocaleString("en")} to ${last.toLocaleString("en")} · later →`;
  layOut();
}

function layOut() {
  const width = byId("cards").clientWidth;
  const columns = Math.max(1, Math.floor((width + GAP) / (LEAST_WIDTH * runs.length + GAP)));
  const cardWidth = (width - GAP * (columns - 1)) / columns;
  const across = Math.max(1, Math.min(runs.length, Math.floor(cardWidth / 110)));
  const down = Math.ceil(runs.length / across);
  const picture = Math.round(0.75 * (cardWidth / across));
  const height = 52 + down * (picture + (runs.length > 1 ? 94 : 72));
  grid = { columns, rowHeight: height + GAP, cardWidth };
  const list = byId("cards");
  list.style.setProperty("--across", across);
  list.style.setProperty("--picture", `${picture}px`);
  const num = Math.min(MOST_IN_WINDOW, shown.length - first);
  list.style.height = `${Math.ceil(num / columns) * grid.rowHeight}px`;
  list.replaceChildren();
  cards = new Map();
  fill();
}

function fill() {
  const list = byId("cards");
  const { columns, rowHeight } = grid;
  const top = -list.getBoundingClientRect().top;
  const from = Math.max(0, Math.floor((top - MARGIN) / rowHeight)) * columns;
  const to = Math.max(0, Math.ceil((top + innerHeight + MARGIN) / rowHeight)) * columns;
  const last = Math.min(shown.length - first, MOST_IN_WINDOW, to);
  for (const [place, card] of cards) {
    if ((place < first + from || place >= first + last) && !card.contains(document.activeElement)) {
      card.remove();
      cards.delete(place);
    }
  }
  for (let i = from; i < last; i++) {
    const place = first + i;
    if (cards.has(place)) continue;
    const card = cardOf(shown[place], place);
    card.style.cssText = `top:${Math.floor(i / columns) * rowHeight}px;left:${(i % columns) * (grid.cardWidth + GAP)}px;` +
      `width:${grid.cardWidth}px;height:${rowHeight - GAP}px`;
    card.place = place;
    const after = [...list.children].find((other) => other.place > place);
    list.insertBefore(card, after ?? null);
    cards.set(place, card);
  }
}

function cardOf(object, place) {
  const cells = make("span", { className: "runs" });
  for (const run of allRuns) {
    const cell = make("span");
    if (runs.length > 1) cell.append(make("span", { className: "run-name", textContent: runs[run].name }));
    if (isDone(object, run)) {
      const canvas = make("canvas", { width: 160, height: 120 });
      paintSoon(canvas, object, run);
      cell.append(canvas, make("span", { className: "figures", textContent: briefOf(object, run) }));
      const notes = notedOf(object, run, counterpartOf(object, run));
      if (notes) cell.append(make("span", { className: "notes", textContent: notes, title: notes }));
    } else {
      const said = missingIn(object, run);
      cell.append(make("span", { className: statusOf(object, run) === FAILED ? "failure" : "figures", textContent: said, title: said }));
    }
    cells.append(cell);
  }
  const button = make("button", { className: "card", type: "button" },
    make("span", { className: "name", textContent: titleOf(object), title: titleOf(object) }), cells);
  button.addEventListener("click", () => open(place));
  const item = make("li", {}, button);
  item.setAttribute("aria-setsize", shown.length);
  item.setAttribute("aria-posinset", place + 1);
  return item;
}

// Cards that are scrolled past quickly load nothing.
function paintSoon(canvas, object, run) {
  setTimeout(async () => {
    if (!canvas.isConnected) return;
    try {
      const pictures = await picturesOf(object, run);
      if (canvas.isConnected) paint(canvas, pictures, layerFor(object, run, byId("layer").value));
    } catch (error) {
      if (isInPage) throw error; // else the page says that files are missing
    }
  }, isInPage ? 0 : 60);
}

function goTo(place) {
  if (place < first || place >= first + MOST_IN_WINDOW) showWindow(place);
  const row = Math.floor((place - first) / grid.columns) * grid.rowHeight;
  const top = byId("cards").getBoundingClientRect().top + row;
  if (top < 0 || top + grid.rowHeight > innerHeight) scrollBy(0, top - innerHeight / 3);
  fill();
  cards.get(place)?.firstElementChild.focus({ preventScroll: true });
}

// --- the large view ---------------------------------------------------------------------------

const KINDS = {
  [MAP]: [["image", "image"], ["map", "saliency map"]],
  [REGIONS]: [["image", "image"], ["outlines", "object, sufficient and minimally sufficient region"],
    ["seen", "minimally sufficient region alone"], ["map", "saliency map"]],
  nested: [["image", "image"], ["outlines", "object, sufficient region, nested region"],
    ["seen", "nested region alone"], ["map", "saliency map"]],
};
const OF_DUST = "object, sufficient region, density of the specks (each region was shown as it is)";

function open(place) {
  current = Math.max(0, Math.min(shown.length - 1, place));
  const object = shown[current];
  byId("large-title").textContent = titleOf(object);
  byId("slider").disabled = byId("slider-label").hidden = true;
  byId("slider-value").textContent = "";
  byId("large-runs").replaceChildren(...allRuns.map((run) => largePart(object, run)));
  if (!byId("large").open) byId("large").showModal();
}

function largePart(object, run) {
  const part = make("div", { className: "run" });
  const said = [runs.length > 1 ? runs[run].name : "", isDone(object, run) ? counterpartOf(object, run) : ""].filter(Boolean);
  if (said.length) part.append(make("h3", { textContent: said.join(": ") }));
  if (!isDone(object, run)) {
    part.append(make("p", { className: "failure", textContent: missingIn(object, run) }));
    return part;
  }
  const notes = notedOf(object, run);
  if (notes) part.append(make("p", { className: "notes", textContent: notes }));
  picturesOf(object, run).then((pictures) => fillPart(part, object, run, pictures), () => {
    part.append(make("p", { className: "failure", textContent: byId("missing").textContent }));
  });
  return part;
}

function fillPart(part, object, run, pictures) {
  const { entry } = pictures;
  const kinds = [...KINDS[entry.curve ? "nested" : statusOf(object, run)], ...(entry.answers ?? [])];
  const figures = kinds.map(([kind, caption]) => {
    const canvas = make("canvas", { width: 160, height: 120 });
    canvas.dataset.kind = kind;
    const textContent = kind === "outlines" && entry.densities ? OF_DUST : caption;
    return make("figure", {}, canvas, make("figcaption", { textContent }));
  });
  if (entry.summary) part.querySelector(".notes")?.replaceChildren(notesOf(object, run).join("; ")); // the summary says the rest
  if (entry.summary) part.append(make("ul", { className: "summary" }, ...entry.summary.map((textContent) => make("li", { textContent }))));
  part.append(make("div", { className: "pictures" }, ...figures), make("p", { className: "figures", textContent: allOf(object, run, entry) }));
  part.misure = { pictures, entry };
  const slider = byId("slider");
  const num = entry.curve?.length ?? 0;
  if (num && (slider.disabled || Number(slider.max) < num - 1)) {
    slider.max = num - 1;
    if (slider.disabled) slider.value = Math.max(0, entry.curve.findIndex(([threshold]) => threshold === entry.threshold));
    slider.disabled = byId("slider-label").hidden = false;
  }
  slide();
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

// Opens an object, the filters off.
function openObject(object) {
  byId("filters").reset();
  update();
  const place = shown.indexOf(object);
  goTo(place);
  open(place);
}

// --- tables, filters, keys --------------------------------------------------------------------

for (const table of document.querySelectorAll(".sortable")) {
  table.querySelectorAll("thead th").forEach((heading, column) => heading.firstElementChild?.addEventListener("click", () => {
    const direction = heading.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
    table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", direction);
    const sign = direction === "descending" ? -1 : 1;
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const isNumber = (row) => row.cells[column].dataset.value !== undefined;
    const rows = [...table.tBodies[0].rows].sort((a, b) =>
      sign * (isNumber(a) ? Number(value(a)) - Number(value(b)) : collator.compare(value(a), value(b))));
    table.tBodies[0].append(...rows);
  }));
}

function options(id, pairs) {
  byId(id)?.replaceChildren(...pairs.map(([value, textContent]) => make("option", { value, textContent })));
}

function named(numbers) {
  const names = [...numbers].map((number) => data.names[number]).filter(Boolean);
  return [["", "all"], ...names.sort(collator.compare).map((name) => [name, name])];
}

options("class", named(new Set([...data.classes, ...runs.flatMap((run) => Object.values(run.class))])));
options("context", named(new Set(runs.flatMap((run) => Object.values(run.context).flatMap((pairs) => pairs.map(([name]) => name))))));
const isUseful = {
  noted: runs.some((run) => Object.keys(run.notes).length),
  unreduced: runs.some((run) => Object.keys(run.notes).length),
  leaning: runs.some((run) => Object.keys(run.leans).length),
  lost: runs.some((run) => Object.keys(run.lost).length),
  dust: runs.some((run) => Object.keys(run.dust).length),
  alone: runs.length > 1,
};
options("which", Object.entries(WHICH).filter(([value]) => isUseful[value] ?? true).map(([value, [label]]) => [value, label]));
options("sort", [["key", "name"], ...data.labels]);
byId("figure-names").replaceChildren(...data.labels.map(([name, label]) => make("li", {}, make("code", { textContent: name }), ` ${label}`)));

// Shows the objects that a table counts: of its run, explained, of the class, with the context.
for (const button of document.querySelectorAll(".to-class, .to-context")) button.addEventListener("click", () => {
  byId("filters").reset();
  if (byId("of-run")) byId("of-run").value = button.dataset.run;
  byId("class").value = data.names[button.dataset.class];
  byId("context").value = data.names[button.dataset.context] ?? "";
  byId("which").value = "done";
  byId("sort").value = "outside";
  update();
  byId("filters").scrollIntoView();
  fill();
  cards.get(0)?.firstElementChild.focus({ preventScroll: true });
});
// Shows the objects that a cell of the effects counts, the strongest effect first.
for (const button of document.querySelectorAll(".to-effect")) button.addEventListener("click", () => {
  byId("filters").reset();
  if (byId("of-run")) byId("of-run").value = button.dataset.run;
  byId("class").value = data.names[button.dataset.class];
  byId("sort").value = button.dataset.figure;
  byId("from").value = -1; // those that have the figure
  update();
  byId("filters").scrollIntoView();
  fill();
  cards.get(0)?.firstElementChild.focus({ preventScroll: true });
});
for (const button of document.querySelectorAll(".to-object")) button.addEventListener("click", () => {
  openObject(Number(button.dataset.object));
  byId("large").addEventListener("close", () => button.focus(), { once: true });
});
byId("filters").addEventListener("input", update);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("clear").addEventListener("click", () => {
  byId("filters").reset();
  update();
});
byId("earlier").addEventListener("click", () => showWindow(first - MOST_IN_WINDOW));
byId("later").addEventListener("click", () => showWindow(first + MOST_IN_WINDOW));
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
byId("large").addEventListener("close", () => goTo(current));
addEventListener("scroll", () => requestAnimationFrame(fill), { passive: true });
let lastWidth = 0;
new ResizeObserver(() => {
  if (byId("cards").clientWidth !== lastWidth) layOut();
  lastWidth = byId("cards").clientWidth;
}).observe(byId("cards"));
update();
if (location.hash.length > 1) {
  const wanted = (() => { try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; } })();
  const found = data.keys.indexOf(wanted);
  if (found >= 0) openObject(found);
}
