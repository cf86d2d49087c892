// Sentences of the server and of the page: they stay until they are closed.

const list = document.getElementById("notices");
const live = document.getElementById("live");
const QUIET_MS = 3000; // between two spoken sentences about progress

let spokenAt = 0;

export function notice(sentence, kind = "error") {
  for (const item of list.children) {
    if (item.firstChild.textContent === sentence) return;
  }
  const item = document.createElement("li");
  const text = document.createElement("span");
  const close = document.createElement("button");
  item.className = kind;
  item.setAttribute("role", kind === "error" ? "alert" : "status");
  text.textContent = sentence;
  close.type = "button";
  close.className = "quiet";
  close.textContent = "×";
  close.setAttribute("aria-label", "Close this message");
  close.addEventListener("click", () => item.remove());
  item.append(text, close);
  list.prepend(item);
}

// For the reader of the screen only.
export function say(sentence, isUrgent = true) {
  const now = performance.now();
  if (!isUrgent && now - spokenAt < QUIET_MS) return;
  spokenAt = now;
  live.textContent = sentence;
}

// Runs what may fail; says the sentence if it does.
export async function guarded(work) {
  try {
    return await work();
  } catch (error) {
    if (error.status === undefined) console.error(error);
    notice(error.message);
    return undefined;
  }
}
