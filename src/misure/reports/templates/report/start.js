// The page begins: what buttons, keys and the address do.

// Shows the objects that a cell of a table counts.
function showCounted(button, { context = "", which = "", sort, from = "" }) {
  clearFilters();
  if (byId("of-run")) byId("of-run").value = button.dataset.run;
  byId("class").value = data.names[button.dataset.class];
  if (byId("context")) byId("context").value = context;
  byId("which").value = which;
  byId("sort").value = sort;
  byId("from").value = from;
  update();
  byId("filters").scrollIntoView();
  fill();
  cards.get(0)?.firstElementChild.focus({ preventScroll: true });
}

function startButtons() {
  // Those of its run, explained, of the class, with the context.
  for (const button of document.querySelectorAll(".to-class, .to-context")) button.addEventListener("click", () =>
    showCounted(button, { context: data.names[button.dataset.context] ?? "", which: "done", sort: "outside" }));
  // Those that have the effect, the strongest first.
  for (const button of document.querySelectorAll(".to-effect")) button.addEventListener("click", () =>
    showCounted(button, { sort: button.dataset.figure, from: -1 }));
  for (const button of document.querySelectorAll(".to-object")) button.addEventListener("click", () => {
    openObject(Number(button.dataset.object));
    byId("large").addEventListener("close", () => button.focus(), { once: true });
  });
  byId("filters").addEventListener("input", update);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", () => {
    clearFilters();
    update();
  });
  byId("add-range").addEventListener("input", (event) => {
    event.stopPropagation();
    const name = byId("add-range").value;
    byId("add-range").value = "";
    if (!name) return;
    setRange(name, NaN, NaN);
    update();
    byId("ranges").lastElementChild.querySelector("input").focus();
  });
  byId("earlier").addEventListener("click", () => showWindow(first - MOST_IN_WINDOW));
  byId("later").addEventListener("click", () => showWindow(first + MOST_IN_WINDOW));
}

function pressed(event) {
  const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(document.activeElement.tagName) && document.activeElement.type !== "checkbox";
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const large = byId("large").open;
  const does = large
    ? { ArrowLeft: () => current > 0 && open(current - 1), ArrowRight: () => current < shown.length - 1 && open(current + 1),
      "+": () => zoom(1.6), "-": () => zoom(1 / 1.6), 0: () => moveTo(WHOLE), 1: toSinglePixels,
      t: () => byId("large-tick").click(), n: () => byId("large-note").focus() }
    : { "/": () => byId("search").focus() };
  if (!does[event.key]) return;
  event.preventDefault();
  does[event.key]();
}

fillFilters();
readMarks();
sayMarks();
startButtons();
startCharts();
startDialog();
startZoom();
startSaving();
startPrinting();
document.addEventListener("keydown", pressed);
addEventListener("scroll", () => requestAnimationFrame(fill), { passive: true });
addEventListener("hashchange", followLink);
let lastWidth = 0;
new ResizeObserver(() => {
  if (byId("cards").clientWidth !== lastWidth && !document.body.classList.contains("printing")) {
    layOut();
    drawChart();
  }
  lastWidth = byId("cards").clientWidth;
}).observe(byId("cards"));
isRestoring = true;
update();
isRestoring = false;
followLink();
