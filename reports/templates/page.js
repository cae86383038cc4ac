"use strict";
(() => {
  const one = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const data = JSON.parse(one("#data").textContent);
  const bar = one("#filters");
  const sections = all("section.question");

  // Sorting: what has no number comes last, whichever way.
  for (const table of all("table.sortable")) {
    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      const isNumber = head.classList.contains("number");
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => isNumber ? row.cells[column].dataset.s ?? "" : row.cells[column].textContent;
        const rows = [...table.tBodies[0].rows].map((row) => [value(row), row]);
        rows.sort(([x], [y]) => {
          if (x === "" || y === "") return (x === "") - (y === "");
          const order = isNumber ? x - y : x.localeCompare(y, "en", {numeric: true});
          return down ? -order : order;
        });
        table.tBodies[0].append(...rows.map(([, row]) => row));
        rove(table);
      });
    });
  }

  // One row of a table is reached by Tab, the others by the arrows.
  const heads = (table) => all("tbody tr:not([hidden]) > th[data-i]", table);
  const rove = (table) => {
    all("th[tabindex]", table).forEach((head) => head.removeAttribute("tabindex"));
    const first = one("tbody tr:not([hidden]) > th[data-i]", table);
    if (first) first.tabIndex = 0;
  };
  const step = (list, from, event) => {
    const by = {ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1}[event.key];
    if (!by) return;
    const next = list[list.indexOf(from) + by];
    event.preventDefault();
    if (!next) return;
    from.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  };

  // The numbers behind a row or a point.
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  one("main").append(tip);
  let pinned = false, owner = null;
  const hide = () => {
    tip.hidden = true;
    pinned = false;
    tip.classList.remove("pinned");
    owner?.removeAttribute("aria-describedby");
    owner = null;
  };
  const show = (target, lines) => {
    if (pinned) return;
    hide();
    owner = target;
    tip.textContent = lines.join("\n");
    tip.hidden = false;
    target.setAttribute("aria-describedby", "tip");
    place();
  };
  const place = () => {
    const box = owner.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const below = box.bottom + 8 + own.height < innerHeight || box.top < own.height + 8;
    tip.style.top = `${Math.max(4, below ? box.bottom + 8 : box.top - own.height - 8)}px`;
    tip.style.left = `${Math.max(8, Math.min(box.left + 24, innerWidth - own.width - 12))}px`;
  };
  const seconds = (value) => value >= 1 ? `${value.toPrecision(3)} s` : value >= 1e-3 ? `${(value * 1e3).toPrecision(3)} ms` : `${(value * 1e6).toPrecision(3)} \u00b5s`;
  const share = (value) => value >= 1e-4 && value < 10 ? `${(value * 100).toPrecision(3)} %` : value ? value.toExponential(2) : "0";
  const behind = (head) => {
    const row = head.closest("tr");
    const [ids, lines] = data.cells[+head.closest("section").dataset.n];
    return [`${head.firstChild.textContent}, budget ${(+row.dataset.b).toLocaleString("en")}`,
      ...lines[+head.dataset.i].map(([repeat, cell, error, took, products, status]) => [
        `repeat ${repeat}:`, error === null ? "no error," : `error ${share(error)},`,
        took === null ? "not timed," : `${seconds(took)},`, `${products.toLocaleString("en")} products,`,
        status ? `${status},` : "", `cell ${ids[cell]}`].filter(Boolean).join(" "))];
  };
  const described = (event) => {
    const point = event.target.closest?.(".hb .point");
    if (point) return [point, name(point).split("\n")];
    const head = event.target.closest?.("tr")?.querySelector(":scope > th[data-i]");
    return head ? [head, behind(head)] : null;
  };
  const name = (point) => {
    const title = one("title", point);
    if (title) {  // the window's own tooltip would say the same again
      const cells = point.dataset.cells ? `\ncell${point.dataset.cells.includes(" ") ? "s" : ""} ${point.dataset.cells}` : "";
      const text = title.textContent.includes(point.dataset.cells ?? "\0") ? title.textContent : title.textContent + cells;
      point.setAttribute("aria-label", text);
      point.setAttribute("role", "img");
      title.remove();
    }
    return point.getAttribute("aria-label") ?? "";
  };
  for (const kind of ["pointerover", "focusin"]) {
    document.addEventListener(kind, (event) => {
      const found = described(event);
      if (found) show(...found);
      else if (!pinned && !tip.contains(event.target)) hide();
    });
  }
  document.addEventListener("click", (event) => {
    if (tip.contains(event.target) || event.target.closest?.("a, button, summary, .key")) return;
    const found = described(event);
    hide();
    if (!found) return;
    show(...found);
    pinned = true;
    tip.classList.add("pinned");
  });
  addEventListener("scroll", () => {
    if (owner && owner === document.activeElement) place();
    else if (!pinned) hide();
  }, {passive: true});
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const head = event.target.closest?.("th[data-i]");
    if (head) step(heads(head.closest("table")), head, event);
    const point = event.target.closest?.(".hb .point");
    if (point) step(all(".series:not(.off):not(.out) .point", point.ownerSVGElement), point, event);
    const key = event.target.closest?.(".hb .key");
    if (key && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      toggle(key);
    }
  });

  // One point of a figure is reached by Tab, the others by the arrows.
  const rovePoints = (svg) => {
    all(".point[tabindex]", svg).forEach((point) => point.removeAttribute("tabindex"));
    const point = one(".series:not(.off):not(.out) .point", svg);
    if (!point) return;
    name(point);
    point.setAttribute("tabindex", "0");
  };

  // Legend entries show and hide their series, in both figures of a section.
  const toggle = (key) => {
    const off = !key.classList.contains("off");
    for (const svg of all("svg.hb", key.closest(".figures"))) {
      for (const part of all(`[data-series="${key.dataset.series}"]`, svg)) {
        part.classList.toggle("off", off);
        if (part.classList.contains("key")) part.setAttribute("aria-pressed", String(!off));
      }
    }
    hide();
    all("svg.hb", key.closest(".figures")).forEach(rovePoints);
  };
  for (const svg of all("svg.hb")) {
    for (const key of all(".key", svg)) {
      key.setAttribute("role", "button");
      key.setAttribute("tabindex", "0");
      key.setAttribute("aria-pressed", "true");
      key.setAttribute("aria-label", key.textContent.trim());
      key.addEventListener("click", () => toggle(key));
    }
  }

  // Filters, kept in the address: as its query, or behind its # where a query cannot be set.
  const fields = ["problem", "estimand", "method", "budget", "columns"];
  const field = (key) => bar.elements[key];
  const asked = () => {
    const known = new URLSearchParams(location.search || (location.hash.startsWith("#?") ? location.hash.slice(1) : ""));
    for (const key of fields) {
      const value = known.get(key) ?? "";
      if (key === "columns") field(key).checked = value === "all";
      else field(key).value = value;
      if (field(key).value === "" && field(key).options) field(key).selectedIndex = 0;
    }
  };
  const keep = () => {
    const known = new URLSearchParams();
    for (const key of fields) {
      const value = key === "columns" ? (field(key).checked ? "all" : "") : field(key).value.trim();
      if (value) known.set(key, value);
    }
    const query = known.size ? `?${known}` : "";
    const place = location.hash.startsWith("#?") ? "" : location.hash;
    try {
      history.replaceState(null, "", `${location.pathname}${query}${place}`);
    } catch {
      location.replace(`#${query}`);
    }
  };
  const filter = () => {
    const words = field("method").value.toLowerCase().split(/[,;\s]+(?![^[]*\])/).filter(Boolean);
    const fits = data.methods.map((method) => !words.length || words.some((word) => method.toLowerCase().includes(word)));
    const budget = field("budget").value;
    const isIn = (element) => ["problem", "estimand"].every((key) => {
      const value = field(key).value;
      return !value || element.dataset[key[0]] === field(key).selectedOptions[0].dataset.n;
    });
    let shown = 0;
    for (const section of sections) {
      let rows = 0;
      const isAsked = isIn(section);
      if (isAsked) {
        for (const row of all("tr[data-m]", section)) {
          const isRow = "b" in row.dataset;
          const there = fits[row.dataset.m] &&
            (!isRow || budget === "every" || (budget ? row.dataset.b === budget : !row.classList.contains("less")));
          row.hidden = !there;
          if (there && isRow) rows += 1;
        }
        for (const series of all(".hb [data-method]", section)) {
          const at = data.methods.indexOf(series.dataset.method);
          const out = at >= 0 && !fits[at];
          series.classList.toggle("out", out);
          const key = series.dataset.series && one(`.key[data-series="${series.dataset.series}"]`, series.ownerSVGElement);
          if (key) key.classList.toggle("out", out);
        }
        all("svg.hb", section).forEach(rovePoints);
        all("table.lines", section).forEach(rove);
      }
      section.hidden = !isAsked || (!rows && (words.length > 0 || budget !== ""));
      if (!section.hidden) shown += 1;
    }
    const of = field("problem").selectedOptions[0]?.dataset.n;
    for (const part of all("details.spectrum")) part.hidden = Boolean(field("problem").value) && part.dataset.p !== of;
    const gone = new Set(sections.filter((section) => section.hidden).map((section) => section.id));
    for (const row of all("#answers tr[data-to]")) row.hidden = gone.has(row.dataset.to);
    document.body.classList.toggle("all", field("columns").checked);
    one("output", bar).textContent = shown === sections.length ? "" : `${shown} of ${sections.length} shown`;
    one("button", bar).hidden = fields.every((key) => key === "columns" ? !field(key).checked : !field(key).value);
  };
  const change = () => { hide(); keep(); filter(); };
  bar.addEventListener("submit", (event) => event.preventDefault());
  bar.addEventListener("change", change);
  field("method").addEventListener("input", change);
  one("button", bar).addEventListener("click", () => { bar.reset(); change(); });
  bar.hidden = false;
  // What is pinned stands below the bar, however many lines that takes.
  new ResizeObserver(() => {
    const isPinned = getComputedStyle(bar).position === "sticky";
    document.documentElement.style.setProperty("--bar", `${isPinned ? bar.offsetHeight : 0}px`);
  }).observe(bar);
  asked();
  filter();

  // A link into a folded part opens it; what prints is open.
  const reveal = () => {
    const target = location.hash.length > 1 && !location.hash.startsWith("#?") && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    let opened = false;
    for (let at = target; at; at = at.parentElement) {
      if (at.tagName === "DETAILS" && !at.open) opened = at.open = true;
    }
    if (opened) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (link && link.hash === location.hash) reveal();
  });
  reveal();
  let folded = [];
  addEventListener("beforeprint", () => {
    hide();
    folded = all("details:not([open])");
    folded.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((part) => { part.open = false; }));
})();
