// Filters: which objects are shown, and in which order.

let shown = []; // objects by number, as filtered and sorted

const SIGNS = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b, "=": (a, b) => a === b };
const WHICH = {
  "": ["all", () => true],
  done: ["explained", isDone],
  failed: ["failed", (object, run) => statusOf(object, run) === FAILED],
  noted: ["not reduced to the end", (object, run) => notesOf(object, run).length > 0],
  unreduced: ["not reduced at all", isUnreduced],
  outline: ["outline alone suffices", outlineSuffices],
  leaning: ["suffices on its own baseline image alone", (object, run) => leansOf(object, run) !== ""],
  lost: ["does not hold under small changes", (object, run) => lostOf(object, run) !== ""],
  dust: ["dust", (object, run) => dustOf(object, run) !== ""],
  alone: ["no counterpart", (object, run) => statusOf(object, run) === NONE],
  ticked: ["ticked", isTicked],
  commented: ["with a note of yours", (object) => noteOf(object) !== ""],
};

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

// The objects that all filters let through, of the ranges these.
function filtered(bounds = ranges) {
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
    }) &&
    bounds.every((range) => {
      const value = figureOf(object, run, range.name);
      return value !== null && isIn(value, range);
    });
  const some = chosenRuns();
  const result = [];
  for (let object = 0; object < NUM; object++) {
    if (some.some((run) => fits(object, run)) && words.every((word) => textOf(object).includes(word))) result.push(object);
  }
  return result;
}

// The figure of each object in the chosen run, or in the first that has it; NaN in none.
function valuesOf(name) {
  const values = new Float64Array(NUM).fill(NaN);
  for (const run of [...chosenRuns()].reverse()) {
    const column = runs[run].figures[name];
    if (column) for (let object = 0; object < NUM; object++) values[object] = column[object] ?? values[object];
  }
  return values;
}

// Sorts by a figure; objects without it last, then by name.
function sorted(objects) {
  const name = byId("sort").value;
  if (name === "key") return objects;
  const values = valuesOf(name);
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
  drawChart();
  keepLink();
}

function clearFilters() {
  byId("filters").reset();
  ranges.length = 0;
  showRanges();
}

function options(id, pairs) {
  byId(id)?.replaceChildren(...pairs.map(([value, textContent]) => make("option", { value, textContent })));
}

function named(some) {
  const names = [...some].map((number) => data.names[number]).filter(Boolean);
  return [["", "all"], ...names.sort(collator.compare).map((name) => [name, name])];
}

function fillFilters() {
  options("class", named(new Set([...data.classes, ...runs.flatMap((run) => Object.values(run.class))])));
  options("context", named(new Set(runs.flatMap((run) => Object.values(run.context).flatMap((pairs) => pairs.map(([name]) => name))))));
  const someHave = (column) => runs.some((run) => Object.keys(run[column]).length > 0);
  const isUseful = {
    noted: someHave("notes"), unreduced: someHave("notes"), outline: someHave("outline"), leaning: someHave("leans"),
    lost: someHave("lost"), dust: someHave("dust"), alone: runs.length > 1,
  };
  options("which", Object.entries(WHICH).filter(([value]) => isUseful[value] ?? true).map(([value, [label]]) => [value, label]));
  options("sort", [["key", "name"], ...data.labels]);
  options("add-range", [["", "add …"], ...data.labels]);
  byId("figure-names").replaceChildren(...data.labels.map(([name, label]) => make("li", {}, make("code", { textContent: name }), ` ${label}`)));
}
