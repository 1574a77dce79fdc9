/** The arena on a 2D canvas: no WebGL, one pass a frame. The map is drawn once; everything else is in world units, y up. */

import { Input } from "./input.js";
import { person, teamSign } from "./names.js";
import { free, visible } from "./sight.js";

const SHORT_SIDE = 27; // world units on the shorter side of the screen
const SHORT_SIDE_PHONE = 24;
const RATIO_MAX = 2; // device pixels a CSS pixel: more cost time and show nothing
const BESIDE = 5; // world units that are seen beside the map, so that its edge is not the screen's
const SIGHT = 48;
const SELF = "#ffffff";
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

export class Renderer {
  constructor(canvas, map) {
    this.canvas = canvas;
    this.map = map;
    // Opaque: the browser need not blend the page behind it.
    this.g = canvas.getContext("2d", { alpha: false });
    const style = getComputedStyle(document.documentElement);
    this.teams = Array.from({ length: 8 }, (_, i) => style.getPropertyValue(`--team-${i}`).trim() || "#ffffff");
    this.camera = { x: map.size / 2, y: map.size / 2 };
    this.labels = new Map();
    this.ground = null;
  }

  color(team) {
    return this.teams[team % this.teams.length];
  }

  /** Fit the canvas to its place; false while it has none. `whole`: the whole map, for who watches. */
  resize(whole) {
    const ratio = Math.min(RATIO_MAX, window.devicePixelRatio || 1);
    const [w, h] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (!w || !h) return false;
    const [width, height] = [Math.round(w * ratio), Math.round(h * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const short = Math.min(w, h) < 600 ? SHORT_SIDE_PHONE : SHORT_SIDE;
    this.ratio = ratio;
    this.bodies = whole ? Math.min(2.2, Math.max(1, 22 / (this.unitOf(w, h, short, whole)))) : 1; // from afar they are drawn larger
    this.unit = this.unitOf(w, h, short, whole) * ratio; // device pixels a world unit
    if (!this.ground || Math.abs(this.groundUnit - this.unit) > 0.01) this.#paintGround();
    return true;
  }

  /** CSS pixels a world unit. */
  unitOf(w, h, short, whole) {
    return Math.min(w, h) / (whole ? this.map.size + 2 : short);
  }

  /** CSS pixels on the canvas → world units from a point. */
  toWorld(pointer, from) {
    const k = this.ratio / this.unit;
    return [
      (pointer.x - this.canvas.clientWidth / 2) * k + this.camera.x - from.x,
      (this.canvas.clientHeight / 2 - pointer.y) * k + this.camera.y - from.y,
    ];
  }

  draw(scene, nowMs) {
    const { g, canvas, unit, map } = this;
    const { self } = scene;
    this.#follow(scene);
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.fillStyle = "#070a0f";
    g.fillRect(0, 0, canvas.width, canvas.height);
    // Whole pixels: the ground is then copied, not filtered, which without a graphics card is half of a frame's painting.
    const [left, top] = [Math.round(canvas.width / 2 - this.camera.x * unit), Math.round(canvas.height / 2 + this.camera.y * unit)];
    g.drawImage(this.ground, left - this.margin, top - Math.round(map.size * unit) - this.margin);
    g.setTransform(unit, 0, 0, -unit, left, top);
    if (self?.alive) this.#fog(self);
    this.#walls();
    if (self?.alive && scene.aim) this.#aimLine(self, scene.aim);
    scene.effects.draw(g, nowMs, unit);
    for (const other of scene.others) if (!other.alive) this.#fallen(other);
    for (const other of scene.others) if (other.alive) this.#body(other, other.alpha ?? 1, false);
    if (self?.alive) this.#body(self, 1, true);
    g.setTransform(1, 0, 0, 1, 0, 0);
    this.#names(scene, left, top);
    g.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    if (self?.alive && scene.pointer) this.#crosshair(scene);
    if (!scene.whole) this.#miniature(scene);
    this.#sticks(scene.sticks);
    this.#hurt(scene, nowMs);
  }

  #follow({ whole, self, aim }) {
    const middle = this.map.size / 2;
    if (whole || !self) {
      if (whole) this.camera = { x: middle, y: middle };
      return;
    }
    // Look a little ahead of where one aims; the aim is already smooth, and this does not lag behind one's own step.
    const lead = aim && !this.still ? Math.min(1, 3.2 / Math.max(1, Math.hypot(...aim))) * 0.9 : 0;
    const wish = aim ? [aim[0] * lead * 0.35, aim[1] * lead * 0.35] : [0, 0];
    this.lead ??= [0, 0];
    this.lead = [this.lead[0] + (wish[0] - this.lead[0]) * 0.06, this.lead[1] + (wish[1] - this.lead[1]) * 0.06];
    const { canvas, unit, map } = this;
    this.camera = {
      x: kept(self.x + this.lead[0], canvas.width / 2 / unit, map.size),
      y: kept(self.y + this.lead[1], canvas.height / 2 / unit, map.size),
    };
  }

  #paintGround() {
    const { map, unit } = this;
    const size = Math.ceil(map.size * unit);
    const margin = Math.ceil(unit);
    this.margin = margin;
    this.groundUnit = unit;
    this.ground = document.createElement("canvas");
    this.ground.width = this.ground.height = size + 2 * margin;
    const g = this.ground.getContext("2d", { alpha: false });
    g.fillStyle = "#070a0f";
    g.fillRect(0, 0, this.ground.width, this.ground.height);
    g.translate(margin, margin);
    const shade = g.createRadialGradient(size / 2, size / 2, size * 0.08, size / 2, size / 2, size * 0.72);
    shade.addColorStop(0, "#1b2a3d");
    shade.addColorStop(1, "#101824");
    g.fillStyle = shade;
    g.fillRect(0, 0, size, size);
    for (let i = 0; i <= map.size; i += 2) {
      g.fillStyle = i % 8 ? "rgb(120 160 210 / 5%)" : "rgb(120 160 210 / 12%)";
      g.fillRect(i * unit, 0, 1, size);
      g.fillRect(0, i * unit, size, 1);
    }
    g.strokeStyle = "#4cc2ff";
    g.globalAlpha = 0.55;
    g.lineWidth = Math.max(2, unit * 0.12);
    g.strokeRect(0, 0, size, size);
    g.globalAlpha = 1;
    const rect = ([x0, y0, x1, y1], dx, dy) => [x0 * unit + dx, (map.size - y1) * unit + dy, (x1 - x0) * unit, (y1 - y0) * unit];
    g.fillStyle = "rgb(0 0 0 / 45%)";
    for (const wall of map.walls) g.fillRect(...rect(wall, unit * 0.22, unit * 0.3));
  }

  /** Above the fog: a wall is known, whatever it hides. */
  #walls() {
    const { g, map, unit } = this;
    for (const [x0, y0, x1, y1] of map.walls) {
      g.fillStyle = "#3d5070";
      g.fillRect(x0, y0, x1 - x0, y1 - y0);
      g.fillStyle = "#5f7aa3";
      g.fillRect(x0, y1 - 0.24, x1 - x0, 0.24);
      g.strokeStyle = "#8fabcf";
      g.lineWidth = Math.max(0.05, 1 / unit);
      g.strokeRect(x0, y0, x1 - x0, y1 - y0);
    }
  }

  /** What walls hide is dark; who is in the dark is not in the snapshots either. */
  #fog(self) {
    const { g, map } = this;
    const path = new Path2D();
    path.rect(-2, -2, map.size + 4, map.size + 4);
    visible(map, self.x, self.y, SIGHT).forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
    g.fillStyle = "rgb(4 7 12 / 50%)";
    g.fill(path, "evenodd");
  }

  #aimLine(self, [dx, dy]) {
    const { g } = this;
    const length = Math.hypot(dx, dy) || 1;
    const far = Math.max(1, Math.min(length, free(this.map, self.x, self.y, dx / length, dy / length, 14)));
    g.strokeStyle = "rgb(255 255 255 / 16%)";
    g.lineWidth = 0.06;
    g.setLineDash([0.35, 0.35]);
    g.beginPath();
    g.moveTo(self.x + (dx / length) * 0.9, self.y + (dy / length) * 0.9);
    g.lineTo(self.x + (dx / length) * far, self.y + (dy / length) * far);
    g.stroke();
    g.setLineDash([]);
  }

  #body(who, alpha, own) {
    const { g } = this;
    const color = this.color(who.team);
    const angle = who.aim * Math.PI * 2;
    g.globalAlpha = alpha;
    g.save();
    g.translate(who.x, who.y);
    g.scale(this.bodies, this.bodies);
    g.fillStyle = "rgb(0 0 0 / 40%)";
    disc(g, 0.1, -0.14, 0.56);
    g.save();
    g.rotate(angle);
    g.fillStyle = own ? SELF : color;
    g.fillRect(0.3, -0.13, 0.62, 0.26);
    g.restore();
    g.fillStyle = color;
    disc(g, 0, 0, 0.5);
    g.fillStyle = who.npc ? "#101824" : "rgb(4 7 12 / 30%)"; // who plays for themselves is filled, an NPC hollow
    disc(g, 0, 0, who.npc ? 0.34 : 0.3);
    g.save();
    g.scale(1, -1);
    g.fillStyle = who.npc ? color : "#ffffff";
    g.font = `700 0.42px ${FONT}`;
    g.textAlign = "center";
    g.textBaseline = "middle";
    g.fillText(teamSign(who.team), 0, 0.02);
    g.restore();
    if (own) {
      g.strokeStyle = SELF;
      g.lineWidth = 0.09;
      g.beginPath();
      g.arc(0, 0, 0.66, 0, 7);
      g.stroke();
    }
    this.#health(who.health, own ? 0.82 : 0.7);
    g.restore();
    g.globalAlpha = 1;
  }

  #health(health, radius) {
    const { g } = this;
    if (health >= 100) return;
    g.lineWidth = 0.12;
    g.strokeStyle = "rgb(0 0 0 / 55%)";
    g.beginPath();
    g.arc(0, 0, radius, 0, 7);
    g.stroke();
    g.strokeStyle = health > 35 ? "#3ddbb0" : "#ff8a70";
    g.beginPath();
    g.arc(0, 0, radius, Math.PI / 2 - (health / 100) * Math.PI, Math.PI / 2 + (health / 100) * Math.PI);
    g.stroke();
  }

  #fallen(who) {
    const { g } = this;
    g.globalAlpha = 0.35;
    g.strokeStyle = this.color(who.team);
    g.lineWidth = 0.12;
    for (const way of [1, -1]) {
      g.beginPath();
      g.moveTo(who.x - 0.35, who.y - 0.35 * way);
      g.lineTo(who.x + 0.35, who.y + 0.35 * way);
      g.stroke();
    }
    g.globalAlpha = 1;
  }

  /** Names above their bodies, below where that is taken, and not at all where both are: two over each other say nothing. */
  #names({ others, people }, left, top) {
    const { g, unit, canvas } = this;
    const away = (0.6 + 0.4 * this.bodies) * unit;
    const taken = [];
    for (const other of others) {
      const seat = other.alive && people.get(other.seat);
      if (!seat) continue;
      const label = this.#painted(seat);
      const middle = top - other.y * unit;
      const x = Math.max(2, Math.min(canvas.width - label.width - 2, left + other.x * unit - label.width / 2));
      const y = [middle - away - label.height, middle + away].find((from) => !taken.some((t) => overlaps(t, x, from, label)));
      if (y === undefined) continue;
      taken.push({ x, y, width: label.width, height: label.height });
      g.globalAlpha = other.alpha ?? 1;
      g.drawImage(label, x, y);
    }
    g.globalAlpha = 1;
  }

  /** Each name is painted once: text is the slowest thing on a canvas. */
  #painted(seat) {
    const small = this.bodies > 1.6;
    const key = `${seat.name}|${seat.team}|${this.ratio}|${small}`;
    let label = this.labels.get(key);
    if (label) return label;
    if (this.labels.size > 128) this.labels.clear();
    const { name, level } = person(seat);
    const text = [...(level ? `${name} · L${level}` : name)];
    label = document.createElement("canvas");
    const g = label.getContext("2d");
    const font = `600 ${(small ? 11 : 13) * this.ratio}px ${FONT}`;
    g.font = font;
    const most = small ? 18 : 22;
    const words = text.length > most ? `${text.slice(0, most - 1).join("")}…` : text.join("");
    label.width = Math.ceil(g.measureText(words).width) + 12 * this.ratio;
    label.height = 20 * this.ratio;
    g.font = font;
    g.textAlign = "center";
    g.textBaseline = "middle";
    g.lineWidth = 3.5 * this.ratio;
    g.lineJoin = "round";
    g.strokeStyle = "rgb(7 10 15 / 85%)";
    g.strokeText(words, label.width / 2, label.height / 2);
    g.fillStyle = this.color(seat.team);
    g.fillText(words, label.width / 2, label.height / 2);
    this.labels.set(key, label);
    return label;
  }

  #crosshair({ pointer, ready }) {
    const { g } = this;
    g.strokeStyle = ready ? "#ffffff" : "rgb(255 255 255 / 55%)";
    g.lineWidth = 2;
    g.beginPath();
    g.arc(pointer.x, pointer.y, ready ? 8 : 11, 0, 7);
    g.stroke();
    g.fillStyle = "#ffffff";
    disc(g, pointer.x, pointer.y, 1.5);
  }

  #miniature({ self, others }) {
    const { g, map } = this;
    const phone = this.canvas.clientWidth < 600;
    const size = phone ? 84 : 148;
    const [x, y] = [phone ? 10 : this.canvas.clientWidth - size - 14, phone ? 92 : 14];
    const k = size / map.size;
    g.fillStyle = "rgb(11 15 22 / 94%)";
    g.fillRect(x, y, size, size);
    g.fillStyle = "#5b7499";
    for (const [x0, y0, x1, y1] of map.walls) g.fillRect(x + x0 * k, y + (map.size - y1) * k, (x1 - x0) * k, (y1 - y0) * k);
    g.strokeStyle = "#5a7190";
    g.lineWidth = 1;
    g.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1);
    for (const other of others) {
      if (!other.alive) continue;
      g.fillStyle = this.color(other.team);
      disc(g, x + other.x * k, y + (map.size - other.y) * k, 3);
    }
    if (!self) return;
    g.fillStyle = SELF;
    disc(g, x + self.x * k, y + (map.size - self.y) * k, 3.5);
  }

  #sticks(sticks) {
    if (!sticks) return;
    const { g } = this;
    const [w, h] = [this.canvas.clientWidth, this.canvas.clientHeight];
    for (const [side, stick] of Object.entries(sticks)) {
      const at = stick?.from ?? { x: side === "move" ? 84 : w - 84, y: h - 158 };
      const [dx, dy] = Input.way(stick);
      g.globalAlpha = stick ? 0.85 : 0.4;
      g.strokeStyle = side === "move" ? "#a9b7ca" : "#ffb454";
      g.lineWidth = 2;
      g.beginPath();
      g.arc(at.x, at.y, 52, 0, 7);
      g.stroke();
      g.fillStyle = g.strokeStyle;
      disc(g, at.x + dx * 40, at.y - dy * 40, 22);
      g.globalAlpha = 1;
    }
  }

  #hurt({ effects, self }, nowMs) {
    const part = 1 - (nowMs - effects.hurtMs) / 350;
    if (!self || part <= 0 || effects.reduced) return;
    const { g, canvas } = this;
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    const shade = g.createRadialGradient(w / 2, h / 2, Math.min(w, h) * 0.35, w / 2, h / 2, Math.max(w, h) * 0.7);
    shade.addColorStop(0, "rgb(255 90 60 / 0%)");
    shade.addColorStop(1, `rgb(255 90 60 / ${Math.round(part * 45)}%)`);
    g.fillStyle = shade;
    g.fillRect(0, 0, w, h);
  }
}

/** The camera's middle, so that no more than a strip of nothing is seen beside the map. */
function kept(at, half, size) {
  if (2 * half >= size + 2 * BESIDE) return size / 2;
  return Math.max(half - BESIDE, Math.min(size - half + BESIDE, at));
}

/** Whether a label at a place would touch another's letters; a label has a little air above and below them. */
function overlaps(other, x, y, { width, height }) {
  const air = 0.15 * height;
  return x < other.x + other.width && x + width > other.x && y + air < other.y + other.height - air && y + height - air > other.y + air;
}

function disc(g, x, y, radius) {
  g.beginPath();
  g.arc(x, y, radius, 0, 7);
  g.fill();
}
