// The images: opening one, and the next.

import { show } from "./explain.js";
import { guarded, notice, say } from "./notices.js";
import { getJson } from "./server.js";
import { set, state } from "./state.js";

const part = (name) => document.getElementById(name);

let wanted = null; // number of the image that was asked for last

export async function openImage(number) {
  wanted = number;
  part("images").value = number;
  wait("The network looks at the image …");
  const image = await guarded(() => getJson(`images/${number}`));
  if (wanted !== number) return;
  wait(null);
  if (!image) return;
  set({ image, object: null, hovered: null, explanation: null, nested: null,
    overlays: { ...state.overlays, segmentation: true } });
  const open = [...state.entries.values()].findLast((entry) => entry.image === number);
  if (open) show(open.id);
  document.title = `${image.name} · misure view`;
  if (image.left_out) {
    notice(`Only the ${image.objects.length} largest of `
      + `${image.objects.length + image.left_out} objects are listed.`, "note");
  }
  say(`${image.name}: ${image.objects.length} objects`);
}

export function stepImage(step) {
  const { images } = state.server;
  const place = images.findIndex(({ number }) => number === (state.image?.number ?? wanted));
  const next = images[place + step];
  if (next) openImage(next.number);
}

// Says over the stage what is waited for; null: nothing.
export function wait(sentence) {
  part("wait").hidden = sentence === null;
  part("wait-text").textContent = sentence ?? "";
}
