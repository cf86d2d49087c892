// Explanations: the queue, the one that is shown, its figures.

import { guarded, notice, say } from "./notices.js";
import { share, text } from "./objects.js";
import { forget } from "./pictures.js";
import { address, getJson, postJson, remove } from "./server.js";
import { named, objectName, objectOf, on, set, shownEntry, state } from "./state.js";

const REGION_WORDS = {
  sufficient_region: "a region that suffices",
  minimally_sufficient_region: "a smaller region that suffices",
};

const part = (name) => document.getElementById(name);
const queue = part("queue");

let asked = ""; // what the answer shows, so that it is built once

export function buildSettings() {
  const { presets, defaults } = state.server;
  for (const preset of presets) {
    const name = preset.name ?? preset;
    const option = new Option(name, name, name === defaults.preset, name === defaults.preset);
    if (preset.help) option.title = preset.help;
    part("preset").append(option);
  }
  part("dice").value = defaults.dice_threshold ?? 0.9;
  part("explain-part").hidden = !state.server.can_explain;
}

function settings() {
  const values = { preset: part("preset").value, seed: Number(part("seed").value) || 0 };
  const dice = part("dice").valueAsNumber;
  if (Number.isFinite(dice)) values.dice_threshold = dice;
  return values;
}

// Explains an object; the server answers with the same explanation where there is one already.
export async function explain(number) {
  if (!state.server.can_explain || !objectOf(number)) return;
  const wanted = { image: state.image.number, object: number, ...settings() };
  set({ object: number, mode: "explain" });
  const answer = await guarded(() => postJson("explanations", wanted));
  if (!answer) return;
  if (!state.entries.has(answer.id)) update(answer);
  const isBusy = [...state.entries.values()].some(
    (entry) => entry.status === "running" && entry.id !== answer.id,
  );
  if (!isBusy || answer.status === "done" || !shownEntry()) show(answer.id);
  say(`${nameOf(state.entries.get(answer.id))}: ${progressOf(state.entries.get(answer.id))}`);
}

export function show(id) {
  const entry = state.entries.get(id);
  if (!entry) return;
  set({
    explanation: id, nested: null, object: entry.object,
    overlays: { ...state.overlays, segmentation: false },
  });
  if (entry.status === "done" && !entry.figures) complete(id);
}

// Chooses an object, and shows its newest explanation if there is one.
export function choose(number) {
  set({ object: number });
  if (state.mode !== "explain") return;
  const own = [...state.entries.values()].findLast(
    (entry) => entry.image === state.image.number && entry.object === number,
  );
  if (own) show(own.id);
  else set({ explanation: null, nested: null });
}

// What is told of an explanation, by the stream of events or by an answer.
// `isNews`: whether the person is told that it failed.
export function update(told, isNews = true) {
  const before = state.entries.get(told.id);
  const isOld = before?.figures && told.status === "done" && !told.figures;
  const entry = { found: {}, ...before, ...told };
  if (isOld) entry.regions = before.regions; // the list of all tells those of a search only
  for (const name of entry.status === "done" ? [] : entry.regions ?? []) {
    entry.found[name] ??= { version: 0 };
  }
  const entries = new Map(state.entries);
  entries.set(told.id, entry);
  set({ entries });
  if (before ? before.status !== entry.status : isNews) turned(entry);
  if (entry.status === "running" && entry.id === state.explanation) {
    say(`${nameOf(entry)}: ${progressOf(entry)}`, false);
  }
  if (entry.status === "done" && !entry.figures && entry.id === state.explanation) complete(entry.id);
}

function turned(entry) {
  if (entry.status === "running" && !stillSearched(shownEntry())
    && entry.image === state.image?.number && state.mode === "explain") show(entry.id);
  if (entry.status === "done") {
    forget(`explanations/${entry.id}/`);
    say(`${nameOf(entry)}: explained`);
  }
  if (entry.status === "failed") notice(`${nameOf(entry)}: ${entry.error ?? "it failed."}`);
}

// The one that is shown stays while it is not ended, and while the person reads an answer.
function stillSearched(entry) {
  return entry && entry.image === state.image?.number;
}

export function found({ id, region, dice, area_fraction: area }) {
  const entry = state.entries.get(id);
  if (!entry) return;
  const version = (entry.found?.[region]?.version ?? 0) + 1;
  update({ id, found: { ...entry.found, [region]: { version, dice, area } } });
}

async function complete(id) {
  const full = await guarded(() => getJson(`explanations/${id}`));
  if (full) update(full);
}

// All that the server knows, for instance after it was away.
export async function refresh() {
  const all = await guarded(() => getJson("explanations"));
  if (!all) return;
  const known = new Set(all.map((entry) => entry.id));
  for (const id of state.entries.keys()) {
    if (!known.has(id)) update({ id, status: "failed", error: "The server was started anew." });
  }
  for (const entry of all) update(entry, false);
}

export async function cancel(id = state.explanation) {
  const entry = state.entries.get(id);
  if (!entry || !["queued", "running"].includes(entry.status)) return;
  await guarded(() => remove(`explanations/${id}`));
}

function nameOf(entry) {
  const isHere = state.image && entry.image === state.image.number;
  const object = isHere ? objectOf(entry.object) : null;
  return object ? objectName(object) : named(entry.class_name);
}

function seconds(value) {
  if (!Number.isFinite(value)) return "";
  if (value >= 90) return `, ${Math.round(value / 60)} min left`;
  return `, ${Math.max(1, Math.round(value))} s left`;
}

export function progressOf(entry) {
  if (entry.status === "queued") return "waits";
  if (entry.status === "cancelled") return "cancelled";
  if (entry.status === "failed") return "failed";
  if (entry.status === "done") return `explained, ${entry.preset}`;
  const passes = entry.max_passes ? `${entry.passes ?? 0} of ${entry.max_passes} ${entry.unit}` : "";
  const left = typeof entry.seconds_left === "number" ? seconds(entry.seconds_left) : "";
  return [entry.doing, `${passes}${left}`].filter(Boolean).join(": ") || "starts";
}

function buildQueue() {
  const entries = [...state.entries.values()].reverse();
  queue.replaceChildren(...entries.map(row));
}

function row(entry) {
  const item = document.createElement("li");
  item.className = entry.status;
  const choose = document.createElement("button");
  choose.type = "button";
  choose.className = "name";
  const image = state.server.images.find(({ number }) => number === entry.image);
  const isElsewhere = entry.image !== state.image?.number;
  choose.append(text("span", nameOf(entry)),
    text("small", isElsewhere ? `${image?.name ?? ""} · ${progressOf(entry)}` : progressOf(entry)));
  if (entry.id === state.explanation) choose.setAttribute("aria-current", "true");
  choose.addEventListener("click", () => opened(entry));
  item.append(choose);
  if (["queued", "running"].includes(entry.status)) {
    const stop = text("button", "Cancel", "start");
    stop.type = "button";
    stop.setAttribute("aria-label", `Cancel ${nameOf(entry)}`);
    stop.addEventListener("click", () => cancel(entry.id));
    item.append(stop);
  }
  if (entry.status === "running") {
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", `Progress of ${nameOf(entry)}`);
    if (entry.max_passes) Object.assign(bar, { max: entry.max_passes, value: entry.passes ?? 0 });
    item.append(bar);
  }
  return item;
}

let openImage = async () => {};

export function connect(open) {
  openImage = open;
}

async function opened(entry) {
  if (entry.image !== state.image?.number) await openImage(entry.image);
  show(entry.id);
}

function buildAnswer() {
  const entry = shownEntry();
  const isHere = entry && entry.image === state.image?.number;
  part("answer").hidden = !isHere || state.mode !== "explain";
  if (!isHere) {
    asked = "";
    return;
  }
  const isDone = entry.status === "done" && Boolean(entry.figures);
  part("sentence").textContent = isDone ? entry.sentence : sentenceSoFar(entry);
  const key = `${entry.id}/${isDone}`;
  if (key === asked) return;
  asked = key;
  part("answer-title").textContent = nameOf(entry);
  figures(part("figures"), isDone ? entry.figures : []);
  for (const name of ["answer-buttons", "command-part"]) part(name).hidden = !isDone;
  part("saved").hidden = true;
  part("command").textContent = entry.command ?? "";
  part("picture").href = address(`explanations/${entry.id}/picture.png`);
  buildNested(entry, isDone);
}

function sentenceSoFar(entry) {
  if (entry.status === "failed") return entry.error ?? "It failed.";
  const [name, region] = Object.entries(entry.found ?? {}).at(-1) ?? [];
  const words = region?.dice
    ? `So far: ${REGION_WORDS[name] ?? name}, ${share(region.area)} of the `
      + `${state.image.is_volume ? "volume" : "image"}, Dice ${region.dice.toFixed(3)}.`
    : "";
  if (entry.status === "cancelled") return `Cancelled. ${words}`;
  return words || "Nothing is found yet.";
}

export function figures(list, rows) {
  list.replaceChildren(...rows.flatMap(([label, value, help]) => {
    const term = text("dt", label);
    if (help) term.title = help;
    return [term, text("dd", value)];
  }));
}

function thresholdOf(name) {
  return Number(name.slice(name.indexOf(":") + 1));
}

function nestedNames(entry) {
  return (entry?.regions ?? []).filter((name) => name.startsWith("nested:"))
    .sort((a, b) => thresholdOf(a) - thresholdOf(b));
}

function buildNested(entry, isDone) {
  const names = isDone ? nestedNames(entry) : [];
  part("nested").hidden = names.length < 2;
  part("no-nested").hidden = !isDone || names.length >= 2;
  part("no-nested").textContent = `The preset ${entry.preset} looks for no regions of a lower or `
    + "higher Dice, so there is no slider through them.";
  const range = part("nested-range");
  range.max = Math.max(0, names.length - 1);
  const usual = names.findIndex((name) => thresholdOf(name) >= (entry.dice_threshold ?? 0.9));
  range.value = usual < 0 ? names.length - 1 : usual;
  tellNested(entry);
}

function tellNested(entry) {
  const names = nestedNames(entry);
  const name = state.nested ?? names[Number(part("nested-range").value)];
  const row = (entry?.curve ?? []).find(([at]) => Math.abs(at - thresholdOf(name ?? "")) < 1e-6);
  part("nested-text").textContent = row
    ? `Region for a Dice of ${row[0]}: ${share(row[1])} shown, Dice ${row[2].toFixed(3)}`
    : "Nested regions";
}

part("nested-range").addEventListener("input", () => {
  const entry = shownEntry();
  set({ nested: nestedNames(entry)[Number(part("nested-range").value)] ?? null });
  tellNested(entry);
});

part("save").addEventListener("click", async () => {
  const answer = await guarded(() => postJson(`explanations/${state.explanation}/save`));
  if (!answer) return;
  tellSaved(part("saved"), answer);
});

// What the server answers to saving.
export function tellSaved(element, { folder, files, made_again: madeAgain }) {
  const anew = madeAgain ? ` The folder ${madeAgain} was gone, and was made again.` : "";
  element.hidden = false;
  element.textContent = `Saved in ${folder}: ${files.join(", ")}.${anew}`;
  say(element.textContent);
}

part("copy").addEventListener("click", () => guarded(async () => {
  await navigator.clipboard.writeText(part("command").textContent);
  part("copy").textContent = "Copied";
  setTimeout(() => { part("copy").textContent = "Copy"; }, 2000);
}));

part("to-what-if").addEventListener("click", () => set({ mode: "what-if" }));

on(["entries", "explanation", "image"], buildQueue);
on(["entries", "explanation", "image", "mode"], buildAnswer);
