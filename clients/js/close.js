/** Close codes of `gameedge.v1` and what to do after each: see "When a connection ends" in docs/protocol.md. */

export const REASONS = {
  4000: "malformed",
  4001: "too_large",
  4002: "too_often",
  4003: "unsupported",
  4004: "out_of_order",
  4005: "replayed",
  4006: "token_invalid",
  4007: "token_expired",
  4008: "wrong_region",
  4009: "not_found",
  4010: "already_queued",
  4011: "in_match",
  4012: "pool_full",
  4013: "server_full",
  4014: "unavailable",
  4015: "draining",
  4016: "match_lost",
  4017: "replaced",
  4018: "idle",
  4019: "slow",
  4020: "forbidden",
  4021: "internal",
  4022: "party_left",
};

const PLACE = new Set(["token_expired", "wrong_region", "server_full", "draining"]);
const RESUME = new Set(["idle", "slow", "unavailable", "internal"]);

/** "resume": connect again with the resume token; "place": ask for a placement first; "never": do not try again. */
export function retryAfter(code) {
  const reason = REASONS[code];
  if (reason === undefined) return code === 1000 || (code >= 4000 && code < 4100) ? "never" : "resume";
  if (PLACE.has(reason)) return "place";
  return RESUME.has(reason) ? "resume" : "never";
}
