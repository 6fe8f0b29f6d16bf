// Makes the headers of tables buttons that sort; without it, tables are as they are.
for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.querySelectorAll("thead th")) {
        other.removeAttribute("aria-sort");
      }
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const text = (row) => row.cells[column].textContent;
      const compare = head.classList.contains("number")
        ? (one, other) => parseFloat(text(one)) - parseFloat(text(other))
        : (one, other) => text(one).localeCompare(text(other), undefined, { numeric: true });
      const rows = [...body.rows].sort(compare);
      body.append(...(falling ? rows.reverse() : rows));
    });
  });
}
