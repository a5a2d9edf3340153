/** One way to ask the admin API: errors are `ApiError`, changes carry the session's token. */

export interface FieldError {
  field: string;
  message: string;
}

export class ApiError extends Error {
  override name = "ApiError";

  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    readonly fields: FieldError[] = [],
    readonly requestId: string | null = null,
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
  }

  /** What is said of one field, to stand beside it. */
  field(name: string): string | undefined {
    return this.fields.find((each) => each.field === name)?.message;
  }
}

type Scalar = string | number | boolean | null | undefined;
export type Query = Record<string, Scalar | readonly string[]>;

const BASE = "/api/admin";
let csrfToken: string | null = null;
const expired = new Set<() => void>();

/** Take the token that changes must carry; null once nobody is logged in. */
export function takeToken(token: string | null): void {
  csrfToken = token;
}

/** Be told when the session has ended; returns what stops that. */
export function onExpired(listener: () => void): () => void {
  expired.add(listener);
  return () => expired.delete(listener);
}

export function address(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== "") parameters.append(name, String(each));
    }
  }
  const text = parameters.toString();
  return `${BASE}${path}${text ? `?${text}` : ""}`;
}

interface Options {
  query?: Query;
  body?: unknown;
  signal?: AbortSignal;
  /** A name for this change: sent again, it is not carried out twice. */
  once?: string;
}

/** Return the answer as it came, once it is a success. */
export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const headers = new Headers({ accept: "application/json" });
  if (method !== "GET" && csrfToken) headers.set("x-csrf-token", csrfToken);
  if (options.once) headers.set("idempotency-key", options.once);
  let body: BodyInit | null = null;
  if (options.body instanceof FormData) {
    body = options.body;
  } else if (options.body !== undefined) {
    headers.set("content-type", "application/json");
    body = JSON.stringify(options.body);
  }
  let response: Response;
  try {
    response = await fetch(address(path, options.query), {
      method,
      headers,
      body,
      signal: options.signal ?? null,
      credentials: "same-origin",
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The gateway does not answer.", 0, "unreachable");
  }
  if (response.ok) return response;
  const error = await failure(response);
  if (error.status === 401 && path !== "/login") {
    for (const listener of expired) listener();
  }
  throw error;
}

async function failure(response: Response): Promise<ApiError> {
  const retry = Number(response.headers.get("retry-after"));
  const retryAfterS = Number.isFinite(retry) && retry > 0 ? retry : null;
  try {
    const { error } = await response.json();
    return new ApiError(
      error.message,
      response.status,
      error.code,
      error.fields ?? [],
      error.request_id ?? null,
      retryAfterS,
    );
  } catch {
    const message = `The gateway answered with ${response.status}.`;
    return new ApiError(message, response.status, "unreadable", [], null, retryAfterS);
  }
}

async function json<T>(response: Response): Promise<T> {
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const api = {
  get: async <T>(path: string, query?: Query, signal?: AbortSignal) =>
    json<T>(await send("GET", path, { ...(query && { query }), ...(signal && { signal }) })),
  post: async <T>(path: string, body?: unknown, options: Options = {}) =>
    json<T>(await send("POST", path, { ...options, body: body ?? {} })),
  patch: async <T>(path: string, body: unknown) => json<T>(await send("PATCH", path, { body })),
  put: async <T>(path: string, body: unknown) => json<T>(await send("PUT", path, { body })),
  delete: async (path: string) => json<void>(await send("DELETE", path)),
};

/** Post, and hand on each line of the answer as it comes: how far a long operation is. */
export async function postLines<T>(
  path: string,
  body: unknown,
  take: (line: T) => void,
  signal?: AbortSignal,
): Promise<void> {
  const response = await send("POST", path, { body, ...(signal && { signal }) });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (reader) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim()) take(JSON.parse(line) as T);
    if (done) return;
  }
}
