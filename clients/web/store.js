/** What this browser remembers; where it may not (storage blocked or full), the page remembers for as long as it is open. */

const PREFIX = "gameedge.";
const memory = new Map();

export function load(key, fallback) {
  try {
    const text = globalThis.localStorage.getItem(PREFIX + key) ?? memory.get(key);
    return text === undefined || text === null ? fallback : JSON.parse(text);
  } catch {
    const text = memory.get(key);
    return text === undefined ? fallback : JSON.parse(text);
  }
}

export function save(key, value) {
  const text = JSON.stringify(value);
  memory.set(key, text);
  try {
    globalThis.localStorage.setItem(PREFIX + key, text);
  } catch {
    // Blocked or full: the copy in memory has to do.
  }
}
