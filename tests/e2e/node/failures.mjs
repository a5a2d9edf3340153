// What the client makes of failures: the class of the error, its fields, and how often it asked.

import { MODEL, connect } from "./client.mjs";

const RETRY_MS_MAX = 60_000;

// Asks for something and returns what became of it, with all requests that were made for it and
// the waits between them, which are not waited for.
export async function outcome(asked) {
  const requests = [];
  const waits = [];
  const observed = async (url, init) => {
    requests.push(new Headers(init.headers).get("x-stainless-retry-count"));
    return fetch(url, init);
  };
  const { setTimeout: wait } = globalThis;
  globalThis.setTimeout = (then, ms, ...rest) => {
    // Node's own timers and the client's timeout, which is longer, are left alone.
    const retries = ms <= RETRY_MS_MAX && new Error().stack.includes("/openai/");
    if (retries) waits.push(ms);
    return wait(then, retries ? 0 : ms, ...rest);
  };
  const result = await caught(() => ask(connect(asked, { fetch: observed }), asked));
  return { requests, waits, ...result };
}

async function ask(client, { dialect, body, stream }) {
  const options = { model: MODEL, stream, ...body };
  if (dialect === "models") return client.models.retrieve(body.model);
  const answer =
    dialect === "chat"
      ? await client.chat.completions.create(options)
      : await client.responses.create(options);
  if (!stream) return answer;
  const pieces = [];
  try {
    for await (const piece of answer) pieces.push(piece);
  } catch (error) {
    error.pieces = pieces.length;
    throw error;
  }
  return pieces;
}

async function caught(run) {
  try {
    return { answer: await run() };
  } catch (error) {
    const { status, code, param, type, message, pieces, requestID } = error;
    const headers = error.headers ? Object.fromEntries(error.headers) : {};
    const name = error.constructor.name;
    return { name, status, code, param, type, message, pieces, requestID, headers };
  }
}
