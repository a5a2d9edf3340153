import { SimpleGrid, Stack } from "@mantine/core";
import { useSession } from "../../api/session";
import { Panel } from "../../ui/Panel";
import { PasswordForm } from "./PasswordForm";
import { SecondFactor } from "./SecondFactor";
import { SessionList } from "./SessionList";

/** How one signs in here: password, second factor, and who is signed in now. */
export function Security() {
  const session = useSession().data;
  return (
    <Stack gap="md">
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
        <Panel title="Password">
          <PasswordForm fixed={session?.password_from_environment ?? false} />
        </Panel>
        <Panel title="Second factor">
          <SecondFactor set={session?.totp ?? false} />
        </Panel>
      </SimpleGrid>
      <SessionList />
    </Stack>
  );
}
