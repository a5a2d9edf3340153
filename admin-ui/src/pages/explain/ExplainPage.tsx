import { Anchor, Badge, Button, Group, Skeleton, Stack, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { ApiError, api } from "../../api/client";
import type { Explained, Explanation } from "../../api/types";
import { Empty } from "../../ui/Empty";
import { Failed } from "../../ui/Failed";
import { at, time } from "../../ui/format";
import { SearchIcon } from "../../ui/icons";
import { PageHead } from "../../ui/PageHead";
import { Panel } from "../../ui/Panel";
import { Outcome } from "../overview/Latest";
import { AttemptTable, Times } from "../usage/RequestParts";
import { SurveyTable } from "./SurveyTable";

/** Why a call went where it did: by its request id, or from the latest decisions. */
export default function ExplainPage() {
  const [, go] = useLocation();
  const { requestId } = useParams<{ requestId?: string }>();
  const id = requestId ? decodeURIComponent(requestId) : "";
  const [text, setText] = useState(id);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (text.trim()) go(`/explain/${encodeURIComponent(text.trim())}`);
  };
  return (
    <Stack gap="md">
      <PageHead
        title="Explain"
        text="Why a call went where it did, and why others did not take it"
      />
      <form onSubmit={submit}>
        <Group gap="xs" align="flex-end">
          <TextInput
            label="Request id"
            description="The header x-request-id of its answer"
            placeholder="req_…"
            leftSection={<SearchIcon size={16} />}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            w={{ base: "100%", xs: 380 }}
          />
          <Button type="submit">Explain</Button>
        </Group>
      </form>
      {id ? <One id={id} /> : <Recent />}
    </Stack>
  );
}

function One({ id }: { id: string }) {
  const asked = useQuery({
    queryKey: ["explain", id],
    retry: false,
    queryFn: ({ signal }) =>
      api.get<Explained>(`/explain/${encodeURIComponent(id)}`, undefined, signal),
  });
  if (asked.isError) {
    const unknown = asked.error instanceof ApiError && asked.error.status === 404;
    return unknown ? (
      <Panel>
        <Empty title="Nothing is known of this call" text={asked.error.message} />
      </Panel>
    ) : (
      <Failed error={asked.error} retry={() => void asked.refetch()} />
    );
  }
  if (!asked.data) return <Skeleton height={240} />;
  const { requests, decisions } = asked.data;
  return (
    <>
      {requests.map(({ request, attempts }) => (
        <Panel key={request.uid} title={`${request.dialect} · ${request.model ?? "no model"}`}>
          <Stack gap="sm">
            <Group gap="sm">
              <Outcome status={request.status} code={request.code} />
              <Text size="sm" c="dimmed">
                {at(request.at)}
              </Text>
            </Group>
            <Times request={request} />
            <div style={{ overflowX: "auto" }}>
              <AttemptTable attempts={attempts} />
            </div>
          </Stack>
        </Panel>
      ))}
      {decisions.map((each) => (
        <Decision key={`${each.at} ${each.account_id}`} decision={each} />
      ))}
      {decisions.length === 0 && (
        <Text size="sm" c="dimmed">
          The choice itself was not kept: the setting <b>explain</b> keeps refusals only, or all of
          them, for the last thousand in the worker that made them.
        </Text>
      )}
    </>
  );
}

function Recent() {
  const asked = useQuery({
    queryKey: ["explain", "recent"],
    queryFn: ({ signal }) => api.get<Explained[]>("/explain", { limit: 50 }, signal),
  });
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (!asked.data) return <Skeleton height={240} />;
  const decisions = asked.data.flatMap((each) => each.decisions);
  return (
    <Panel title="Latest decisions that were kept">
      {decisions.length === 0 ? (
        <Empty
          title="No decision was kept yet"
          text="Refusals are kept by default. Set explain to all, for a while, to keep every choice."
        />
      ) : (
        <Stack gap={6}>
          {decisions.map((each) => (
            <Group key={`${each.call_id} ${each.at}`} gap="sm" wrap="nowrap">
              <Anchor
                component={Link}
                href={`/explain/${encodeURIComponent(each.call_id)}`}
                size="sm"
                className="tabular"
              >
                {time(each.at)}
              </Anchor>
              <Chosen decision={each} />
              <Text size="sm" c="dimmed" truncate>
                {each.model} · {each.reason}
              </Text>
            </Group>
          ))}
        </Stack>
      )}
    </Panel>
  );
}

function Chosen({ decision }: { decision: Explanation }) {
  return decision.code ? (
    <Badge variant="light" color="yellow" tt="none">
      {decision.code}
    </Badge>
  ) : (
    <Badge variant="light" color="teal" tt="none">
      {decision.account_id}
    </Badge>
  );
}

function Decision({ decision }: { decision: Explanation }) {
  const asked = [
    decision.groups.length > 0 && `groups ${decision.groups.join(", ")}`,
    decision.tags.length > 0 && `tags ${decision.tags.join(", ")}`,
  ].filter(Boolean);
  return (
    <Panel title={decision.code ? "Refused" : "Chosen"} aside={<Chosen decision={decision} />}>
      <Stack gap="sm">
        <Text size="sm">
          {decision.reason}, by the strategy <b>{decision.strategy}</b>, for {decision.model}
          {asked.length > 0 && `, among ${asked.join(" and ")}`}; {at(decision.at)}.
        </Text>
        <SurveyTable decision={decision} />
      </Stack>
    </Panel>
  );
}
