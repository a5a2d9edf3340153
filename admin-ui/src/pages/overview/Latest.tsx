import { Anchor, Badge, Table } from "@mantine/core";
import { Link } from "wouter";
import { useLive } from "../../api/live";
import { Empty } from "../../ui/Empty";
import { span, time } from "../../ui/format";
import { Panel } from "../../ui/Panel";

const SHOWN = 12;

/** The calls that this worker has answered last, as they end. */
export function Latest() {
  const requests = useLive((live) => live.requests);
  return (
    <Panel title="Latest calls" flush>
      {requests.length === 0 ? (
        <Empty
          title="No call since this page was opened"
          text="Calls appear here as they end. The page Connect shows how to make one."
        />
      ) : (
        <Table.ScrollContainer minWidth={640}>
          <Table verticalSpacing={6} className="tabular">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Time</Table.Th>
                <Table.Th>Dialect</Table.Th>
                <Table.Th>Model</Table.Th>
                <Table.Th>Outcome</Table.Th>
                <Table.Th>Attempts</Table.Th>
                <Table.Th>First event</Table.Th>
                <Table.Th>Total</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {requests.slice(0, SHOWN).map((each) => (
                <Table.Tr key={each.uid}>
                  <Table.Td>
                    <Anchor component={Link} href={`/explain/${each.request_id}`} size="sm">
                      {time(each.at)}
                    </Anchor>
                  </Table.Td>
                  <Table.Td>{each.dialect}</Table.Td>
                  <Table.Td>{each.model ?? "–"}</Table.Td>
                  <Table.Td>
                    <Outcome status={each.status} code={each.code} />
                  </Table.Td>
                  <Table.Td>{each.attempts}</Table.Td>
                  <Table.Td>{span(each.first_event_s)}</Table.Td>
                  <Table.Td>{span(each.seconds)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Panel>
  );
}

export function Outcome({ status, code }: { status: number; code: string }) {
  const good = status < 400 && code === "ok";
  const color = good ? "teal" : status >= 500 || status === 200 ? "red" : "yellow";
  return (
    <Badge variant="light" color={color} tt="none" fw={500}>
      {good ? status : `${status} ${code}`}
    </Badge>
  );
}
