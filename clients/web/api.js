/** The coordinator's HTTP API and the beacons of regions: docs/protocol.md, "Placement". */

const SUBPROTOCOL = "gameedge.v1";
const SAMPLES = 3;
const BEACON_MS = 3000; // of one beacon, connecting included
const AT_ONCE = 16; // beacons measured at the same time: more would measure each other
const ENOUGH = 2; // regions with a sample: the best, and one to fall back to
const WITHIN_SHARE = 0.3; // so much longer than the best region's measuring, and PATIENCE_MS, each region may take
const PATIENCE_MS = 250; // what TCP takes to send a lost packet again
const REQUEST_MS = 10000;
const TRIES = 6;

/** An answer that is an error: `reason` is a stable word, `retryAfterMs` null where repeating does not help. */
export class ApiError extends Error {
  constructor(status, body) {
    super(typeof body?.detail === "string" && body.detail ? body.detail : `the server answered ${status}`);
    this.status = status;
    this.reason = typeof body?.reason === "string" ? body.reason : "internal";
    this.retryAfterMs = Number.isFinite(body?.retry_after_ms) ? body.retry_after_ms : null;
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function once(method, path, body) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), REQUEST_MS);
  try {
    const headers = body ? { "content-type": "application/json" } : {};
    const response = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal: stop.signal });
    const answer = await response.json().catch(() => null);
    if (!response.ok) throw new ApiError(response.status, answer);
    return answer;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(0, { reason: "unavailable", detail: "the coordinator cannot be reached; it is tried again", retry_after_ms: 1000 });
  } finally {
    clearTimeout(timer);
  }
}

/** Ask, and again where the answer says that this helps; `tell(error)` hears of each wait. */
async function call(method, path, body, tell = () => {}) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(method, path, body);
    } catch (error) {
      const again = error.retryAfterMs ?? (error.status === 503 ? 1000 : null);
      if (again === null || attempt >= TRIES) throw error;
      tell(error);
      await sleep(Math.min(15000, Math.max(again, error.status === 429 ? again : 500 * attempt)));
    }
  }
}

export const signUp = (name, tell) => call("POST", "/v1/guests", { name }, tell);
export const regions = async () => (await call("GET", "/v1/regions")).regions ?? [];
export const matches = async () => (await once("GET", "/v1/matches")).matches ?? [];
export const place = (request, tell) => call("POST", "/v1/placements", request, tell);

/** Round trips to one beacon in ms, by the protocol's own ping: a browser's WebSocket has no other. `heard` gets each; `signal` ends it early. */
export function measure(url, heard, signal) {
  return new Promise((resolve) => {
    const samples = [];
    let socket;
    let sent = 0;
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      socket?.close();
      resolve(samples);
    };
    const timer = setTimeout(end, BEACON_MS);
    if (signal?.aborted) {
      end();
      return;
    }
    signal?.addEventListener("abort", end);
    const ask = () => {
      sent = performance.now();
      socket.send(JSON.stringify({ t: "ping", id: samples.length }));
    };
    try {
      socket = new WebSocket(url, SUBPROTOCOL);
    } catch {
      end();
      return;
    }
    socket.onopen = ask;
    socket.onerror = end;
    socket.onclose = end;
    socket.onmessage = () => {
      samples.push(performance.now() - sent);
      heard(samples);
      if (samples.length < SAMPLES) ask();
      else end();
    };
  });
}

/**
 * Region → samples, of the first of its two beacons that answers. `heard(region, samples, far)` on the way; no samples: it does not
 * answer, or is so far that nobody waited for it. A far region takes as many of its own, long round trips to say that it is far: each gets
 * the time that the best one took and a little more, as long as there is one region to fall back to.
 */
export async function measureAll(list, heard) {
  const found = {};
  const waiting = [...list];
  const began = new Map(); // of those that are being measured
  const stop = new AbortController();
  let quickest = Infinity;
  const worker = async () => {
    for (let region = waiting.shift(); region && !stop.signal.aborted; region = waiting.shift()) {
      const name = region.region;
      const at = performance.now();
      began.set(name, at);
      for (const url of (region.beacons ?? []).slice(0, 2)) {
        const keep = (soFar) => heard(name, (found[name] = [...soFar]));
        const samples = await measure(url, keep, stop.signal);
        if (samples.length === SAMPLES) quickest = Math.min(quickest, performance.now() - at);
        if (found[name]) break;
      }
      began.delete(name);
      if (!found[name]) heard(name, [], stop.signal.aborted);
    }
  };
  const allowed = () => quickest * (1 + WITHIN_SHARE) + PATIENCE_MS;
  const look = setInterval(() => {
    const late = [...began.values()].every((at) => performance.now() - at > allowed());
    if (late && !waiting.length && Object.keys(found).length >= ENOUGH) stop.abort();
  }, 25);
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  clearInterval(look);
  return found;
}
