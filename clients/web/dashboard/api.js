// The admin API: one call, every failure an ApiError with words, and the token in a header, never in an address.

export class ApiError extends Error {
  constructor(status, reason, detail) {
    super(detail || reason || `status ${status}`);
    this.status = status;
    this.reason = reason;
  }
}

// A tab's memory. Browsers may block it: then a reload asks for the token again, and all else works.
const KEY = "gameedge.operator";
let kept = "";

export const token = {
  get() {
    if (kept) return kept;
    try {
      kept = sessionStorage.getItem(KEY) ?? "";
    } catch {
      kept = "";
    }
    return kept;
  },
  set(value) {
    kept = value;
    try {
      if (value) sessionStorage.setItem(KEY, value);
      else sessionStorage.removeItem(KEY);
    } catch {
      // blocked: it is kept until this page goes
    }
  },
};

export const path = (...parts) => "/v1/admin/" + parts.map(encodeURIComponent).join("/");

export async function call(where, { method = "GET", body, signal } = {}) {
  let answer;
  try {
    answer = await fetch(where, {
      method,
      signal,
      cache: "no-store",
      headers: { Authorization: `Bearer ${token.get()}`, ...(body ? { "Content-Type": "application/json" } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The coordinator does not answer. It may be restarting; try again in a moment.");
  }
  let content = null;
  try {
    content = await answer.json();
  } catch {
    throw new ApiError(answer.status, "unreadable", `The coordinator answered in a form that this page does not know (${answer.status}).`);
  }
  if (!answer.ok) throw new ApiError(answer.status, content?.reason ?? "", content?.detail ?? "");
  return content;
}
