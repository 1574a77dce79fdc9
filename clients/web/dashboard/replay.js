// A clip, shot by shot: the way of the cursor around the target in the half second before each shot, on a plain 2D canvas.

const HZ = 60;
const HOLD_MS = 450; // after a shot, before the next
const COLOURS = { path: "#4cc2ff", line: "#ffb454", target: "#ff8a70", text: "#a9b7ca", rule: "#2b3a4f", strong: "#e8eef7", ground: "#0b0f16" };

export class Replay {
  // shots: of all blocks in order, see EvidenceView; radius: of a target. `moved` hears {shot, frame}.
  constructor(canvas, shots, radius, moved) {
    this.canvas = canvas;
    this.shots = shots;
    this.radius = radius;
    this.moved = moved;
    this.frames = shots.length ? shots[0].line.length : 0;
    this.shot = 0;
    this.at = this.frames - 1; // a frame, with parts
    this.speed = 0.5;
    this.playing = false;
    this.before = 0;
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(canvas);
  }

  end() {
    this.pause();
    this.observer.disconnect();
  }

  get last() {
    return this.frames - 1;
  }

  seek(shot, at = this.last) {
    this.shot = Math.min(Math.max(shot, 0), this.shots.length - 1);
    this.at = Math.min(Math.max(at, 0), this.last);
    this.draw();
    this.moved(this);
  }

  play() {
    if (this.playing || !this.shots.length) return;
    if (this.at >= this.last) this.seek(this.shot === this.shots.length - 1 ? 0 : this.shot, 0);
    this.playing = true;
    this.before = 0;
    this.held = 0;
    this.request = requestAnimationFrame((now) => this.step(now));
    this.moved(this);
  }

  pause() {
    this.playing = false;
    cancelAnimationFrame(this.request);
    this.moved(this);
  }

  step(now) {
    if (!this.playing) return;
    const passed = this.before ? Math.min(now - this.before, 100) * this.speed : 0;
    this.before = now;
    if (this.at < this.last) this.at = Math.min(this.last, this.at + (passed * HZ) / 1000);
    else if (this.held < HOLD_MS) this.held += passed;
    else if (this.shot + 1 < this.shots.length) {
      this.shot += 1;
      this.at = 0;
      this.held = 0;
    } else {
      this.pause();
      return;
    }
    if (this.at < this.last) this.held = 0;
    this.draw();
    this.moved(this);
    this.request = requestAnimationFrame((then) => this.step(then));
  }

  draw() {
    const shot = this.shots[this.shot];
    const { context, wide, high } = prepare(this.canvas);
    if (!shot || !wide) return;
    const strip = Math.min(110, high * 0.28);
    drawAim(context, shot, this.radius, 0, 0, wide, high - strip, this.at);
    drawErrors(context, shot, this.radius, 0, high - strip, wide, strip, this.at);
  }
}

// A thumbnail of one shot.
export function thumbnail(canvas, shot, radius) {
  const { context, wide, high } = prepare(canvas);
  if (wide) drawAim(context, shot, radius, 0, 0, wide, high, shot.line.length - 1, true);
}

function prepare(canvas) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const { clientWidth: wide, clientHeight: high } = canvas;
  if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
    canvas.width = Math.round(wide * ratio);
    canvas.height = Math.round(high * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, wide, high);
  return { context, wide, high };
}

function reachOf(shot, radius) {
  let most = 3 * radius;
  for (const value of shot.path) if (value !== null) most = Math.max(most, Math.abs(value) * 1.12);
  return most;
}

function drawAim(context, shot, radius, left, top, wide, high, at, small = false) {
  context.save();
  context.beginPath();
  context.rect(left, top, wide, high);
  context.clip();
  drawInside(context, shot, radius, left, top, wide, high, at, small);
  context.restore();
}

function drawInside(context, shot, radius, left, top, wide, high, at, small) {
  const scale = Math.min(wide, high) / (2 * reachOf(shot, radius));
  const [cx, cy] = [left + wide / 2, top + high / 2];
  context.lineWidth = 1;
  context.strokeStyle = COLOURS.rule;
  if (!small) {
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = COLOURS.text;
    let said = -Infinity;
    for (let rings = 2; rings * radius * scale < Math.hypot(wide, high) / 2; rings *= 2) {
      circle(context, cx, cy, rings * radius * scale);
      context.stroke();
      const place = cy - rings * radius * scale - 4;
      if (rings * radius * scale - said > 26 && place > top + 12) {
        context.fillText(`${rings} radii`, cx + 5, place);
        said = rings * radius * scale;
      }
    }
    line(context, cx - wide, cy, cx + wide, cy);
    line(context, cx, top, cx, top + high);
  }
  circle(context, cx, cy, Math.max(2, radius * scale));
  context.fillStyle = "rgb(255 138 112 / 22%)";
  context.fill();
  context.strokeStyle = COLOURS.target;
  context.lineWidth = small ? 1 : 2;
  context.stroke();
  const points = [];
  for (let k = 0; k < shot.line.length; k += 1) {
    const [px, py] = [shot.path[2 * k], shot.path[2 * k + 1]];
    points.push(px === null || py === null ? null : [cx + px * scale, cy - py * scale]);
  }
  const head = Math.floor(at);
  context.lineCap = "round";
  for (let k = 1; k <= head; k += 1) {
    if (!points[k] || !points[k - 1]) continue;
    context.strokeStyle = COLOURS.path;
    context.globalAlpha = 0.2 + (0.8 * k) / points.length;
    context.lineWidth = small ? 1.5 : 2.5;
    line(context, ...points[k - 1], ...points[k]);
    if (small) continue;
    context.fillStyle = COLOURS.path;
    circle(context, ...points[k], 2.6);
    context.fill();
  }
  context.globalAlpha = 1;
  const here = between(points, at);
  if (!here) return;
  if (!small) cursor(context, ...here);
  if (at >= points.length - 1) {
    context.strokeStyle = shot.hit ? COLOURS.target : COLOURS.strong;
    context.lineWidth = small ? 1.5 : 3;
    circle(context, ...here, small ? 4 : 13);
    context.stroke();
    if (shot.hit && !small) {
      circle(context, ...here, 5);
      context.fillStyle = COLOURS.target;
      context.fill();
    }
  }
}

// Below: how far the cursor and the line of fire were from the target's centre, in radii, over the half second.
function drawErrors(context, shot, radius, left, top, wide, high, at) {
  const [from, to, floor] = [left + 58, left + wide - 12, top + high - 20];
  const frames = shot.line.length;
  const off = (k) => (shot.path[2 * k] === null ? null : Math.hypot(shot.path[2 * k], shot.path[2 * k + 1]) / radius);
  const lines = shot.line.map((value) => (value === null ? null : Math.abs(value) / radius));
  const most = Math.max(3, ...lines.map((value) => value ?? 0).filter((value) => value < 1000), ...lines.map((_, k) => off(k) ?? 0));
  const px = (k) => from + ((to - from) * k) / (frames - 1);
  const py = (value) => floor - ((high - 34) * Math.log1p(value)) / Math.log1p(most);
  context.fillStyle = "rgb(255 138 112 / 16%)";
  context.fillRect(from, py(1), to - from, floor - py(1));
  context.strokeStyle = COLOURS.rule;
  context.lineWidth = 1;
  line(context, from, floor, to, floor);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = COLOURS.text;
  context.textAlign = "right";
  context.fillText("1 radius", from - 6, py(1) + 4);
  context.textAlign = "left";
  context.fillText(`−${Math.round(((frames - 1) * 1000) / HZ)} ms`, from, floor + 14);
  context.textAlign = "right";
  context.fillText("shot", to, floor + 14);
  context.textAlign = "left";
  for (const [values, colour, dash] of [
    [lines, COLOURS.line, [5, 4]],
    [lines.map((_, k) => off(k)), COLOURS.path, []],
  ]) {
    context.strokeStyle = colour;
    context.setLineDash(dash);
    context.lineWidth = 2;
    context.beginPath();
    values.forEach((value, k) => {
      if (value === null) return;
      if (k && values[k - 1] !== null) context.lineTo(px(k), py(value));
      else context.moveTo(px(k), py(value));
    });
    context.stroke();
  }
  context.setLineDash([]);
  context.strokeStyle = COLOURS.strong;
  context.lineWidth = 1;
  line(context, px(at), top + 8, px(at), floor);
}

function between(points, at) {
  const k = Math.min(Math.floor(at), points.length - 1);
  const [a, b] = [points[k], points[Math.min(k + 1, points.length - 1)]];
  if (!a || !b) return a ?? b;
  return [a[0] + (b[0] - a[0]) * (at - k), a[1] + (b[1] - a[1]) * (at - k)];
}

function cursor(context, px, py) {
  context.strokeStyle = COLOURS.strong;
  context.lineWidth = 2;
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) line(context, px + 4 * dx, py + 4 * dy, px + 11 * dx, py + 11 * dy);
}

function circle(context, px, py, radius) {
  context.beginPath();
  context.arc(px, py, radius, 0, 2 * Math.PI);
}

function line(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}
