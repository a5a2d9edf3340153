import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import classes from "./Chart.module.css";

export interface Line {
  label: string;
  color: string;
  values: readonly (number | null)[];
  /** How a value of it is said. */
  say: (value: number) => string;
  bars?: boolean;
}

interface Props {
  /** What it shows, for who can't see it. */
  label: string;
  times: readonly number[];
  lines: readonly Line[];
  height?: number;
  /** The least that the scale goes up to, so that nearly nothing looks like nearly nothing. */
  top?: number;
}

/** The least that the axis of time spans. */
const SPAN_MIN_S = 60;
const DAY_S = 86_400;

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  hour12: false,
});
const exact = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hour12: false });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

function sayTimes(_u: uPlot, ticks: number[]): string[] {
  const span = (ticks.at(-1) ?? 0) - (ticks[0] ?? 0);
  const how = span < 600 ? exact : span < 2 * DAY_S ? clock : day;
  return ticks.map((tick) => how.format(tick * 1000));
}

/** Lines or bars over time; it follows its data, its width and the theme. */
export default function Chart({ label, times, lines, height = 200, top = 1e-9 }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const scheme = useComputedColorScheme("light");
  const shape = lines.map((line) => `${line.label} ${line.color} ${line.bars}`).join("|");
  const latest = useRef({ times, lines });
  latest.current = { times, lines };

  // biome-ignore lint/correctness/useExhaustiveDependencies: made anew for another shape or theme only
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const style = getComputedStyle(document.documentElement);
    const edge = style.getPropertyValue("--edge").trim();
    const faint = style.getPropertyValue("--faint").trim();
    const axis: uPlot.Axis = {
      stroke: faint,
      grid: { stroke: edge, width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    const say = (at: number, value: number | null) =>
      value === null || value === undefined ? "–" : (latest.current.lines[at]?.say(value) ?? "");
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        cursor: { points: { size: 6 }, drag: { x: false, y: false } },
        legend: { live: true },
        scales: {
          x: {
            range: (_u, low, high) => [Math.min(low ?? 0, (high ?? 0) - SPAN_MIN_S), high ?? 0],
          },
          y: { range: (_u, _low, high) => [0, Math.max(high ?? 0, top) * 1.1] },
        },
        axes: [
          { ...axis, space: 70, values: sayTimes },
          { ...axis, size: 56, values: (_u, ticks) => ticks.map((tick) => say(0, tick)) },
        ],
        series: [
          { value: (_u, value) => (value === null ? "–" : exact.format(value * 1000)) },
          ...latest.current.lines.map(
            (line, at): uPlot.Series => ({
              label: line.label,
              stroke: line.color,
              width: line.bars ? 0 : 1.6,
              fill: line.bars ? line.color : `${line.color}22`,
              points: { show: false },
              value: (_u, value) => say(at, value),
              ...(line.bars &&
                uPlot.paths.bars && { paths: uPlot.paths.bars({ size: [0.7, 48] }) }),
            }),
          ),
        ],
      },
      data(latest.current),
      element,
    );
    plot.current = made;
    const seen = new ResizeObserver(() =>
      made.setSize({ width: Math.max(element.clientWidth, 40), height }),
    );
    seen.observe(element);
    return () => {
      seen.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, scheme, height, top]);

  useEffect(() => {
    plot.current?.setData(data({ times, lines }));
  }, [times, lines]);

  return <div ref={box} className={classes.chart} role="img" aria-label={label} />;
}

function data({ times, lines }: Pick<Props, "times" | "lines">): uPlot.AlignedData {
  return [times as number[], ...lines.map((line) => line.values as number[])];
}
