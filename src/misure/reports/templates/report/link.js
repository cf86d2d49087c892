// The page's address keeps filters, order, chart and the open object, so that it can be sent on.

const KEPT = ["search", "of-run", "class", "context", "which", "sort", "descending", "from", "to", "layer", "chart-x", "chart-y"];
let isRestoring = false;
let keeping = 0;

const valueOf = (element) => (element.type === "checkbox" ? String(element.checked) : element.value);
const usualOf = (element) => {
  if (element.type === "checkbox") return String(element.defaultChecked);
  return element.tagName === "SELECT" ? (element.options[0]?.value ?? "") : "";
};

function linkText() {
  const kept = new URLSearchParams();
  for (const id of KEPT) if (byId(id) && valueOf(byId(id)) !== usualOf(byId(id))) kept.set(id, valueOf(byId(id)));
  for (const { name, low, high } of ranges) kept.append("range", [name, ...[low, high].map((bound) => (Number.isNaN(bound) ? "" : bound))].join(":"));
  if (byId("charts").open) kept.set("charts", "open");
  if (byId("large").open) kept.set("object", data.keys[shown[current]]);
  return String(kept);
}

// Browsers limit how often an address may change.
function keepLink() {
  if (isRestoring) return;
  clearTimeout(keeping);
  keeping = setTimeout(() => {
    const text = linkText();
    if (!text && !location.hash.startsWith("#?")) return;
    try {
      history.replaceState(null, "", text ? `#?${text}` : location.href.split("#")[0]);
    } catch {
      // an address that cannot change keeps nothing
    }
  }, 150);
}

function restore(text) {
  const kept = new URLSearchParams(text);
  clearFilters();
  for (const id of KEPT) {
    const element = byId(id);
    if (!element || !kept.has(id)) continue;
    if (element.type === "checkbox") element.checked = kept.get(id) === "true";
    else element.value = kept.get(id);
    if (element.tagName === "SELECT" && element.selectedIndex < 0) element.selectedIndex = 0;
  }
  for (const range of kept.getAll("range")) {
    const [name, ...bounds] = range.split(":");
    const [low, high] = bounds.map((bound) => (bound ? Number(bound) : NaN));
    if (labels.has(name) && bounds.length === 2) setRange(name, low, high);
  }
  byId("charts").open = kept.get("charts") === "open";
  update();
  const object = data.keys.indexOf(kept.get("object"));
  if (object < 0) return;
  const place = shown.indexOf(object);
  if (place < 0) openObject(object);
  else {
    goTo(place);
    open(place);
  }
}

// An address ends with the key of an object, or with ? and all that is kept.
function followLink() {
  const hash = location.hash.slice(1);
  isRestoring = true;
  try {
    if (hash.startsWith("?")) restore(hash.slice(1));
    else if (hash) {
      const wanted = (() => { try { return decodeURIComponent(hash); } catch { return ""; } })();
      const found = data.keys.indexOf(wanted);
      if (found >= 0) openObject(found);
    }
  } finally {
    isRestoring = false;
  }
}
