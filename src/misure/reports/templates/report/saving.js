// What is shown or ticked, as files.

const FORMULA_SIGNS = /^[=+\-@\t\r\n＝＋－＠]/; // what a spreadsheet might compute; a text gets a ' before it

function cellText(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = FORMULA_SIGNS.test(value) && Number.isNaN(Number(value)) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// All that is known of an object, by name; of several runs the names begin with that of the run.
function rowOf(object) {
  const row = { key: data.keys[object], class: data.names[data.classes[object]] ?? "", ticked: isTicked(object) ? 1 : 0, note: noteOf(object) };
  for (const run of allRuns) {
    const named = (name) => (runs.length > 1 ? `${runs[run].name}.${name}` : name);
    const status = { [NONE]: "none", [FAILED]: "failed" }[statusOf(object, run)] ?? "done";
    row[named("status")] = status;
    if (status === "failed") row[named("reason")] = runs[run].failed[object];
    if (notedOf(object, run)) row[named("notes")] = notedOf(object, run);
    if (status === "done") row[named("outline_suffices")] = outlineSuffices(object, run) ? 1 : 0;
    for (const [name] of data.labels) if (figureOf(object, run, name) !== null) row[named(name)] = figureOf(object, run, name);
  }
  return row;
}

function csvOf(objects) {
  const rows = objects.map(rowOf);
  const columns = [...new Set(rows.flatMap(Object.keys))];
  return [columns, ...rows.map((row) => columns.map((name) => row[name]))].map((cells) => `${cells.map(cellText).join(",")}\r\n`).join("");
}

function save(name, kind, text) {
  const address = URL.createObjectURL(new Blob([text], { type: kind }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

function startSaving() {
  byId("save-shown").addEventListener("click", () => save("objects.csv", "text/csv", csvOf(shown)));
  byId("save-ticked").addEventListener("click", () => save("ticked.csv", "text/csv", csvOf(tickedObjects())));
  byId("save-json").addEventListener("click", () => save("ticked.json", "application/json", `${JSON.stringify(tickedObjects().map(rowOf), null, 1)}\n`));
}
