/** What the admin API says, by the names that it has there. Times are epoch seconds. */

export interface Usage {
  input: number;
  cached: number;
  cache_write: number;
  output: number;
  reasoning: number;
}

export interface JournalNumbers {
  depth: number;
  age_s: number;
  healthy: boolean;
  lost: number;
  refused: number;
}

export interface Numbers {
  at: number;
  in_flight: number;
  streams: number;
  queue_depth: number;
  attempts_per_minute: number;
  error_ratio: number | null;
  accounts: Record<string, number>;
  runway: {
    low_s: number | null;
    mid_s: number | null;
    high_s: number | null;
    limited_by: string;
  } | null;
  today: {
    requests: number;
    errors: number;
    input_tokens: number;
    output_tokens: number;
    cost_usd: number;
  } | null;
  loop_lag_s: number;
  memory_bytes: number;
  cpu_ratio: number;
  store_up: boolean;
  draining: boolean;
  journal: JournalNumbers;
}

export type Status =
  | "ready"
  | "cooling"
  | "probing"
  | "expired"
  | "banned"
  | "disabled"
  | "damaged";

export interface QuotaRow {
  family: string;
  minutes: number;
  name: string;
  used_ratio: number;
  reset_at: number | null;
  tokens: number;
  requests: number;
}

export interface AccountRow {
  id: string;
  name: string;
  kind: string;
  status: Status;
  reason: string;
  until: number | null;
  email: string | null;
  plan: string | null;
  chatgpt_account_id: string | null;
  base_url: string | null;
  enabled: boolean;
  priority: number;
  concurrency_max: number;
  models: string[];
  groups: string[];
  tags: string[];
  pause_at: number | null;
  has_proxy: boolean;
  version: number;
  created_at: number;
  renewed_at: number;
  expires_at: number | null;
  renewable: boolean;
  refused_code: string | null;
  in_flight: number;
  capacity: number;
  windows: QuotaRow[];
  model_rests: Record<string, number>;
  requests: number;
  failures: number;
  tokens: number;
  requests_per_minute: number;
  error_ratio: number | null;
  last_used_at: number | null;
}

export interface AccountPage {
  items: AccountRow[];
  total: number;
  offset: number;
  limit: number;
  statuses: Record<string, number>;
  tokens_today: Record<string, number>;
}

export interface AccountEvent {
  at: number;
  kind: string;
  detail: string;
  code: string | null;
  next_at: number | null;
  count: number;
}

export interface AttemptRow {
  uid: string;
  number: number;
  at: number;
  caller_id: string;
  account_id: string;
  model: string;
  outcome: string;
  code: string | null;
  usage: Usage;
  source: string;
  cost_nusd: number;
  queue_s: number;
  first_event_s: number | null;
  seconds: number;
  delivered: boolean;
}

export interface AccountDetail {
  account: AccountRow;
  events: AccountEvent[];
  attempts: AttemptRow[];
}

export interface Tried {
  ok: boolean;
  detail: string;
  status: number | null;
}

export interface Progress {
  done: number;
  total: number;
  failed: number;
  finished: boolean;
}

export interface RequestTail {
  uid: string;
  request_id: string;
  at: number;
  caller_id: string | null;
  dialect: string;
  model: string | null;
  stream: boolean;
  status: number;
  code: string;
  attempts: number;
  first_event_s: number | null;
  seconds: number;
}

export interface SessionState {
  authenticated: boolean;
  csrf_token: string | null;
  session_id: string | null;
  totp: boolean;
  password_from_environment: boolean;
}
