/**
 * Binary frames of `gameedge.v1`, little-endian: see "Binary frames" in docs/protocol.md. Field names are the document's.
 * Runs in browsers and in Node; no imports.
 */

export const COMMAND = 1;
export const SNAPSHOT = 2;
export const HEADER_SIZE = 16;

/** A DataView of whatever a WebSocket hands out: ArrayBuffer, Uint8Array or Buffer. */
export function viewOf(data) {
  return data instanceof ArrayBuffer ? new DataView(data) : new DataView(data.buffer, data.byteOffset, data.byteLength);
}

/** One command frame as a Uint8Array. Counters and times wrap at 2 ** 32. */
export function encodeCommand(sequence, clientMs, seenTick, payload) {
  const frame = new Uint8Array(HEADER_SIZE + payload.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, COMMAND);
  view.setUint32(4, sequence >>> 0, true);
  view.setUint32(8, wrap(clientMs), true);
  view.setUint32(12, seenTick >>> 0, true);
  frame.set(payload, HEADER_SIZE);
  return frame;
}

/** One snapshot frame as `{flags, tick, processed, server_ms, payload}`, or null where it is not one. */
export function decodeSnapshot(data) {
  const view = viewOf(data);
  if (view.byteLength < HEADER_SIZE || view.getUint8(0) !== SNAPSHOT) return null;
  const size = view.getUint16(2, true);
  if (view.byteLength !== HEADER_SIZE + size) return null;
  return {
    flags: view.getUint8(1),
    tick: view.getUint32(4, true),
    processed: view.getUint32(8, true),
    server_ms: view.getUint32(12, true),
    payload: new Uint8Array(view.buffer, view.byteOffset + HEADER_SIZE, size),
  };
}

/** `a - b` of two counters that wrap at 2 ** 32, from -2 ** 31 to 2 ** 31 - 1: the sign says which is newer. */
export function difference(a, b) {
  return (a - b) | 0;
}

/** A number of milliseconds as the low 32 bits; `>>> 0` alone would do, but says nothing of fractions. */
export function wrap(ms) {
  return Math.trunc(ms) % 2 ** 32 >>> 0;
}
