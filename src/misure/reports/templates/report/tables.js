// Tables that their headings sort.

for (const table of document.querySelectorAll(".sortable")) {
  table.querySelectorAll("thead th").forEach((heading, column) => heading.firstElementChild?.addEventListener("click", () => {
    const direction = heading.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
    table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", direction);
    const sign = direction === "descending" ? -1 : 1;
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const isNumber = (row) => row.cells[column].dataset.value !== undefined;
    const rows = [...table.tBodies[0].rows].sort((a, b) =>
      sign * (isNumber(a) ? Number(value(a)) - Number(value(b)) : collator.compare(value(a), value(b))));
    table.tBodies[0].append(...rows);
  }));
}
