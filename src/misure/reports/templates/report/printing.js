// Paper: the cards that are shown, each whole.

const MOST_PRINTED = 500;

// Makes all cards, waits for their pictures, and prints.
async function printCards() {
  const list = byId("cards");
  document.body.classList.add("printing");
  const num = Math.min(MOST_PRINTED, shown.length);
  const made = shown.slice(0, num).map((object, place) => cardOf(object, place));
  for (const card of made) card.style.cssText = `width:${grid.cardWidth}px;height:${grid.rowHeight - GAP}px`;
  list.replaceChildren(...made);
  sayPrinted(num);
  await Promise.all([...list.querySelectorAll("canvas")].map((canvas) => canvas.painted));
  print();
}

function sayPrinted(num) {
  byId("printed").textContent = `${num.toLocaleString("en")} of the ${shown.length.toLocaleString("en")} objects that the filters let through` +
    (num < shown.length && !document.body.classList.contains("printing") ? ": those in sight; the button Print takes all" : "");
}

function startPrinting() {
  byId("print").addEventListener("click", printCards);
  addEventListener("beforeprint", () => document.body.classList.contains("printing") || sayPrinted(cards.size));
  addEventListener("afterprint", () => {
    document.body.classList.remove("printing");
    layOut();
  });
}
