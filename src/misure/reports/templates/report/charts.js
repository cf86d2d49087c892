// A histogram of one figure, or a scatter of two: what is dragged over filters the cards.

const BINS = 40;
const PAD = { left: 52, right: 10, top: 8, bottom: 30 }; // of the axes, in pixels of the screen
let drag = null; // from where to where a chart is dragged over, in pixels of the screen

const chartNames = () => [byId("chart-x").value, byId("chart-y").value].filter(Boolean);
const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function extent(values, objects) {
  let [low, high] = [Infinity, -Infinity];
  for (const object of objects) if (!Number.isNaN(values[object])) [low, high] = [Math.min(low, values[object]), Math.max(high, values[object])];
  if (low > high) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

// What the chart shows: the objects that all filters but its own ranges let through.
function chartData() {
  const [x, y] = chartNames();
  const xs = valuesOf(x), ys = y ? valuesOf(y) : null;
  const objects = filtered(rangesBut(chartNames())).filter((object) => !Number.isNaN(xs[object]) && !(ys && Number.isNaN(ys[object])));
  const bounds = extent(xs, objects);
  if (ys) return { xs, ys, objects, bounds, upper: extent(ys, objects) };
  const counts = [new Array(BINS).fill(0), new Array(BINS).fill(0)]; // all, and those that are shown
  const [low, high] = bounds;
  const isShown = new Set(shown);
  for (const object of objects) {
    const bin = Math.min(BINS - 1, Math.floor(((xs[object] - low) / (high - low)) * BINS));
    counts[0][bin] += 1;
    if (isShown.has(object)) counts[1][bin] += 1;
  }
  return { xs, ys, objects, bounds, upper: [0, Math.max(1, ...counts[0])], counts };
}

let chart = null; // what is drawn, and how numbers are placed
function drawChart() {
  if (!byId("charts").open || !data.labels.length) return;
  const canvas = byId("chart");
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const ratio = devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const known = chartData();
  const [low, high] = known.bounds, [bottom, top] = known.upper;
  const atX = (value) => PAD.left + ((value - low) / (high - low)) * (width - PAD.left - PAD.right);
  const atY = (value) => height - PAD.bottom - ((value - bottom) / (top - bottom)) * (height - PAD.bottom - PAD.top);
  const fromX = (at) => low + ((at - PAD.left) / (width - PAD.left - PAD.right)) * (high - low);
  const fromY = (at) => bottom + ((height - PAD.bottom - at) / (height - PAD.bottom - PAD.top)) * (top - bottom);
  chart = { ...known, atX, atY, fromX, fromY, width, height };
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  drawAxes(context);
  if (known.ys) drawPoints(context);
  else drawBars(context);
  drawSelection(context);
  sayChart();
}

const brief = (value) => (Number.isInteger(value) && Math.abs(value) < 1e6 ? value.toLocaleString("en") : String(Number(value.toPrecision(3))));

// Some five round numbers between two; of counts, whole ones.
function ticks([low, high], least = 0) {
  const power = 10 ** Math.floor(Math.log10((high - low) / 4));
  const steps = [1, 2, 5, 10].map((times) => times * power);
  const step = Math.max(least, steps.find((one) => (high - low) / one <= 6));
  const result = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) result.push(Number((i * step).toPrecision(12)));
  return result;
}

function drawAxes(context) {
  const { bounds, upper, atX, atY, width, height } = chart;
  const size = parseFloat(getComputedStyle(document.body).fontSize) * 0.78;
  context.font = `${size}px system-ui, sans-serif`;
  [context.strokeStyle, context.fillStyle, context.lineWidth] = [colourOf("line"), colourOf("pale"), 1];
  context.textAlign = "center";
  for (const value of ticks(bounds)) {
    context.strokeRect(atX(value), PAD.top, 0, height - PAD.bottom - PAD.top);
    context.fillText(brief(value), Math.min(width - 14, atX(value)), height - PAD.bottom + size + 3);
  }
  context.textAlign = "right";
  for (const value of ticks(upper, chart.ys ? 0 : 1)) {
    context.strokeRect(PAD.left, atY(value), width - PAD.left - PAD.right, 0);
    context.fillText(brief(value), PAD.left - 5, atY(value) + size / 3);
  }
}

function drawBars(context) {
  const { counts, bounds: [low, high], atX, atY } = chart;
  const wide = (atX(high) - atX(low)) / BINS;
  for (const [i, colour] of [[0, colourOf("off")], [1, colourOf("link")]]) {
    context.fillStyle = colour;
    counts[i].forEach((num, bin) => num && context.fillRect(atX(low) + bin * wide + 0.5, atY(num), Math.max(1, wide - 1), atY(0) - atY(num)));
  }
}

function drawPoints(context) {
  const { xs, ys, objects, atX, atY } = chart;
  const isShown = new Set(shown);
  const side = objects.length > 2000 ? 3 : 5;
  for (const [wanted, colour] of [[false, colourOf("off")], [true, colourOf("link")]]) {
    context.fillStyle = colour;
    for (const object of objects) {
      if (isShown.has(object) === wanted) context.fillRect(atX(xs[object]) - side / 2, atY(ys[object]) - side / 2, side, side);
    }
  }
}

// The corners of what is selected, in pixels of the screen: what is being dragged, else the ranges.
function selection() {
  const { width, height, atX, atY, ys } = chart;
  const [left, right, top, bottom] = [PAD.left, width - PAD.right, PAD.top, height - PAD.bottom];
  if (drag) {
    const [xs, vs] = [[drag.from[0], drag.to[0]], [drag.from[1], drag.to[1]]];
    const within = (value, low, high) => Math.max(low, Math.min(high, value));
    return [within(Math.min(...xs), left, right), within(Math.max(...xs), left, right),
      ys ? within(Math.min(...vs), top, bottom) : top, ys ? within(Math.max(...vs), top, bottom) : bottom];
  }
  const [x, y] = chartNames().map((name) => ranges.find((one) => one.name === name));
  if (!x && !y) return null;
  const at = (value, to, otherwise) => (Number.isNaN(value ?? NaN) ? otherwise : to(value));
  return [at(x?.low, atX, left), at(x?.high, atX, right), at(y?.high, atY, top), at(y?.low, atY, bottom)];
}

function drawSelection(context) {
  const found = selection();
  if (!found) return;
  const [left, right, top, bottom] = found;
  context.strokeStyle = colourOf("target");
  context.lineWidth = 1.5;
  context.strokeRect(left, top, right - left, bottom - top);
}

function sayChart() {
  const [x, y] = chartNames().map((name) => labels.get(name));
  const num = chart.objects.length.toLocaleString("en");
  const said = y ? `${y} (up) over ${x} (across), ${num} objects` : `how many of ${num} objects have which ${x}`;
  byId("chart-said").textContent = `${said}. Bright: those that are shown.`;
  byId("chart").setAttribute("aria-label", said);
}

// Rounds outwards, so that what was dragged over is in the range.
const outwards = (value, up, step) => Number(((up ? Math.ceil(value / step) : Math.floor(value / step)) * step).toPrecision(12));

function selectDragged() {
  const [left, right, top, bottom] = selection();
  const { fromX, fromY, ys, bounds, upper } = chart;
  const isClick = right - left < 4 && (!ys || bottom - top < 4);
  const { from } = drag;
  drag = null;
  const [x, y] = chartNames();
  if (isClick) {
    const nearest = ys ? nearestObject(from) : null;
    if (nearest !== null) return open(shown.indexOf(nearest));
    [x, y].filter(Boolean).forEach(removeRange);
  } else {
    const bound = (name, low, high, [least, most]) => {
      const step = 10 ** Math.floor(Math.log10((most - least) / 1000));
      setRange(name, outwards(low, false, step), outwards(high, true, step));
    };
    bound(x, fromX(left), fromX(right), bounds);
    if (y) bound(y, fromY(bottom), fromY(top), upper);
  }
  return update();
}

// The shown object at a point of a scatter, if one is near.
function nearestObject([x, y]) {
  let [nearest, least] = [null, 64];
  for (const object of shown) {
    const distance = (chart.atX(chart.xs[object]) - x) ** 2 + (chart.atY(chart.ys[object]) - y) ** 2;
    if (distance < least) [nearest, least] = [object, distance];
  }
  return nearest;
}

function startCharts() {
  options("chart-x", data.labels);
  options("chart-y", [["", "number of objects"], ...data.labels]);
  const canvas = byId("chart");
  const at = (event) => [event.offsetX, event.offsetY];
  canvas.addEventListener("pointerdown", (event) => {
    if (!chart || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    drag = { from: at(event), to: at(event) };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    drag.to = at(event);
    requestAnimationFrame(drawChart);
  });
  canvas.addEventListener("pointerup", () => drag && selectDragged());
  canvas.addEventListener("pointercancel", () => {
    drag = null;
    drawChart();
  });
  for (const id of ["chart-x", "chart-y"]) byId(id).addEventListener("input", (event) => {
    event.stopPropagation();
    drawChart();
    keepLink();
  });
  byId("charts").addEventListener("toggle", () => {
    drawChart();
    keepLink();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawChart);
}
