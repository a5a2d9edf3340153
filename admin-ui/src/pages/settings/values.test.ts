import { describe, expect, it } from "vitest";
import { chosen, equal, fromText, toText } from "./values";

describe("a table as text", () => {
  it("comes back as it went", () => {
    const table = { "claude-*": "gpt-5.5", free: 0.5, price: { input_usd_per_mtok: 1 } };
    expect(fromText(toText(table))).toEqual(table);
  });

  it("names the line that is wrong", () => {
    expect(() => fromText("a = b\n\nnothing")).toThrow("Line 3");
    expect(() => fromText("= b")).toThrow("Line 1");
  });
});

describe("what is sent", () => {
  it("leaves out what is as by default, in whatever order", () => {
    const defaults = { a: 1, b: { x: 1, y: 2 }, c: [] };
    expect(chosen({ a: 2, b: { y: 2, x: 1 }, c: [] }, defaults)).toEqual({ a: 2 });
    expect(equal({ x: [1] }, { x: [2] })).toBe(false);
  });
});
