import { describe, expect, it } from "vitest";
import { bodyOf, endOfDay, localDay } from "./KeyDialog";

const DRAFT = {
  name: "  ci ",
  enabled: true,
  expires: "",
  models: [],
  groups: [],
  tags: [],
  endpoints: [],
  networks: [],
  requests_per_minute: "",
  tokens_per_minute: 10,
  concurrency_max: "",
  day_budget_usd: 0,
  month_budget_usd: "",
};

describe("what is sent of a key", () => {
  it("has null where there is no limit, and zero where zero was typed", () => {
    const body = bodyOf(DRAFT);
    expect(body).toMatchObject({ name: "ci", requests_per_minute: null, day_budget_usd: 0 });
    expect(body).not.toHaveProperty("enabled");
    expect(body.expires_at).toBeNull();
  });

  it("ends with the day that was chosen", () => {
    const end = endOfDay("2026-03-31");
    expect(new Date((end ?? 0) * 1000 - 1).getDate()).toBe(31);
    expect(localDay((end ?? 0) - 1)).toBe("2026-03-31");
  });
});
