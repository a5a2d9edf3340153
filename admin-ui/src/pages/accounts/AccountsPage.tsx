import { PageHead } from "../../ui/PageHead";

export default function AccountsPage() {
  return <PageHead title="Accounts" />;
}
