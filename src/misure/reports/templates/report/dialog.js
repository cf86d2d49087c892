// The large view: one object with its pictures, its figures, and the reader's mark on it.

let current = -1; // place of the object that is or was open

const KINDS = {
  [MAP]: [["image", "image"], ["map", "saliency map over the image"]],
  [REGIONS]: [["outlines", "object, sufficient and minimally sufficient region"], ["image", "image"],
    ["seen", "minimally sufficient region alone"], ["map", "saliency map over the image"]],
  nested: [["outlines", "object, sufficient region, nested region"], ["image", "image"],
    ["seen", "nested region alone"], ["map", "saliency map over the image"]],
};
const OF_DUST = "object, sufficient region, density of the specks (each region was shown as it is)";

function open(place) {
  current = Math.max(0, Math.min(shown.length - 1, place));
  const object = shown[current];
  view = WHOLE;
  byId("large").classList.remove("zoomed");
  byId("zoomed").textContent = "";
  byId("large-title").textContent = printable(titleOf(object));
  byId("large-place").textContent = `${(current + 1).toLocaleString("en")} of ${shown.length.toLocaleString("en")}`;
  byId("previous").disabled = current === 0;
  byId("next").disabled = current === shown.length - 1;
  const viewed = data.viewed?.[object] ?? null; // number of its image, where a viewer serves the page
  byId("large-viewed").hidden = viewed === null;
  byId("large-viewed").firstElementChild.href = viewed === null ? "" : `../#image=${viewed}`;
  byId("large-tick").checked = isTicked(object);
  byId("large-note").value = noteOf(object);
  byId("slider").disabled = byId("slides").hidden = true;
  byId("slider-value").textContent = "";
  byId("large").insertBefore(byId("slides"), byId("large-marks")); // until a run's pictures take it in
  byId("large-runs").replaceChildren(...allRuns.map((run) => largePart(object, run)));
  if (!byId("large").open) byId("large").showModal();
  byId("large").scrollTop = 0;
  keepLink();
}

function largePart(object, run) {
  const part = make("div", { className: "run" });
  const said = [runs.length > 1 ? runs[run].name : "", isDone(object, run) ? counterpartOf(object, run) : ""].filter(Boolean);
  if (said.length) part.append(make("h3", { textContent: said.join(": ") }));
  if (!isDone(object, run)) {
    part.append(make("p", { className: "failure", textContent: missingIn(object, run) }));
    return part;
  }
  const badges = badgesOf(object, run);
  if (badges.length) part.append(make("p", { className: "badges" }, ...badges.map((textContent) => make("span", { textContent }))));
  const notes = notedOf(object, run);
  if (notes) part.append(make("p", { className: "notes", textContent: notes }));
  picturesOf(object, run).then((pictures) => {
    fillPart(part, object, run, pictures);
    if (data.full && !isFull(pictures)) sharpen(part, object, run);
  }, () => {
    part.append(make("p", { className: "failure", textContent: byId("missing").textContent }));
  });
  return part;
}

// Takes the pictures at full size in the place of the small ones.
async function sharpen(part, object, run) {
  const said = part.querySelector(".size");
  try {
    const pictures = await fullPicturesOf(object, run);
    if (!part.isConnected) return;
    part.misure.pictures = pictures;
    said.textContent = isFull(pictures) ? shrunk(pictures) : `${shrunk(pictures)} The image is no longer where the run found it, or has changed.`;
    slide();
  } catch {
    said.textContent += ` Its pictures at full size in the folder ${data.folder} are missing, or of another report.`;
  }
}

// How large the pictures are, and the commands that show them larger.
function sizeOf(pictures, run) {
  const said = make("p", { className: "hint size", textContent: shrunk(pictures) });
  if (isFull(pictures)) return said;
  if (data.full) said.textContent += " Full size is being loaded.";
  else said.append(" Full size: ", ...runs[run].commands.flatMap((command, i) => [i ? " or " : "", commandOf(command)]));
  return said;
}

// A command that a click copies, where the browser lets it.
function commandOf(command) {
  const button = make("button", { type: "button", className: "command", title: "Copy" }, make("code", { textContent: command }));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      button.dataset.said = "copied";
    } catch {
      getSelection().selectAllChildren(button);
      button.dataset.said = "press Ctrl and C";
    }
  });
  return button;
}

function captionOf(kind, caption, entry) {
  if (kind !== "outlines") return caption;
  return (entry.densities ? OF_DUST : caption) + (entry.annotated ? ", annotation (dotted)" : "");
}

function fillPart(part, object, run, pictures) {
  const { entry } = pictures;
  const kinds = [...KINDS[entry.curve ? "nested" : statusOf(object, run)], ...(entry.answers ?? [])];
  const figures = kinds.map(([kind, caption]) => {
    const canvas = make("canvas", { width: pictures.width, height: pictures.height });
    canvas.dataset.kind = kind;
    return make("figure", {}, canvas, make("figcaption", { textContent: captionOf(kind, caption, entry) }));
  });
  if (entry.summary) part.querySelector(".notes")?.replaceChildren(notesOf(object, run).join("; ")); // the summary says the rest
  const shownAs = make("div", { className: "pictures" }, ...figures);
  part.append(shownAs, sizeOf(pictures, run));
  if (entry.summary) part.append(make("ul", { className: "summary" }, ...entry.summary.map((textContent) => make("li", { textContent }))));
  part.append(figuresOf(object, run, entry));
  if (entry.channels) part.append(channelTable(entry.channels));
  part.misure = { pictures, entry };
  startSlider(entry, shownAs);
  slide();
}

// The slider stands under the pictures that it changes, on a narrow screen under the first; if several
// runs have some, under all of them.
function startSlider(entry, shownAs) {
  const num = entry.curve?.length ?? 0;
  if (!num || !(byId("slider").disabled || Number(byId("slider").max) < num - 1)) return;
  byId("slider").max = num - 1;
  if (byId("slider").disabled) byId("slider").value = Math.max(0, entry.curve.findIndex(([threshold]) => threshold === entry.threshold));
  byId("slider").disabled = byId("slides").hidden = false;
  if (runs.length === 1) shownAs.append(byId("slides"));
}

// A table whose first column is text, the others numbers.
function tableOf(head, rows) {
  const cells = rows.map(([name, ...values]) =>
    make("tr", {}, make("th", { scope: "row", textContent: name }), ...values.map((textContent) => make("td", { textContent }))));
  return make("div", { className: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((textContent) => make("th", { scope: "col", textContent })))), make("tbody", {}, ...cells)));
}

// The figures of an object, in tables.
function figuresOf(object, run, entry) {
  const figures = make("div", { className: "figures" });
  if (statusOf(object, run) === REGIONS) figures.append(tableOf(["shown alone", `of the ${wholeOf(entry)}`, "× object", "Dice"], regionRows(object, run)));
  const changes = changeRows(object, run);
  if (changes.length) {
    const hasWhole = changes.some(([, , whole]) => whole);
    figures.append(tableOf(["minimally sufficient region …", "Dice", ...(hasWhole ? ["whole image"] : [])], hasWhole ? changes : changes.map((row) => row.slice(0, 2))));
  }
  figures.append(make("dl", {}, ...otherFigures(object, run, entry).flatMap(([name, value]) =>
    [make("dt", { textContent: name }), make("dd", { textContent: value })])));
  return figures;
}

function channelTable({ rows, said }) {
  const cells = rows.map(([name, growth, large, small]) =>
    [name, growth === null ? "nothing shown" : growth < 0.05 ? "not grown" : `${growth.toFixed(1)} px`, percent(large), percent(small)]);
  return make("details", { className: "channels", open: true }, make("summary", { textContent: "Regions by channel" }),
    make("p", { textContent: said }), tableOf(["channel", "grown by", "sufficient, share of it", "minimally sufficient, share of it"], cells));
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
    for (const canvas of part.querySelectorAll("canvas")) paint(canvas, pictures, canvas.dataset.kind, nested, view);
    if (point) said.push(`${point[0]}: ${percent(point[1])} of the ${wholeOf(entry)}, Dice ${point[2].toFixed(3)}`);
  }
  byId("slider-value").textContent = said.join(" · ");
}

// Opens an object, the filters off.
function openObject(object) {
  clearFilters();
  update();
  const place = shown.indexOf(object);
  goTo(place);
  open(place);
}

function startDialog() {
  byId("slider").addEventListener("input", slide);
  byId("previous").addEventListener("click", () => open(current - 1));
  byId("next").addEventListener("click", () => open(current + 1));
  byId("large-tick").addEventListener("input", () => mark(shown[current], { ticked: byId("large-tick").checked }));
  byId("large-note").addEventListener("input", () => mark(shown[current], { note: byId("large-note").value }));
  byId("large").addEventListener("close", () => {
    renew(current);
    goTo(current);
    keepLink();
  });
  new ResizeObserver(paintAgain).observe(byId("large-runs"));
}
