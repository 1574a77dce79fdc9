/** What can be seen from a point: the polygon that walls leave, by casting rays at their corners. World units. */

export const RANGE = 40; // of the weapon

/** Distance along a ray to the first wall or the world's edge, at most `far`. `[dx, dy]` has length 1. */
export function free(map, x, y, dx, dy, far) {
  let near = far;
  for (const wall of map.walls) near = Math.min(near, enters(x, y, dx, dy, wall[0], wall[1], wall[2], wall[3]));
  return Math.min(near, leaves(x, dx, map.size), leaves(y, dy, map.size));
}

/** Where a ray enters a rectangle, Infinity where it does not. */
function enters(x, y, dx, dy, x0, y0, x1, y1) {
  const [ax, bx] = [(x0 - x) / dx, (x1 - x) / dx];
  const [ay, by] = [(y0 - y) / dy, (y1 - y) / dy];
  const first = Math.max(Math.min(ax, bx), Math.min(ay, by));
  const last = Math.min(Math.max(ax, bx), Math.max(ay, by));
  return first <= last && first >= 0 ? first : Infinity;
}

function leaves(at, d, size) {
  if (d > 0) return (size - at) / d;
  return d < 0 ? -at / d : Infinity;
}

/** Corners of the visible polygon, counter-clockwise. */
export function visible(map, x, y, far) {
  const angles = [];
  const corner = (cx, cy) => {
    const angle = Math.atan2(cy - y, cx - x);
    angles.push(angle - 0.0004, angle, angle + 0.0004);
  };
  for (const [x0, y0, x1, y1] of map.walls) {
    corner(x0, y0);
    corner(x0, y1);
    corner(x1, y0);
    corner(x1, y1);
  }
  for (const [cx, cy] of [[0, 0], [0, map.size], [map.size, 0], [map.size, map.size]]) corner(cx, cy);
  angles.sort((a, b) => a - b);
  return angles.map((angle) => {
    const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
    const d = free(map, x, y, dx, dy, far) + 0.04;
    return [x + dx * d, y + dy * d];
  });
}
