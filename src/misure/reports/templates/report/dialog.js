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
  byId("large-title").textContent = titleOf(object);
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
  picturesOf(object, run).then((pictures) => fillPart(part, object, run, pictures), () => {
    part.append(make("p", { className: "failure", textContent: byId("missing").textContent }));
  });
  return part;
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
  part.append(shownAs, make("p", { className: "hint", textContent: shrunk(pictures) }));
  if (entry.summary) part.append(make("ul", { className: "summary" }, ...entry.summary.map((textContent) => make("li", { textContent }))));
  part.append(make("p", { className: "figures", textContent: allOf(object, run, entry) }));
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

function channelTable({ rows, said }) {
  const head = ["channel", "growth, px", "sufficient, share of it", "minimally sufficient, share of it"];
  const cells = rows.map(([name, growth, large, small]) =>
    make("tr", {}, make("th", { scope: "row", textContent: name }),
      ...[growth === null ? "nothing shown" : growth, percent(large), percent(small)].map((textContent) => make("td", { textContent }))));
  return make("details", { className: "channels", open: true }, make("summary", { textContent: "Regions by channel" }),
    make("p", { textContent: said }),
    make("div", { className: "scroll" }, make("table", {},
      make("thead", {}, make("tr", {}, ...head.map((textContent) => make("th", { scope: "col", textContent })))), make("tbody", {}, ...cells))));
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
    if (point) said.push(`${point[0]}: ${percent(point[1])} of the image, Dice ${point[2].toFixed(3)}`);
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
