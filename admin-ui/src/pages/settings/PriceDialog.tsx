import { Button, Group, Modal, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import "@mantine/core/styles/Modal.css";
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api } from "../../api/client";
import type { SettingsPage } from "../../api/types";
import { FormError } from "../../ui/FormError";
import { notify } from "../../ui/Notices";
import { useSubmit } from "../../ui/useSubmit";
import { FIELDS, flaws, MORE, type Price, type PriceField, priceOf, textsOf } from "./prices";
import { chosen } from "./values";

interface Props {
  page: SettingsPage;
  /** The model whose price it is; empty for one that has none yet. */
  model: string;
  /** What it costs by the built-in table, to begin with. */
  start: Partial<Price>;
  close: () => void;
}

/** One model's price; what is wrong stands beside its field. */
export default function PriceDialog({ page, model, start, close }: Props) {
  const queries = useQueryClient();
  const own = page.values.prices as Record<string, Price>;
  const [name, setName] = useState(model);
  const [texts, setTexts] = useState(textsOf(own[model] ?? start));
  const [tried, setTried] = useState(false);
  const wrong = flaws(texts);
  const called = name.trim();
  const put = (prices: Record<string, Price>) => {
    const values = chosen(
      { ...page.values, prices } as Record<string, unknown>,
      page.defaults as unknown as Record<string, unknown>,
    );
    return api.put<SettingsPage>("/settings", { values, version: page.version });
  };
  const done = (text: string) => (told: SettingsPage) => {
    queries.setQueryData(["live", "settings"], told);
    void queries.invalidateQueries({ queryKey: ["live", "prices"] });
    void notify("Prices", text);
    close();
  };
  const save = useSubmit(
    () => put({ ...own, [called]: priceOf(texts) }),
    done("Saved. Calls from now on cost this."),
  );
  const drop = useSubmit(
    () => put(Object.fromEntries(Object.entries(own).filter(([each]) => each !== model))),
    done("Your price is gone."),
  );
  const error = save.error ?? drop.error;
  const path = `values.prices.${called}`;
  const told = (field: string) =>
    error?.fields.find((each) => each.field === `${path}.${field}`)?.message;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (called && Object.keys(wrong).length === 0) void save.submit();
  };
  const input = (field: PriceField) => (
    <TextInput
      key={field.name}
      label={field.label}
      inputMode="decimal"
      placeholder={field.empty ?? ""}
      required={field.empty === undefined}
      withAsterisk={field.empty === undefined}
      value={texts[field.name]}
      error={(tried || texts[field.name] ? wrong[field.name] : undefined) ?? told(field.name)}
      onChange={(event) => setTexts({ ...texts, [field.name]: event.currentTarget.value })}
    />
  );
  return (
    <Modal opened onClose={close} title={model ? `Price of ${model}` : "Add a price"} centered>
      <form onSubmit={submit} noValidate>
        <Stack gap="md">
          {!model && (
            <TextInput
              label="Model"
              description="As the upstream calls it"
              placeholder="gpt-5.5"
              data-autofocus
              value={name}
              error={tried && !called ? "A name is needed." : undefined}
              onChange={(event) => setName(event.currentTarget.value)}
            />
          )}
          <Text size="sm" c="dimmed">
            Dollars for a million tokens.
          </Text>
          <SimpleGrid cols={2} spacing="sm">
            {FIELDS.map(input)}
          </SimpleGrid>
          <Text size="sm" c="dimmed">
            A call of the priority tier, or one that reads more than so many tokens, costs as many
            times as much.
          </Text>
          <SimpleGrid cols={2} spacing="sm">
            {MORE.map(input)}
          </SimpleGrid>
          <FormError
            error={error}
            fields={[...FIELDS, ...MORE].map((field) => `${path}.${field.name}`)}
          />
          <Group justify="space-between">
            {own[model] ? (
              <Button
                variant="subtle"
                color="red"
                loading={drop.busy}
                onClick={() => void drop.submit()}
              >
                Remove my price
              </Button>
            ) : (
              <span />
            )}
            <Button type="submit" loading={save.busy}>
              Save
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
