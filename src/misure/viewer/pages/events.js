// The stream of events, and what is said while the server is away.

import { found, refresh, update } from "./explain.js";
import { notice } from "./notices.js";
import { address, tab } from "./server.js";
import { checkTold, refreshCheck } from "./whatif.js";

const GONE_AFTER_MS = 8000; // until an unreachable server is said to have ended
const AGAIN_MS = 1500;

const banner = document.getElementById("away");

let stream = null;
let lostAt = null;
let hasEnded = false;

export function listen() {
  stream?.close();
  stream = new EventSource(address("events", { tab }));
  stream.addEventListener("open", arrived);
  stream.addEventListener("error", lost);
  stream.addEventListener("message", (message) => told(JSON.parse(message.data)));
}

function told(event) {
  if (event.type === "explanation") update(withoutType(event));
  else if (event.type === "found") found(event);
  else if (event.type === "check") checkTold(withoutType(event));
  else if (event.type === "error") notice(event.sentence);
  else if (event.type === "end") hasEnded = true;
}

function withoutType({ type, ...entry }) {
  return entry;
}

function arrived() {
  lostAt = null;
  hasEnded = false;
  banner.hidden = true;
  refresh(); // what happened before the stream was open
  refreshCheck();
}

function lost() {
  lostAt ??= performance.now();
  const isGone = hasEnded || performance.now() - lostAt > GONE_AFTER_MS;
  const sentence = isGone
    ? "The server has ended: what is drawn stays, nothing new can be computed. "
      + "Start misure view again and open the address that it prints."
    : "The server does not answer; the page tries again.";
  if (banner.textContent !== sentence) banner.textContent = sentence;
  banner.hidden = false;
  stream.close();
  setTimeout(listen, AGAIN_MS);
}

// A tab that is closed says so at once: its searches need not wait for it.
addEventListener("pagehide", () => stream?.close());
addEventListener("pageshow", (event) => {
  if (event.persisted) listen();
});
