// What a reader can do with a report: sort the table, see one candidate alone, choose light or dark. Everything is readable
// without it. Text goes through textContent alone.
(() => {
  const root = document.documentElement;
  const tip = document.getElementById("tip");

  // Sorting: numbers by data-sort, empty cells last in both directions, equal rows keep their order.
  function sortBy(heading) {
    const table = heading.closest("table");
    const column = [...heading.parentElement.children].indexOf(heading);
    const numeric = heading.classList.contains("number");
    const wasAscending = heading.getAttribute("aria-sort") === "ascending";
    const sign = wasAscending ? -1 : 1;
    const keyOf = (row) => row.children[column].dataset.sort;
    const compare = (a, b) => {
      const [x, y] = [keyOf(a), keyOf(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return (
        sign * (numeric || !(Number.isNaN(Number(x)) || Number.isNaN(Number(y))) ? x - y : x.localeCompare(y))
      );
    };
    for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", wasAscending ? "descending" : "ascending");
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort(compare));
  }

  // One candidate alone: whatever carries its number stays, the rest fades.
  let focused = null;
  function focusOn(candidate) {
    if (candidate === focused) return;
    focused = candidate;
    for (const element of document.querySelectorAll(".focused")) element.classList.remove("focused");
    root.classList.toggle("focusing", candidate !== null);
    if (candidate === null) return;
    for (const element of document.querySelectorAll("[data-c]")) {
      if (element.dataset.c === candidate) element.classList.add("focused");
    }
  }

  function showTip(text, x, y) {
    tip.textContent = text;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${y + 18 + height > innerHeight ? y - height - 10 : y + 18}px`;
  }

  document.addEventListener("pointermove", (event) => {
    const target = event.target instanceof Element ? event.target.closest("[data-c]") : null;
    focusOn(target ? target.dataset.c : null);
    if (target?.dataset.label) showTip(target.dataset.label, event.clientX, event.clientY);
    else tip.hidden = true;
  });
  document.addEventListener("pointerleave", () => {
    focusOn(null);
    tip.hidden = true;
  });
  document.addEventListener("click", (event) => {
    const heading = event.target instanceof Element ? event.target.closest("[data-sortable] thead th") : null;
    if (heading) sortBy(heading);
  });

  // The keyboard walks the rows of the ranking with the arrows, and each shows its candidate in every chart.
  const rowsOf = () => [...document.querySelectorAll("[data-sortable] tbody tr")];
  function prepareRows() {
    for (const [i, row] of rowsOf().entries()) row.tabIndex = i === 0 ? 0 : -1;
  }
  document.addEventListener("focusin", (event) => {
    const row = event.target instanceof Element ? event.target.closest("[data-sortable] tbody tr") : null;
    focusOn(row ? row.dataset.c : null);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      focusOn(null);
      tip.hidden = true;
    }
    const rows = rowsOf();
    const at = rows.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (at < 0 || step === undefined) return;
    event.preventDefault();
    rows[Math.max(0, Math.min(rows.length - 1, at + step))].focus();
  });
  prepareRows();
  document.addEventListener("layermix:replaced", prepareRows);

  // Light, dark, or as the system says; remembered where the browser allows it.
  const button = document.getElementById("theme");
  const choices = ["auto", "light", "dark"];
  const store = {
    get: () => {
      try {
        return localStorage.getItem("layermix-theme");
      } catch {
        return null;
      }
    },
    set: (value) => {
      try {
        localStorage.setItem("layermix-theme", value);
      } catch {
        // Not remembered, and still chosen.
      }
    },
  };
  let choice = choices.includes(store.get()) ? store.get() : "auto";
  function applyTheme() {
    if (choice === "auto") delete root.dataset.theme;
    else root.dataset.theme = choice;
    button.textContent = `theme: ${choice}`;
  }
  button.hidden = false;
  button.addEventListener("click", () => {
    choice = choices[(choices.indexOf(choice) + 1) % choices.length];
    store.set(choice);
    applyTheme();
  });
  applyTheme();
})();
