import { Progress, Tooltip } from "@mantine/core";
import type { QuotaRow } from "../api/types";
import { count, percent, span } from "./format";
import classes from "./QuotaBar.module.css";
import { useNow } from "./useNow";

const COLORS = { fine: "brand", high: "yellow", full: "red" };

/** How full one window is, and how long until it is empty again. */
export function QuotaBar({ window }: { window: QuotaRow }) {
  const now = useNow();
  const used = Math.min(window.used_ratio, 1);
  const left = window.reset_at === null ? null : Math.max(0, window.reset_at - now);
  const tone = used >= 0.95 ? "full" : used >= 0.75 ? "high" : "fine";
  const said = `${window.name}: ${percent(window.used_ratio)} used`;
  return (
    <Tooltip
      label={`${said}, ${count(window.tokens)} tokens in ${count(window.requests)} requests from here`}
    >
      <div className={classes.bar}>
        <span className={classes.name}>{window.name}</span>
        <Progress value={used * 100} color={COLORS[tone]} size={6} aria-label={said} />
        <span className={classes.number}>{percent(window.used_ratio)}</span>
        <span className={classes.reset}>{left === null ? "" : span(left)}</span>
      </div>
    </Tooltip>
  );
}
