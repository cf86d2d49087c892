// The server on this machine: every question goes through here, to addresses relative to the page.

const WANTED = 16; // characters of the number of this tab

export const tab = tabNumber();

function tabNumber() {
  const known = sessionStorage.getItem("misure-tab");
  if (known) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(WANTED / 2));
  const number = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  sessionStorage.setItem("misure-tab", number);
  return number;
}

// What the server refused, as a sentence; status 0: it could not be reached.
export class Refusal extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

export function address(path, query = {}) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  return url.href;
}

async function answer(path, query, options = {}) {
  let response;
  try {
    response = await fetch(address(path, { ...query, tab }), options);
  } catch {
    throw new Refusal("The server of this page cannot be reached.", 0);
  }
  if (response.ok) return response;
  throw await refusalOf(response);
}

async function refusalOf(response) {
  try {
    const { error } = await response.json();
    if (error) return new Refusal(error, response.status);
  } catch {
    // the sentence below says what is known
  }
  const sentence = response.status === 403
    ? "The server refuses this page: it was started anew. Open the address that it printed."
    : `The server answered ${response.status}.`;
  return new Refusal(sentence, response.status);
}

export async function getJson(path, query = {}) {
  return (await answer(path, query)).json();
}

export async function getBlob(path, query = {}) {
  return (await answer(path, query)).blob();
}

function posted(values) {
  const headers = { "Content-Type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(values) };
}

export async function postJson(path, values = {}) {
  return (await answer(path, {}, posted(values))).json();
}

export async function postPng(path, query, png) {
  const options = { method: "POST", headers: { "Content-Type": "image/png" }, body: png };
  return (await answer(path, query, options)).json();
}

export async function postForBlob(path, values) {
  return (await answer(path, {}, posted(values))).blob();
}

export async function remove(path) {
  await answer(path, {}, { method: "DELETE" });
}
