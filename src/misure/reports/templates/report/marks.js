// Ticks and notes of the reader, kept by the browser for this page as long as it is not made anew.

const MARKS = `misure ${data.build}`;
const marks = new Map(); // object -> { ticked, note }
let marksLast = true; // whether the browser keeps them

const isTicked = (object) => marks.get(object)?.ticked ?? false;
const noteOf = (object) => marks.get(object)?.note ?? "";

function readMarks() {
  const places = new Map(data.keys.map((key, object) => [key, object]));
  try {
    for (const [key, ticked, note] of JSON.parse(localStorage.getItem(MARKS) ?? "[]")) {
      if (places.has(key)) marks.set(places.get(key), { ticked: Boolean(ticked), note: String(note) });
    }
  } catch {
    marksLast = false;
  }
}

function keepMarks() {
  const kept = [...marks].map(([object, { ticked, note }]) => [data.keys[object], ticked, note]);
  try {
    localStorage.setItem(MARKS, JSON.stringify(kept));
  } catch {
    marksLast = false;
  }
  sayMarks();
}

function mark(object, changes) {
  const { ticked, note } = { ticked: isTicked(object), note: noteOf(object), ...changes };
  if (ticked || note) marks.set(object, { ticked, note });
  else marks.delete(object);
  keepMarks();
}

const tickedObjects = () => [...marks.keys()].filter(isTicked).sort((a, b) => a - b);

function sayMarks() {
  const num = tickedObjects().length;
  byId("ticked").textContent = `${num.toLocaleString("en")} ticked${marksLast ? "" : " (kept until this page is closed: the browser stores nothing for it)"}`;
  for (const button of document.querySelectorAll(".of-ticked")) button.disabled = num === 0;
}
