// Responses over one WebSocket, by the client's own class for it.

import { ResponsesWS } from "openai/resources/responses/ws";

import { MODEL, connect } from "./client.mjs";

// Says each text in a turn that goes on from the one before; returns what came of every turn, how
// the socket ended, and what the client took for an error.
export async function socketTurns(asked) {
  const socket = new ResponsesWS(connect(asked), { reconnect: null });
  const turns = [];
  let turn;
  let previous_response_id;
  const next = () => {
    const input = [{ role: "user", content: asked.texts[turns.length] }];
    turn = { types: [], text: "" };
    turns.push(turn);
    socket.send({ type: "response.create", model: MODEL, input, previous_response_id });
  };
  for await (const { type, message, error, code } of socket.stream()) {
    if (type === "open") next();
    if (type === "error") return { turns, error: { message: error.message, ...error.error } };
    if (type === "close") return { turns, code };
    if (type !== "message") continue;
    turn.types.push(message.type);
    if (message.type === "response.output_text.delta") turn.text += message.delta;
    if (message.type !== "response.completed") continue;
    turn.usage = message.response.usage;
    previous_response_id = message.response.id;
    if (turns.length < asked.texts.length) next();
    else socket.close();
  }
  return { turns };
}
