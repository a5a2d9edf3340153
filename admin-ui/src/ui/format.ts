/** Numbers and times as people read them. */

const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat();
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

export const NONE = "–";

export function count(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  return Math.abs(value) < 10_000 ? whole.format(value) : compact.format(value);
}

export function exactly(value: number): string {
  return whole.format(value);
}

export function usd(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  const digits = value !== 0 && Math.abs(value) < 1 ? 4 : 2;
  return `$${value.toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: digits })}`;
}

export function percent(ratio: number | null | undefined): string {
  if (ratio === null || ratio === undefined) return NONE;
  const value = ratio * 100;
  return `${value.toFixed(value > 0 && value < 10 ? 1 : 0)} %`;
}

export function bytes(value: number): string {
  const units = ["B", "KB", "MB", "GB"];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size.toFixed(size < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

/** A span in its two largest units, `3d 4h`; short ones with fractions of a second. */
export function span(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds < 0.00995) return `${Number((seconds * 1000).toFixed(1))} ms`;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const units: [string, number][] = [
    ["d", 86_400],
    ["h", 3_600],
    ["m", 60],
    ["s", 1],
  ];
  const total = Math.round(seconds);
  const first = units.findIndex(([, size]) => total >= size);
  return units
    .slice(first, first + 2)
    .map(([name, size], place) => {
      const left = place === 0 ? total : total % (units[first]?.[1] ?? 1);
      return [Math.floor(left / size), name] as const;
    })
    .filter(([value], place) => place === 0 || value > 0)
    .map(([value, name]) => `${value}${name}`)
    .join(" ");
}

export function at(epochS: number | null | undefined): string {
  return epochS === null || epochS === undefined ? NONE : moment.format(epochS * 1000);
}

export function time(epochS: number): string {
  return clock.format(epochS * 1000);
}

/** How long ago, or until when, in words. */
export function ago(epochS: number | null | undefined, nowS: number): string {
  if (epochS === null || epochS === undefined) return "never";
  const away = nowS - epochS;
  if (Math.abs(away) < 2) return "now";
  return away > 0 ? `${span(away)} ago` : `in ${span(-away)}`;
}

/** When the viewer's own day began, in epoch seconds. */
export function dayBegan(now = new Date()): number {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime() / 1000;
}

export function nano(value: number): number {
  return value / 1e9;
}
