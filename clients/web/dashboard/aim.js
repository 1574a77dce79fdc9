// One shot on a canvas: the way of the cursor around the target in the half second before it, and how far off it was.

import { between, circle, line, prepare } from "./replay.js";

export const HZ = 60;
const COLOURS = { path: "#4cc2ff", line: "#ffb454", target: "#ff8a70", text: "#a9b7ca", rule: "#2b3a4f", strong: "#e8eef7" };

export function drawShot(context, shot, radius, at, wide, high) {
  const strip = Math.min(110, high * 0.28);
  drawAim(context, shot, radius, 0, 0, wide, high - strip, at);
  drawErrors(context, shot, radius, 0, high - strip, wide, strip, at);
}

// A thumbnail of one shot.
export function thumbnail(canvas, shot, radius) {
  const { context, wide, high } = prepare(canvas);
  if (wide) drawAim(context, shot, radius, 0, 0, wide, high, shot.line.length - 1, true);
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
    for (let rings = 2; radius * scale > 0 && rings * radius * scale < Math.hypot(wide, high) / 2; rings *= 2) {
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

function cursor(context, px, py) {
  context.strokeStyle = COLOURS.strong;
  context.lineWidth = 2;
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) line(context, px + 4 * dx, py + 4 * dy, px + 11 * dx, py + 11 * dy);
}
