import { Anchor, Group, NativeSelect, Skeleton, Stack, Tabs, Text, TextInput } from "@mantine/core";
import "@mantine/core/styles/Tabs.css";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { api } from "../../api/client";
import type { Connect } from "../../api/types";
import { CopyButton } from "../../ui/CopyButton";
import { Failed } from "../../ui/Failed";
import { PageHead } from "../../ui/PageHead";
import { Panel } from "../../ui/Panel";
import classes from "./ConnectPage.module.css";
import { snippets } from "./snippets";

const FALLBACK = "gpt-5.5";

/** What each kind of client is told, ready to copy, with this gateway's own address. */
export default function ConnectPage() {
  const [key, setKey] = useState("");
  const [model, setModel] = useState("");
  const asked = useQuery({
    queryKey: ["live", "connect"],
    queryFn: ({ signal }) => api.get<Connect>("/connect", undefined, signal),
  });
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (!asked.data) return <Skeleton height={360} />;
  const { bases, models } = asked.data;
  const all = snippets({
    openai: bases.openai ?? "",
    anthropic: bases.anthropic ?? "",
    codex: bases.codex ?? "",
    model: model || models[0] || FALLBACK,
    key: key.trim() || "sk-c2a-…",
  });
  return (
    <Stack gap="md">
      <PageHead title="Connect" text="Point a client at this gateway" />
      <Group gap="sm" align="flex-end">
        <TextInput
          label="Key"
          description="Only put into the text below; it is sent nowhere"
          placeholder="sk-c2a-…"
          autoComplete="off"
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
          w={{ base: "100%", xs: 320 }}
        />
        <NativeSelect
          label="Model"
          data={models.length ? models : [FALLBACK]}
          value={model || models[0] || FALLBACK}
          onChange={(event) => setModel(event.currentTarget.value)}
        />
        <Text size="sm" c="dimmed" pb={8}>
          No key yet?{" "}
          <Anchor component={Link} href="/keys" size="sm" underline="always">
            Make one
          </Anchor>
          .
        </Text>
      </Group>
      <Tabs defaultValue="python">
        <Tabs.List mb="md">
          {all.map(({ id, label }) => (
            <Tabs.Tab key={id} value={id}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {all.map(({ id, label, text, code }) => (
          <Tabs.Panel key={id} value={id}>
            <Panel
              title={label}
              aside={<CopyButton text={code} label={`Copy for ${label}`} />}
              flush
            >
              <Text size="sm" c="dimmed" px="md" pt="sm">
                {text}
              </Text>
              {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a long line is scrolled with the keyboard */}
              <pre className={classes.code} tabIndex={0}>
                {code}
              </pre>
            </Panel>
          </Tabs.Panel>
        ))}
      </Tabs>
    </Stack>
  );
}
