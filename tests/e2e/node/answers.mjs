// What the client does when all is well. Each scenario returns plain data; the judging is Python's.

import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { MODEL, completed, connect, responded, say } from "./client.mjs";

const Trip = z.object({ city: z.string(), nights: z.number().int(), by_train: z.boolean() });

export async function chat(asked) {
  return connect(asked).chat.completions.create({ model: MODEL, messages: say(asked.text) });
}

export async function chatStream(asked) {
  const { text, stream_options } = asked;
  const body = { model: MODEL, messages: say(text), stream: true, stream_options };
  return gathered(await connect(asked).chat.completions.create(body));
}

export async function response(asked) {
  return connect(asked).responses.create({ model: MODEL, input: asked.text });
}

export async function responseStream(asked) {
  const body = { model: MODEL, input: asked.text, stream: true };
  return gathered(await connect(asked).responses.create(body));
}

export async function responseHelper(asked) {
  const { text, ...rest } = asked;
  const kinds = [];
  const stream = connect(rest).responses.stream({
    model: MODEL,
    input: text,
    reasoning: { effort: "high", summary: "auto" },
    include: ["reasoning.encrypted_content"],
  });
  for await (const event of stream) kinds.push(event.type);
  return { kinds, final: await stream.finalResponse() };
}

export async function chatToolTrip(asked) {
  const client = connect(asked);
  const { stream, tools } = asked;
  const messages = say(asked.text);
  const first = await completed(client, { stream, messages, tools });
  const { message, finish_reason } = first.choices[0];
  messages.push({ role: message.role, content: message.content, tool_calls: message.tool_calls });
  for (const call of message.tool_calls) {
    messages.push({ role: "tool", tool_call_id: call.id, content: "7 degrees" });
  }
  const second = await completed(client, { stream, messages, tools });
  return { finish_reason, calls: message.tool_calls, answer: second.choices[0] };
}

export async function responsesToolTrip(asked) {
  const client = connect(asked);
  const { stream, tools } = asked;
  const input = say(asked.text);
  const first = await responded(client, { stream, input, tools });
  const calls = first.output.filter((item) => item.type === "function_call");
  // The helper adds what it has parsed to the items; its guide has them sent again as they are.
  input.push(...first.output.map(({ parsed_arguments, ...item }) => item));
  for (const { call_id } of calls) {
    input.push({ type: "function_call_output", call_id, output: "7 degrees" });
  }
  const second = await responded(client, { stream, input, tools });
  return { calls, answer: second.output_text };
}

export async function chatParallel(asked) {
  const { stream, tools, parallel_tool_calls } = asked;
  const messages = say(asked.text);
  const done = await completed(connect(asked), { stream, messages, tools, parallel_tool_calls });
  return done.choices[0].message.tool_calls;
}

export async function responsesParallel(asked) {
  const { stream, tools } = asked;
  const done = await responded(connect(asked), { stream, input: asked.text, tools });
  return done.output.filter((item) => item.type === "function_call");
}

export async function structured(asked) {
  const client = connect(asked);
  const completion = await client.chat.completions.parse({
    model: MODEL,
    messages: say(asked.text),
    response_format: zodResponseFormat(Trip, "trip"),
  });
  const answer = await client.responses.parse({
    model: MODEL,
    input: asked.text,
    text: { format: zodTextFormat(Trip, "trip") },
  });
  return [completion.choices[0].message.parsed, answer.output_parsed];
}

export async function vision(asked) {
  const client = connect(asked);
  const url = asked.picture;
  const parts = [
    { type: "text", text: asked.text },
    { type: "image_url", image_url: { url } },
  ];
  const completion = await client.chat.completions.create({ model: MODEL, messages: say(parts) });
  const items = [
    { type: "input_text", text: asked.text },
    { type: "input_image", image_url: url, detail: "auto" },
  ];
  const answer = await client.responses.create({ model: MODEL, input: say(items) });
  return [completion.choices[0].message.content, answer.output_text];
}

export async function models(asked) {
  const client = connect(asked);
  const listed = [];
  for await (const model of client.models.list()) listed.push(model.id);
  const retrieved = await Promise.all(listed.map((id) => client.models.retrieve(id)));
  return { listed, retrieved: retrieved.map((model) => model.id) };
}

export async function together(asked) {
  const client = connect(asked);
  const ask = (input) => client.responses.create({ model: MODEL, input });
  const said = await Promise.all(asked.texts.map(ask));
  return said.map((one) => one.output_text);
}

export async function requestIds(asked) {
  const client = connect(asked);
  const body = { model: MODEL, messages: say(asked.text) };
  const given = await client.chat.completions.create(body).withResponse();
  const headers = { "x-request-id": asked.own };
  const kept = await client.chat.completions.create(body, { headers }).withResponse();
  return { given: given.request_id, body: given.data._request_id, kept: kept.request_id };
}

async function gathered(stream) {
  const all = [];
  for await (const one of stream) all.push(one);
  return all;
}
