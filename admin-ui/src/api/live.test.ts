import { describe, expect, it } from "vitest";
import { apply, type Live, merged, REQUESTS_MAX, SAMPLES_MAX } from "./live";
import type { AccountPage, AccountRow, Numbers, RequestTail } from "./types";

const NOTHING: Live = { connected: true, numbers: null, samples: [], requests: [] };
const numbers = (at: number) => ({ at }) as Numbers;
const request = (uid: string) => ({ uid }) as RequestTail;

describe("apply", () => {
  it("keeps the latest numbers, and only so many", () => {
    let live = NOTHING;
    for (let at = 0; at < SAMPLES_MAX + 5; at += 1) live = apply(live, "numbers", numbers(at));
    expect(live.numbers?.at).toBe(SAMPLES_MAX + 4);
    expect(live.samples).toHaveLength(SAMPLES_MAX);
    expect(live.samples[0]?.at).toBe(5);
  });

  it("puts the latest request first, and keeps only so many", () => {
    let live = apply(NOTHING, "requests", { rows: [request("a"), request("b")] });
    live = apply(live, "requests", { rows: [request("c")] });
    expect(live.requests.map((each) => each.uid)).toEqual(["c", "b", "a"]);
    const many = Array.from({ length: REQUESTS_MAX * 2 }, (_, at) => request(String(at)));
    expect(apply(live, "requests", { rows: many }).requests).toHaveLength(REQUESTS_MAX);
  });

  it("leaves what it does not know alone", () => {
    expect(apply(NOTHING, "other", {})).toBe(NOTHING);
  });
});

describe("merged", () => {
  const page = {
    items: [
      { id: "a", in_flight: 0 },
      { id: "b", in_flight: 0 },
    ],
  } as AccountPage;

  it("replaces the rows that have changed", () => {
    const next = merged(page, [{ id: "b", in_flight: 3 } as AccountRow]);
    expect(next.items.map((row) => row.in_flight)).toEqual([0, 3]);
  });

  it("is the same page if none of its rows has", () => {
    expect(merged(page, [{ id: "z" } as AccountRow])).toBe(page);
  });
});
