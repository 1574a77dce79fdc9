// Numbers and times for people.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => (Math.abs(value) >= 100000 ? short.format(value) : whole.format(Math.round(value)));
export const percent = (share) => `${Math.round(100 * share)} %`;

export function ms(value) {
  if (!value) return "0 ms";
  if (value < 1) return `${Math.round(value * 1000)} µs`;
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 10000) return `${Math.round(value)} ms`;
  return `${Math.round(value / 1000)} s`;
}

export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

// A time that is none (a region's or a log's fault) is not the page's end.
export const iso = (unix) => {
  const time = new Date(unix);
  return Number.isNaN(time.getTime()) ? "?" : time.toISOString();
};
export const when = (unix) => iso(unix).replace("T", " ").slice(0, 19);
export const clock = (unix) => iso(unix).slice(-13, -5);

// An upper bound of a histogram, short enough to stand below a bar.
export const bound = (value) => (value >= 1000 ? `${Math.round(value / 1000)}k` : String(value));

// The value below which a share of a histogram's counts lies, with straight lines within a bar.
export function quantile(counts, bounds, share) {
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (!total) return null;
  let left = share * total;
  for (let k = 0; k < counts.length; k += 1) {
    if (left <= counts[k]) {
      const low = k ? bounds[k - 1] : 0;
      return k === bounds.length ? low : low + ((bounds[k] - low) * left) / (counts[k] || 1);
    }
    left -= counts[k];
  }
  return bounds[bounds.length - 1];
}
