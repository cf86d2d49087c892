// Cards: only those in sight are made.

const MOST_IN_WINDOW = 20000; // places that can be scrolled to at a time; browsers limit heights
const GAP = 12, LEAST_WIDTH = 176, MARGIN = 600; // pixels
let first = 0; // place of the first one in the window
let grid = { columns: 1, rowHeight: 1 };
let cards = new Map(); // place -> its element

function showWindow(start) {
  first = Math.max(0, Math.min(start, shown.length - 1));
  first -= first % MOST_IN_WINDOW;
  const last = Math.min(shown.length, first + MOST_IN_WINDOW);
  byId("windows").hidden = shown.length <= MOST_IN_WINDOW;
  byId("earlier").disabled = first === 0;
  byId("later").disabled = last === shown.length;
  byId("earlier").textContent = "← earlier";
  byId("later").textContent = `${(first + 1).toLocaleString("en")} to ${last.toLocaleString("en")} · later →`;
  layOut();
}

function layOut() {
  const list = byId("cards");
  const width = list.clientWidth;
  const columns = Math.max(1, Math.floor((width + GAP) / (LEAST_WIDTH * runs.length + GAP)));
  const cardWidth = (width - GAP * (columns - 1)) / columns;
  const across = Math.max(1, Math.min(runs.length, Math.floor(cardWidth / 110)));
  const down = Math.ceil(runs.length / across);
  const picture = Math.round(0.75 * (cardWidth / across));
  const lines = runs.length > 1 ? 6.6 : 5.2; // of figures, marks and notes
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const height = 3.4 * rem + down * (picture + lines * rem);
  grid = { columns, rowHeight: height + GAP, cardWidth };
  list.style.setProperty("--across", across);
  list.style.setProperty("--picture", `${picture}px`);
  const num = Math.min(MOST_IN_WINDOW, shown.length - first);
  list.style.height = `${Math.ceil(num / columns) * grid.rowHeight}px`;
  list.replaceChildren();
  cards = new Map();
  fill();
}

function fill() {
  if (document.body.classList.contains("printing")) return;
  const list = byId("cards");
  const { columns, rowHeight } = grid;
  const top = -list.getBoundingClientRect().top;
  const from = Math.max(0, Math.floor((top - MARGIN) / rowHeight)) * columns;
  const to = Math.max(0, Math.ceil((top + innerHeight + MARGIN) / rowHeight)) * columns;
  const last = Math.min(shown.length - first, MOST_IN_WINDOW, to);
  for (const [place, card] of cards) {
    if ((place < first + from || place >= first + last) && !card.contains(document.activeElement)) {
      card.remove();
      cards.delete(place);
    }
  }
  for (let i = from; i < last; i++) {
    const place = first + i;
    if (cards.has(place)) continue;
    const card = cardOf(shown[place], place);
    card.style.cssText = `top:${Math.floor(i / columns) * rowHeight}px;left:${(i % columns) * (grid.cardWidth + GAP)}px;` +
      `width:${grid.cardWidth}px;height:${rowHeight - GAP}px`;
    const after = [...list.children].find((other) => other.place > place);
    list.insertBefore(card, after ?? null);
    cards.set(place, card);
  }
}

// What is remarkable about an object in a run, in two or three words each.
const badgesOf = (object, run) => [
  isUnreduced(object, run) && "not reduced",
  outlineSuffices(object, run) && "outline alone suffices",
  dustOf(object, run) && "dust",
].filter(Boolean);

function cellOf(object, run) {
  const cell = make("span");
  if (runs.length > 1) cell.append(make("span", { className: "run-name", textContent: runs[run].name }));
  if (!isDone(object, run)) {
    const said = missingIn(object, run);
    cell.append(make("span", { className: statusOf(object, run) === FAILED ? "failure" : "figures", textContent: said, title: said }));
    return cell;
  }
  const canvas = make("canvas", { width: 160, height: 120 });
  canvas.painted = paintSoon(canvas, object, run);
  cell.append(canvas, make("span", { className: "figures", textContent: briefOf(object, run) }));
  const annotated = figureOf(object, run, "annotated_dice");
  if (annotated !== null) cell.append(make("span", { className: "figures", textContent: `annotation: Dice ${fixed(annotated, 2)}` }));
  const badges = badgesOf(object, run);
  if (badges.length) cell.append(make("span", { className: "badges" }, ...badges.map((textContent) => make("span", { textContent }))));
  const notes = notedOf(object, run, counterpartOf(object, run));
  if (notes) cell.append(make("span", { className: "notes", textContent: notes, title: notes }));
  return cell;
}

function cardOf(object, place) {
  const name = make("span", { className: "name", textContent: titleOf(object), title: titleOf(object) });
  const cells = make("span", { className: "runs" }, ...allRuns.map((run) => cellOf(object, run)));
  const button = make("button", { className: "card", type: "button" }, name, cells);
  button.addEventListener("click", () => open(place));
  const tick = make("input", { type: "checkbox", className: "tick", checked: isTicked(object), title: "Tick" });
  tick.setAttribute("aria-label", `Tick ${titleOf(object)}`);
  tick.addEventListener("input", () => mark(object, { ticked: tick.checked }));
  const item = make("li", { place }, button, tick);
  const note = noteOf(object).replace(/\s+/g, " ");
  if (note) button.append(make("span", { className: "own-note", textContent: note, title: note }));
  item.setAttribute("aria-setsize", shown.length);
  item.setAttribute("aria-posinset", place + 1);
  return item;
}

// Cards that are scrolled past quickly load nothing.
function paintSoon(canvas, object, run) {
  return new Promise((resolve) => setTimeout(async () => {
    try {
      if (!canvas.isConnected) return;
      const pictures = await picturesOf(object, run);
      if (canvas.isConnected) paint(canvas, pictures, layerFor(object, run, byId("layer").value));
    } catch (error) {
      if (isInPage) throw error; // else the page says that files are missing
    } finally {
      resolve();
    }
  }, isInPage ? 0 : 60));
}

function goTo(place) {
  if (place < first || place >= first + MOST_IN_WINDOW) showWindow(place);
  const row = Math.floor((place - first) / grid.columns) * grid.rowHeight;
  const top = byId("cards").getBoundingClientRect().top + row;
  if (top < 0 || top + grid.rowHeight > innerHeight) scrollBy(0, top - innerHeight / 3);
  fill();
  cards.get(place)?.firstElementChild.focus({ preventScroll: true });
}

// Makes the card of a place anew, as its marks have changed.
function renew(place) {
  const old = cards.get(place);
  if (!old) return;
  const card = cardOf(shown[place], place);
  card.style.cssText = old.style.cssText;
  old.replaceWith(card);
  cards.set(place, card);
}
