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
}

/** Lines or bars over time; it follows its data, its width and the theme. */
export default function Chart({ label, times, lines, height = 200 }: Props) {
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
        scales: { y: { range: (_u, _low, high) => [0, Math.max(high ?? 0, 1e-9) * 1.1] } },
        axes: [
          { ...axis, space: 70 },
          { ...axis, size: 56, values: (_u, ticks) => ticks.map((tick) => say(0, tick)) },
        ],
        series: [
          {},
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
  }, [shape, scheme, height]);

  useEffect(() => {
    plot.current?.setData(data({ times, lines }));
  }, [times, lines]);

  return <div ref={box} className={classes.chart} role="img" aria-label={label} />;
}

function data({ times, lines }: Pick<Props, "times" | "lines">): uPlot.AlignedData {
  return [times as number[], ...lines.map((line) => line.values as number[])];
}
