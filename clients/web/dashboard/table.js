// All regions: sorted, filtered, and still quick with 200 of them. Cells are changed, rows stay (and what has the focus, too).

import { h, keyed, setAttribute, setText } from "./dom.js";
import { count, ms, percent } from "./format.js";

const WORST = { offline: 3, doubtful: 2, draining: 1, ok: 0 };

// key, title, value to sort by, text; `wide`: left out on small screens; `warn`: when it is worth a look
const COLUMNS = [
  ["title", "Region", (r) => r.title.toLowerCase(), null],
  ["status", "State", (r) => WORST[r.status] * 1000 + r.alarms, null],
  ["players", "Players", (r) => r.players, (r) => count(r.players)],
  ["full", "Full", (r) => r.players / (r.players_max || 1), (r) => percent(r.players / (r.players_max || 1)), { wide: true, warn: (r) => r.players > 0.95 * r.players_max && r.players }],
  ["matches", "Matches", (r) => r.matches, (r) => count(r.matches)],
  ["queued", "Queue", (r) => r.queued, (r) => count(r.queued)],
  ["wait", "Wait p50 / p99", (r) => r.wait_ms_p99, (r) => `${ms(r.wait_ms_p50)} / ${ms(r.wait_ms_p99)}`, { warn: (r) => r.wait_ms_p99 > 10000 }],
  ["late", "Tick late p99", (r) => r.late_ms_p99, (r) => ms(r.late_ms_p99), { warn: (r) => r.late_ms_p99 > 10 }],
  ["busy", "Busy", (r) => r.busy, (r) => percent(r.busy), { wide: true, warn: (r) => r.busy > 0.8 }],
  ["infer", "Infer p99", (r) => r.infer_ms_p99, (r) => ms(r.infer_ms_p99), { wide: true, warn: (r) => r.infer_ms_p99 > 2 }],
  ["batch", "Batch", (r) => r.batch, (r) => count(r.batch), { wide: true }],
  ["npcs", "NPCs", (r) => r.npcs, (r) => count(r.npcs), { wide: true }],
  ["rtt", "RTT", (r) => r.rtt_ms_p50, (r) => ms(r.rtt_ms_p50), { wide: true }],
  ["flags", "Flags", (r) => r.flags, (r) => count(r.flags)],
  ["processes", "Processes", (r) => r.processes, (r) => `${r.processes} / ${r.processes_known}`, { wide: true, warn: (r) => r.processes < r.processes_known }],
];

export class RegionTable {
  constructor(container) {
    this.rows = [];
    this.sort = { key: "players", down: true };
    this.text = "";
    this.state = "";
    this.filter = h("input", {
      type: "search",
      id: "region-filter",
      placeholder: "Filter: name, model, version",
      "aria-label": "Filter regions",
      on: { input: () => this.refilter() },
    });
    this.states = h(
      "select",
      { "aria-label": "Only regions that are", id: "region-state", on: { change: () => this.refilter() } },
      ...["all states", "ok", "doubtful", "draining", "offline", "with alarms"].map((name, k) => h("option", { value: k ? name : "", text: name })),
    );
    this.shown = h("span", { class: "small soft", role: "status" });
    this.heads = COLUMNS.map(([key, title, , text, more]) =>
      h(
        "th",
        { scope: "col", class: `${text ? "number" : ""} ${more?.wide ? "wide" : ""}`, "aria-sort": "none" },
        h("button", { type: "button", class: "sorter", text: title, "data-sort": key, on: { click: () => this.sortBy(key) } }),
      ),
    );
    this.body = h("tbody");
    container.append(
      h("div", { class: "row wrap table-tools" }, h("h2", { class: "grow", text: "Regions" }), this.shown, this.filter, this.states),
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table of regions, scrolls" },
        h("table", { class: "regions-table" }, h("caption", { class: "unseen", text: "Regions" }), h("thead", {}, h("tr", {}, ...this.heads)), this.body),
      ),
    );
  }

  sortBy(key) {
    this.sort = { key, down: this.sort.key === key ? !this.sort.down : key !== "title" };
    this.draw();
  }

  refilter() {
    this.text = this.filter.value.trim().toLowerCase();
    this.state = this.states.value;
    this.draw();
  }

  show(rows) {
    this.rows = rows;
    this.draw();
  }

  draw() {
    const found = this.rows.filter((row) => {
      if (this.state === "with alarms" ? !row.alarms : this.state && row.status !== this.state) return false;
      return !this.text || `${row.title} ${row.region} ${row.models} ${row.version} ${row.status}`.toLowerCase().includes(this.text);
    });
    const value = COLUMNS.find(([key]) => key === this.sort.key)[2];
    const turn = this.sort.down ? -1 : 1;
    found.sort((a, b) => {
      const [one, other] = [value(a), value(b)];
      return (one < other ? -1 : one > other ? 1 : 0) * turn || (a.region < b.region ? -1 : 1);
    });
    COLUMNS.forEach(([key], k) => setAttribute(this.heads[k], "aria-sort", key === this.sort.key ? (this.sort.down ? "descending" : "ascending") : "none"));
    setText(this.shown, found.length === this.rows.length ? `${count(found.length)} regions` : `${count(found.length)} of ${count(this.rows.length)} regions`);
    keyed(this.body, found, (row) => row.region, makeRow, fillRow);
  }
}

function makeRow(row) {
  return h(
    "tr",
    {},
    h("th", { scope: "row", class: "name" }, h("a", { href: `#/region/${encodeURIComponent(row.region)}` })),
    h("td", {}, h("span", { class: "state" })),
    ...COLUMNS.slice(2).map(([, , , , more]) => h("td", { class: `number ${more?.wide ? "wide" : ""}` })),
  );
}

function fillRow(element, row) {
  const [first, state, ...cells] = element.children;
  setText(first.firstChild, row.title);
  setAttribute(first.firstChild, "title", row.region);
  setAttribute(state.firstChild, "class", `state ${row.status}`);
  setText(state.firstChild, row.alarms ? `${row.status} · ${row.alarms} alarm${row.alarms > 1 ? "s" : ""}` : row.status);
  COLUMNS.slice(2).forEach(([, , , text, more], k) => {
    setText(cells[k], row.status === "offline" && k !== 12 ? "–" : text(row));
    cells[k].classList.toggle("warn", Boolean(more?.warn?.(row)) && row.status !== "offline");
  });
}
