import { describe, expect, it } from "vitest";
import { flaws, priceOf, textsOf } from "./prices";

describe("a price in a form", () => {
  it("comes back as it went, without what was left empty", () => {
    const price = {
      input_usd_per_mtok: 1.25,
      output_usd_per_mtok: 10,
      long_context_tokens: 200000,
    };
    expect(flaws(textsOf(price))).toEqual({});
    expect(priceOf(textsOf(price))).toEqual(price);
  });

  it("is told beside each field what is wrong with it", () => {
    const texts = {
      ...textsOf({ output_usd_per_mtok: 100_001 }),
      cached_input_usd_per_mtok: "cheap",
      long_context_tokens: "0.5",
      priority_times: "-1",
    };
    expect(Object.keys(flaws(texts)).sort()).toEqual([
      "cached_input_usd_per_mtok",
      "input_usd_per_mtok",
      "long_context_tokens",
      "output_usd_per_mtok",
      "priority_times",
    ]);
  });
});
