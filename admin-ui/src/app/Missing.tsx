import { Button } from "@mantine/core";
import { Link } from "wouter";
import { Empty } from "../ui/Empty";

export function Missing() {
  return (
    <Empty
      title="There is no page here"
      text="The address may have been typed wrong, or come from another version."
      action={
        <Button component={Link} href="/" variant="light">
          To the overview
        </Button>
      }
    />
  );
}
