import { Code } from "@mantine/core";

/** A sentence in which words between backticks are names. */
export function Said({ text }: { text: string }) {
  return text.split("`").map((part, at) =>
    // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a text stay where they are
    at % 2 ? <Code key={at}>{part}</Code> : part,
  );
}
