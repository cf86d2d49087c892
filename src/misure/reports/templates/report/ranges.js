// Ranges of figures, each with two bounds, as further filters.

const ranges = []; // { name, low, high }; a bound that is NaN bounds nothing

function setRange(name, low, high) {
  const range = ranges.find((one) => one.name === name);
  if (range) Object.assign(range, { low, high });
  else ranges.push({ name, low, high });
  showRanges();
}

function removeRange(name) {
  const place = ranges.findIndex((one) => one.name === name);
  if (place >= 0) ranges.splice(place, 1);
  showRanges();
}

const isIn = (value, { low, high }) => !(value < low) && !(value > high);
const rangesBut = (names) => ranges.filter((one) => !names.includes(one.name));

function boundInput(range, bound, said) {
  const value = Number.isNaN(range[bound]) ? "" : range[bound];
  const input = make("input", { type: "number", step: "any", value });
  input.setAttribute("aria-label", `${labels.get(range.name)}: ${said}`);
  input.addEventListener("input", (event) => {
    range[bound] = input.value === "" ? NaN : Number(input.value);
    event.stopPropagation();
    update();
  });
  return input;
}

function showRanges() {
  byId("ranges").replaceChildren(...ranges.map((range) => {
    const away = make("button", { type: "button", textContent: "×" });
    away.setAttribute("aria-label", `Remove the range of ${labels.get(range.name)}`);
    away.addEventListener("click", () => {
      removeRange(range.name);
      update();
    });
    const row = make("span", { className: "range" }, boundInput(range, "low", "least"), ` ≤ ${labels.get(range.name)} ≤ `,
      boundInput(range, "high", "most"), away);
    row.dataset.name = range.name;
    return row;
  }));
}
