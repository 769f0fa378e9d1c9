// Makes the headings of tables with class `sortable` buttons. Without this the tables are as they were printed.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, place) => {
    if (heading.dataset.fixed !== undefined) return;
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const number = place > 0;
      const before = heading.getAttribute("aria-sort");
      const falling = before ? before === "ascending" : number;
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const sign = falling ? -1 : 1;
      const value = (row) => row.cells[place].textContent.trim();
      const rows = [...body.rows].sort((one, other) => {
        const [a, b] = [value(one), value(other)];
        if (!number) return sign * a.localeCompare(b, "en", { numeric: true });
        const [x, y] = [parseFloat(a), parseFloat(b)];
        // Dashes stand last, whichever way.
        if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
        return sign * (x - y);
      });
      body.append(...rows);
    });
  });
}
// A link to a closed part opens it.
const reveal = () => {
  const part = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (part && part.tagName === "DETAILS") part.open = true;
};
addEventListener("hashchange", reveal);
reveal();
