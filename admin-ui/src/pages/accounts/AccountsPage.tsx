import { Button, Group, Stack, TextInput } from "@mantine/core";
import { useDebouncedValue, useDisclosure } from "@mantine/hooks";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { useLocation, useParams, useSearch } from "wouter";
import type { Status } from "../../api/types";
import { count } from "../../ui/format";
import { PlusIcon, SearchIcon } from "../../ui/icons";
import { PageHead } from "../../ui/PageHead";
import { AccountTable } from "./AccountTable";
import { BulkBar } from "./BulkBar";
import { StatusFilter } from "./StatusFilter";
import type { Filters } from "./useAccounts";

const AddDialog = lazy(() => import("./add/AddDialog"));
const drawer = () => import("./AccountDrawer");
const AccountDrawer = lazy(drawer);

export default function AccountsPage() {
  const [, go] = useLocation();
  const { id } = useParams<{ id?: string }>();
  const search = new URLSearchParams(useSearch());
  const [text, setText] = useState("");
  const [q] = useDebouncedValue(text, 250);
  const [status, setStatus] = useState<Status[]>(search.getAll("status") as Status[]);
  const [order, setOrder] = useState({ sort: "name", descending: false });
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [adding, { open, close }] = useDisclosure(false);
  const [statuses, setStatuses] = useState<Record<string, number>>({});
  const filters: Filters = useMemo(() => ({ q, status, ...order }), [q, status, order]);
  useEffect(() => {
    // Whoever looks at the list opens one of them next: let it be there by then. A lost connection
    // is told of when it is opened.
    drawer().catch(() => undefined);
  }, []);
  const total = Object.values(statuses).reduce((sum, each) => sum + each, 0);

  return (
    <Stack gap="sm">
      <PageHead title="Accounts" text={total ? `${count(total)} in the pool` : "The pool"}>
        <Button leftSection={<PlusIcon size={16} />} onClick={open}>
          Add accounts
        </Button>
      </PageHead>
      <Group gap="sm" align="center">
        <TextInput
          aria-label="Search by name, e-mail address or id"
          placeholder="Name, e-mail, id"
          leftSection={<SearchIcon size={16} />}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          w={{ base: "100%", xs: 260 }}
        />
        <StatusFilter chosen={status} counts={statuses} choose={setStatus} />
      </Group>
      {selected.size > 0 && <BulkBar ids={selected} clear={() => setSelected(new Set())} />}
      <AccountTable
        filters={filters}
        order={order}
        reorder={setOrder}
        selected={selected}
        select={setSelected}
        open={(account) => go(`/accounts/${account}`)}
        add={open}
        told={setStatuses}
      />
      <Suspense>
        {adding && <AddDialog close={close} />}
        {id && <AccountDrawer id={id} close={() => go("/accounts")} />}
      </Suspense>
    </Stack>
  );
}
