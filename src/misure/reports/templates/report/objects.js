"use strict";
// What is known of the objects, in columns: of object and run, both by number.

const parsed = (id) => JSON.parse(document.getElementById(id).textContent);
const data = parsed("data");
const runs = parsed("runs").map((run, i) => ({ ...run, ...data.runs[i] }));
const allRuns = runs.map((_, i) => i);
const NUM = data.keys.length;
const labels = new Map(data.labels); // name of a figure -> what it is
const collator = new Intl.Collator("en", { numeric: true });
const byId = (id) => document.getElementById(id);

// Text as it stands there: controls, and what turns the direction of text around, are written as escapes, those of Python.
const UNSHOWN = /(?![\u200c\u200d])[\p{C}\p{Zl}\p{Zp}]/gu;
const NAMED = new Map([["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);
const printable = (text) => String(text).replace(UNSHOWN, (character) => NAMED.get(character) ?? escaped(character.codePointAt(0)));

function escaped(code) {
  const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
  return `\\${letter}${code.toString(16).padStart(digits, "0")}`;
}

function make(tag, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(tag), attributes);
  for (const name of ["textContent", "title"]) if (attributes[name]) element[name] = printable(attributes[name]);
  element.append(...children);
  return element;
}

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
const isUnreduced = (object, run) => notesOf(object, run).some((note) => note.startsWith("not reduced"));
const outlineSuffices = (object, run) => runs[run].outline[object] === 1;
const sentencesOf = (object, run) => [leansOf, lostOf, dustOf].map((of) => of(object, run)).filter(Boolean);
// Objects are called as `--instance` numbers them: person 1 · street.png#15.1
const numberIn = (key) => /#\d+\.(\d+)$/.exec(key)?.[1];
const titled = (key, name) => (name ? `${[name, numberIn(key)].filter(Boolean).join(" ")} · ${key}` : key);
const titleOf = (object) => titled(data.keys[object], data.names[data.classes[object]]);
