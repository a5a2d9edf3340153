import { describe, expect, it } from "vitest";
import { ago, bytes, count, percent, span, usd } from "./format";

describe("span", () => {
  it.each([
    [0, "0 ms"],
    [0.0004, "0.4 ms"],
    [0.25, "250 ms"],
    [1.25, "1.3 s"],
    [42, "42 s"],
    [60, "1m"],
    [3_725, "1h 2m"],
    [90_000, "1d 1h"],
    [null, "–"],
  ])("says %s as %s", (seconds, said) => {
    expect(span(seconds)).toBe(said);
  });
});

describe("numbers", () => {
  it("are short for people and exact while they are small", () => {
    expect(count(9_999)).toMatch(/9.?999/);
    expect(count(1_234_567)).toMatch(/1[.,]2\s?M/);
    expect(count(null)).toBe("–");
    expect(percent(0.034)).toBe("3.4 %");
    expect(percent(1)).toBe("100 %");
    expect(usd(0.0123)).toBe("$0.0123");
    expect(usd(12)).toMatch(/^\$12[.,]00$/);
    expect(bytes(187_000_000)).toBe("187 MB");
  });
});

describe("ago", () => {
  it("knows before, now and after", () => {
    expect(ago(100, 160)).toBe("1m ago");
    expect(ago(160, 160.5)).toBe("now");
    expect(ago(220, 160)).toBe("in 1m");
    expect(ago(null, 160)).toBe("never");
  });
});
