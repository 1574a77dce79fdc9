// The world: regions by state and size, and where players come from. One unit is a fifth of a degree, see coast.js.

import { COAST } from "./coast.js";
import { h, keyed, s, setAttribute, setText } from "./dom.js";
import { count } from "./format.js";

const VIEW = { left: -880, top: -400, wide: 1780, high: 690 };
const SHAPES = {
  ok: "M0-1A1 1 0 1 1 0 1A1 1 0 1 1 0-1z",
  doubtful: "M0-1.25L1.2.9L-1.2.9z",
  draining: "M-.9-.9H.9V.9H-.9z",
  offline: "M-1-.6L-.6-1L0-.4L.6-1L1-.6L.4 0L1 .6L.6 1L0 .4L-.6 1L-1 .6L-.4 0z",
};
const LABELS_MAX = 14;

const x = (longitude) => 5 * longitude;
const y = (latitude) => -5 * latitude;

export class WorldMap {
  constructor(open) {
    this.open = open;
    this.flows = s("g", { class: "flows" });
    this.cities = s("g", { class: "cities" });
    this.regions = s("g", { class: "regions" });
    this.labels = s("g", { class: "labels" });
    const lines = [];
    for (let longitude = -150; longitude <= 150; longitude += 30) lines.push(`M${x(longitude)} ${VIEW.top}V${VIEW.top + VIEW.high}`);
    for (let latitude = -30; latitude <= 60; latitude += 30) lines.push(`M${VIEW.left} ${y(latitude)}H${VIEW.left + VIEW.wide}`);
    this.picture = s(
      "svg",
      { viewBox: `${VIEW.left} ${VIEW.top} ${VIEW.wide} ${VIEW.high}`, role: "img", class: "world", "aria-label": "World map of regions" },
      s("path", { class: "graticule", d: lines.join("") }),
      s("path", { class: "land", d: COAST }),
      this.flows,
      this.cities,
      this.regions,
      this.labels,
    );
    this.element = h("div", { class: "map" }, this.picture);
  }

  show(rows, flows) {
    const at = new Map(rows.map((row) => [row.region, row]));
    const most = Math.max(1, ...flows.map((flow) => flow[5]));
    const drawn = flows.filter((flow) => at.has(flow[4])).slice(0, 120);
    keyed(
      this.flows,
      drawn,
      (flow) => `${flow[0]} ${flow[1]} ${flow[4]}`,
      () => s("path", { class: "flow" }, s("title")),
      (element, flow) => {
        const region = at.get(flow[4]);
        setAttribute(element, "d", arc(x(flow[3]), y(flow[2]), x(region.longitude), y(region.latitude)));
        setAttribute(element, "stroke-width", (1.2 + 5 * Math.sqrt(flow[5] / most)).toFixed(1));
        setText(element.firstChild, `${flow[0]} to ${region.title}: ${count(flow[5])} players placed in 15 minutes`);
      },
    );
    const cities = new Map();
    for (const [name, country, latitude, longitude, , players] of drawn) {
      const city = cities.get(`${name} ${country}`) ?? { name, country, latitude, longitude, players: 0 };
      city.players += players;
      cities.set(`${name} ${country}`, city);
    }
    keyed(
      this.cities,
      [...cities.values()],
      (city) => `${city.name} ${city.country}`,
      (city) => s("circle", { class: "city", cx: x(city.longitude), cy: y(city.latitude) }, s("title")),
      (element, city) => {
        setAttribute(element, "r", (2.5 + 4 * Math.sqrt(city.players / most)).toFixed(1));
        setText(element.firstChild, `${city.name}, ${city.country}: ${count(city.players)} players placed in 15 minutes`);
      },
    );
    this.showRegions(rows);
  }

  showRegions(rows) {
    const largest = Math.max(1, ...rows.map((row) => row.players));
    const base = rows.length > 60 ? 5 : 9;
    const sorted = [...rows].sort((a, b) => b.players - a.players);
    keyed(
      this.regions,
      [...sorted].reverse(),
      (row) => row.region,
      (row) => s("path", { class: "region", on: { click: () => this.open(row.region) } }, s("title")),
      (element, row) => {
        const size = base + (rows.length > 60 ? 9 : 15) * Math.sqrt(row.players / largest);
        setAttribute(element, "d", SHAPES[row.status] ?? SHAPES.ok);
        setAttribute(element, "transform", `translate(${x(row.longitude)} ${y(row.latitude)}) scale(${size.toFixed(1)})`);
        setAttribute(element, "class", `region ${row.status}${row.alarms ? " alarmed" : ""}`);
        setText(element.firstChild, `${row.title} (${row.region}): ${row.status}, ${count(row.players)} players, ${count(row.matches)} matches`);
      },
    );
    const named = rows.length <= LABELS_MAX ? sorted : sorted.filter((row) => row.alarms || row.status !== "ok").slice(0, LABELS_MAX);
    keyed(
      this.labels,
      place(named, this.element.clientWidth < 620 ? 2.3 : 1),
      ({ row }) => row.region,
      () => s("text", { class: "map-label" }, s("tspan", { class: "map-name" }), s("tspan", { class: "map-count", dx: 8 })),
      (element, { row, left, top, anchor }) => {
        setAttribute(element, "x", left);
        setAttribute(element, "y", top);
        setAttribute(element, "text-anchor", anchor);
        setText(element.firstChild, row.title);
        setText(element.lastChild, row.status === "offline" ? "offline" : count(row.players));
      },
    );
    const players = rows.reduce((sum, row) => sum + row.players, 0);
    const away = rows.filter((row) => row.status === "offline").length;
    setAttribute(this.picture, "aria-label", `World map: ${rows.length} regions, ${count(players)} players, ${away} regions offline. The table below has the same.`);
  }
}

// Names beside their dots: to the right, or to the left where the right is taken or ends.
function place(rows, scale) {
  const taken = [];
  const found = [];
  for (const row of rows) {
    const wide = 13 * scale * (row.title.length + 4);
    const [cx, cy] = [x(row.longitude), y(row.latitude)];
    const options = [
      [cx + 28, cy + 8, "start", cx + 28],
      [cx - 28, cy + 8, "end", cx - 28 - wide],
      [cx + 18, cy + 38, "start", cx + 18],
      [cx + 18, cy - 24, "start", cx + 18],
    ];
    const free = options.find(
      ([, top, , from]) =>
        from > VIEW.left && from + wide < VIEW.left + VIEW.wide && !taken.some((t) => from < t.to && from + wide > t.from && Math.abs(top - t.top) < 26 * scale),
    );
    if (!free) continue;
    taken.push({ from: free[3], to: free[3] + wide, top: free[1] });
    found.push({ row, left: free[0], top: free[1], anchor: free[2] });
  }
  return found;
}

// Bent to the north, a little more the longer it is.
function arc(x1, y1, x2, y2) {
  const bend = Math.min(140, Math.hypot(x2 - x1, y2 - y1) * 0.22);
  return `M${x1} ${y1}Q${(x1 + x2) / 2} ${(y1 + y2) / 2 - bend} ${x2} ${y2}`;
}
