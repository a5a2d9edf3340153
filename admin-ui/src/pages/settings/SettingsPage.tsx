import { Skeleton, Stack, Tabs } from "@mantine/core";
import "@mantine/core/styles/Tabs.css";
import { useQuery } from "@tanstack/react-query";
import { api } from "../../api/client";
import type { SettingsPage as Page } from "../../api/types";
import { Failed } from "../../ui/Failed";
import { PageHead } from "../../ui/PageHead";
import { Prices } from "./Prices";
import { Security } from "./Security";
import { SettingsForm } from "./SettingsForm";

/** What an operator chooses while the gateway runs. */
export default function SettingsPage() {
  const asked = useQuery({
    queryKey: ["live", "settings"],
    queryFn: ({ signal }) => api.get<Page>("/settings", undefined, signal),
  });
  const waiting = asked.isError ? (
    <Failed error={asked.error} retry={() => void asked.refetch()} />
  ) : (
    <Skeleton height={420} />
  );
  return (
    <Stack gap="md">
      <PageHead
        title="Settings"
        text="Every worker follows within five seconds, without a restart"
      />
      <Tabs defaultValue="gateway" keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="gateway">Gateway</Tabs.Tab>
          <Tabs.Tab value="prices">Prices</Tabs.Tab>
          <Tabs.Tab value="security">Sign-in</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="gateway">
          {asked.data ? <SettingsForm page={asked.data} /> : waiting}
        </Tabs.Panel>
        <Tabs.Panel value="prices">
          {asked.data ? <Prices page={asked.data} /> : waiting}
        </Tabs.Panel>
        <Tabs.Panel value="security">
          <Security />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}
