import {
  Badge,
  Button,
  Group,
  NativeSelect,
  NumberInput,
  Paper,
  Stack,
  Switch,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core";
import "@mantine/core/styles/NumberInput.css";
import "@mantine/core/styles/Switch.css";
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ApiError, api } from "../../api/client";
import type { SettingField, SettingsPage } from "../../api/types";
import { FormError } from "../../ui/FormError";
import { notify } from "../../ui/Notices";
import { Said } from "../../ui/Said";
import { useSubmit } from "../../ui/useSubmit";
import classes from "./SettingsForm.module.css";
import { chosen, equal, fromText, toText } from "./values";

type Values = Record<string, unknown>;

/** All settings with what they mean, what they take and what they are by default. */
export function SettingsForm({ page }: { page: SettingsPage }) {
  const queries = useQueryClient();
  const defaults = page.defaults as unknown as Values;
  const before = page.values as unknown as Values;
  const [seen, setSeen] = useState(page.version);
  const [edits, setEdits] = useState<Values>({});
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [flaws, setFlaws] = useState<Record<string, string>>({});
  const values: Values = { ...before, ...edits };
  const changed = Object.keys(edits).filter((name) => !equal(edits[name], before[name]));
  const save = useSubmit(
    () => api.put<SettingsPage>("/settings", { values: chosen(values, defaults), version: seen }),
    (told) => {
      queries.setQueryData(["live", "settings"], told);
      setSeen(told.version);
      setEdits({});
      setTexts({});
      void notify("Settings", "Saved. Every worker follows within five seconds.");
    },
  );
  const set = (name: string, value: unknown) => setEdits((all) => ({ ...all, [name]: value }));

  function type(name: string, text: string) {
    setTexts((all) => ({ ...all, [name]: text }));
    try {
      set(name, fromText(text));
      setFlaws(({ [name]: _, ...rest }) => rest);
    } catch (error) {
      setFlaws((all) => ({ ...all, [name]: (error as Error).message }));
    }
  }

  const wrong = (name: string) =>
    flaws[name] ??
    save.error?.fields.find(
      (each) => each.field === `values.${name}` || each.field.startsWith(`values.${name}.`),
    )?.message;
  // Prices have a table of their own.
  const fields = page.fields.filter((field) => field.name !== "prices");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void save.submit();
  };
  const stale = save.error instanceof ApiError && save.error.code === "stale_edit";
  return (
    <form onSubmit={submit}>
      <Paper withBorder className={classes.list}>
        {fields.map((field) => (
          <div key={field.name} className={classes.field}>
            <div>
              <Group gap="xs">
                <Text size="sm" fw={600} ff="monospace" component="label" htmlFor={field.name}>
                  {field.name}
                </Text>
                {!equal(values[field.name], defaults[field.name]) && (
                  <Badge size="xs" variant="light" tt="none">
                    chosen
                  </Badge>
                )}
              </Group>
              <Text size="sm" c="dimmed">
                <Said text={field.meaning} />
              </Text>
            </div>
            <div>
              <Control
                field={field}
                value={values[field.name]}
                text={texts[field.name]}
                error={wrong(field.name)}
                set={(value) => set(field.name, value)}
                type={(text) => type(field.name, text)}
              />
              <Default
                value={defaults[field.name]}
                expected={field.expected}
                back={
                  equal(values[field.name], defaults[field.name])
                    ? null
                    : () => {
                        set(field.name, defaults[field.name]);
                        setTexts(({ [field.name]: _, ...rest }) => rest);
                        setFlaws(({ [field.name]: _, ...rest }) => rest);
                      }
                }
              />
            </div>
          </div>
        ))}
      </Paper>
      <Stack mt="md" gap="sm" className={classes.foot}>
        <FormError error={save.error} fields={save.error?.fields.map((each) => each.field) ?? []} />
        <Group justify="flex-end">
          {stale && (
            <Button
              variant="default"
              onClick={() => {
                setEdits({});
                setTexts({});
                save.forget();
                void queries
                  .refetchQueries({ queryKey: ["live", "settings"] })
                  .then(() =>
                    setSeen(
                      queries.getQueryData<SettingsPage>(["live", "settings"])?.version ?? seen,
                    ),
                  );
              }}
            >
              Show them as they are now
            </Button>
          )}
          <Text size="sm" c="dimmed">
            {changed.length === 0 ? "Nothing changed" : `${changed.length} changed`}
          </Text>
          <Button
            type="submit"
            loading={save.busy}
            disabled={changed.length === 0 || Object.keys(flaws).length > 0}
          >
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

interface ControlProps {
  field: SettingField;
  value: unknown;
  text: string | undefined;
  error: string | undefined;
  set: (value: unknown) => void;
  type: (text: string) => void;
}

function Control({ field, value, text, error, set, type }: ControlProps) {
  const common = { id: field.name, error };
  if (field.choices) {
    return (
      <NativeSelect
        {...common}
        data={field.choices}
        value={String(value)}
        onChange={(event) => set(event.currentTarget.value)}
      />
    );
  }
  if (typeof value === "boolean") {
    return (
      <Switch {...common} checked={value} onChange={(event) => set(event.currentTarget.checked)} />
    );
  }
  if (typeof value === "number") {
    return (
      <NumberInput {...common} value={value} onChange={(next) => set(next === "" ? null : next)} />
    );
  }
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    return (
      <Textarea
        {...common}
        description="One a line: name = value"
        autosize
        minRows={2}
        maxRows={10}
        ff="monospace"
        spellCheck={false}
        value={text ?? toText(value)}
        onChange={(event) => type(event.currentTarget.value)}
      />
    );
  }
  return (
    <TextInput
      {...common}
      value={value === null || value === undefined ? "" : String(value)}
      onChange={(event) => set(event.currentTarget.value || null)}
    />
  );
}

interface DefaultProps {
  value: unknown;
  expected: string;
  back: (() => void) | null;
}

function Default({ value, expected, back }: DefaultProps) {
  const said =
    value !== null && typeof value === "object" ? toText(value) || "none" : String(value);
  return (
    <Group justify="space-between" gap="xs" mt={4} wrap="nowrap" align="flex-start">
      <Text size="xs" c="dimmed" className={classes.default}>
        {expected}; by default {said}
      </Text>
      {back && (
        <Button size="compact-xs" variant="subtle" onClick={back} style={{ flexShrink: 0 }}>
          Default
        </Button>
      )}
    </Group>
  );
}
