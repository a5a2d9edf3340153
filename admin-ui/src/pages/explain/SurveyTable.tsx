import { Anchor, Badge, Group, Stack, Table, Text } from "@mantine/core";
import { Link } from "wouter";
import type { Explanation, Why } from "../../api/types";
import { ago, count, percent, span } from "../../ui/format";
import { useNow } from "../../ui/useNow";

const WORDS: Record<Why, string> = {
  tried: "was tried already",
  elsewhere: "the call belongs to another account",
  banned: "closed by the upstream",
  expired: "its credential is refused",
  kind: "its kind can't do this",
  model: "does not serve the model",
  plan: "its plan does not have the model",
  group: "is in none of the key's groups",
  tag: "lacks a tag that the key asks for",
  resting: "rests until its limit resets",
  paused: "is paused",
  model_rests: "rests for this model",
  full: "has as many calls as it may",
  priority: "a higher priority has room",
};

/** Who could have taken a call, and what kept the others. */
export function SurveyTable({ decision }: { decision: Explanation }) {
  const now = useNow();
  const { survey } = decision;
  if (decision.surveyed_at === null) {
    return (
      <Text size="sm" c="dimmed">
        There was no time to look at all accounts then.
      </Text>
    );
  }
  const counts = Object.entries(survey.counts ?? {});
  return (
    <Stack gap="sm">
      <Group gap="xs">
        <Badge variant="light" color="teal" tt="none">
          {count(survey.candidates_count)} could have
        </Badge>
        {counts.map(([why, number]) => (
          <Badge key={why} variant="light" color="gray" tt="none">
            {count(number)} {WORDS[why as Why] ?? why}
          </Badge>
        ))}
      </Group>
      {survey.candidates.length > 0 && (
        <Table.ScrollContainer minWidth={520}>
          <Table verticalSpacing={4} className="tabular">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Could have</Table.Th>
                <Table.Th>Wait to expect</Table.Th>
                <Table.Th>In flight</Table.Th>
                <Table.Th>Quota left</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {survey.candidates.map((each) => (
                <Table.Tr key={each.account_id}>
                  <Table.Td>
                    <Anchor component={Link} href={`/accounts/${each.account_id}`} size="sm">
                      {each.account_id}
                    </Anchor>
                    {each.account_id === decision.account_id && (
                      <Badge size="xs" ml={6} tt="none">
                        chosen
                      </Badge>
                    )}
                  </Table.Td>
                  <Table.Td>{span(each.cost)}</Table.Td>
                  <Table.Td>
                    {each.in_flight} / {each.cap}
                  </Table.Td>
                  <Table.Td>{percent(each.headroom)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {survey.exclusions.length > 0 && (
        <Stack gap={4}>
          {survey.exclusions.map((each) => (
            <Text key={each.account_id} size="sm">
              <Anchor component={Link} href={`/accounts/${each.account_id}`} size="sm">
                {each.account_id}
              </Anchor>{" "}
              {WORDS[each.why] ?? each.why}
              {each.until != null && each.until > now && `, ${ago(each.until, now)}`}
            </Text>
          ))}
        </Stack>
      )}
    </Stack>
  );
}
