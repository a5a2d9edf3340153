/** A price between the settings, which have numbers, and a form, which has texts. */

export interface Price {
  input_usd_per_mtok: number;
  output_usd_per_mtok: number;
  cached_input_usd_per_mtok?: number | null;
  cache_write_usd_per_mtok?: number | null;
  priority_times?: number;
  long_context_tokens?: number | null;
  long_input_times?: number;
  long_output_times?: number;
}

export type PriceName = keyof Price;
export type PriceTexts = Record<PriceName, string>;

export interface PriceField {
  name: PriceName;
  label: string;
  most: number;
  /** What counts if the field is left empty; without it the field must be filled in. */
  empty?: string;
  whole?: boolean;
}

const USD_MAX = 100_000;
const TIMES_MAX = 100;

export const FIELDS: readonly PriceField[] = [
  { name: "input_usd_per_mtok", label: "Input", most: USD_MAX },
  { name: "output_usd_per_mtok", label: "Output", most: USD_MAX },
  {
    name: "cached_input_usd_per_mtok",
    label: "Cached input",
    most: USD_MAX,
    empty: "as other input",
  },
  {
    name: "cache_write_usd_per_mtok",
    label: "Cache write",
    most: USD_MAX,
    empty: "as other input",
  },
];

export const MORE: readonly PriceField[] = [
  { name: "priority_times", label: "Priority tier, times", most: TIMES_MAX, empty: "2" },
  {
    name: "long_context_tokens",
    label: "Long from, tokens",
    most: 100_000_000,
    empty: "never",
    whole: true,
  },
  { name: "long_input_times", label: "Long input, times", most: TIMES_MAX, empty: "2" },
  { name: "long_output_times", label: "Long output, times", most: TIMES_MAX, empty: "1.5" },
];

const ALL = [...FIELDS, ...MORE];

export function textsOf(price: Partial<Price>): PriceTexts {
  return Object.fromEntries(
    ALL.map(({ name }) => [name, price[name] == null ? "" : String(price[name])]),
  ) as PriceTexts;
}

/** What is wrong with a text, for people. */
export function flaw(field: PriceField, text: string): string | undefined {
  const said = text.trim();
  if (!said) return field.empty === undefined ? "A number is needed." : undefined;
  const value = Number(said);
  if (!Number.isFinite(value)) return `"${said}" is no number.`;
  if (field.whole && (!Number.isInteger(value) || value < 1)) return "A whole number from 1 on.";
  if (value < 0 || value > field.most) {
    return `From 0 to ${field.most.toLocaleString("en-US")}.`;
  }
  return undefined;
}

/** What is wrong with a form, by field; nothing if it is empty. */
export function flaws(texts: PriceTexts): Partial<Record<PriceName, string>> {
  const found = ALL.map((field) => [field.name, flaw(field, texts[field.name])] as const);
  return Object.fromEntries(found.filter(([, said]) => said !== undefined));
}

/** The price that a form without flaws says; what is empty is left out. */
export function priceOf(texts: PriceTexts): Price {
  const said = ALL.filter(({ name }) => texts[name].trim() !== "");
  return Object.fromEntries(
    said.map(({ name }) => [name, Number(texts[name])]),
  ) as unknown as Price;
}
