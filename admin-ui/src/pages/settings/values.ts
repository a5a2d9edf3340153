/** What a setting is between the gateway, which has values, and a form, which has texts. */

export type Value = string | number | boolean | null | Record<string, unknown> | unknown[];

export function equal(one: unknown, other: unknown): boolean {
  return JSON.stringify(ordered(one)) === JSON.stringify(ordered(other));
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value as Record<string, unknown>);
  return entries
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, each]) => [name, ordered(each)]);
}

/** The text of a table of names and values, one a line. */
export function toText(value: unknown): string {
  return Object.entries((value ?? {}) as Record<string, unknown>)
    .map(([name, each]) => `${name} = ${typeof each === "object" ? JSON.stringify(each) : each}`)
    .join("\n");
}

/** The table that a text says; throws what is wrong with which line. */
export function fromText(text: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [at, line] of text.split("\n").entries()) {
    if (!line.trim()) continue;
    const cut = line.indexOf("=");
    if (cut < 0) throw new Error(`Line ${at + 1} has no "=" between a name and a value.`);
    const name = line.slice(0, cut).trim();
    const said = line.slice(cut + 1).trim();
    if (!name || !said) throw new Error(`Line ${at + 1} needs a name and a value.`);
    try {
      found[name] = JSON.parse(said);
    } catch {
      found[name] = said;
    }
  }
  return found;
}

/** What is sent: a setting that is as its default is left out. */
export function chosen(values: Record<string, unknown>, defaults: Record<string, unknown>) {
  return Object.fromEntries(
    Object.entries(values).filter(([name, value]) => !equal(value, defaults[name])),
  );
}
