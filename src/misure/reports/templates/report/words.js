// What is said of an object.

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits));

function briefOf(object, run) {
  const figure = (name) => figureOf(object, run, name);
  if (statusOf(object, run) === MAP) return `map by ${runs[run].method}, ${figure("passes")} passes`;
  return `needs ${fixed(figure("relative_area"), 2)} × object, ${percent(figure("outside"))} outside, ` +
    `growth ${figure("growth_mm") === null ? `${fixed(figure("growth_px"), 0)} px` : `${fixed(figure("growth_mm"), 1)} mm`}`;
}

function counterpartOf(object, run) {
  const overlap = figureOf(object, run, "overlap");
  const said = [];
  if (runs[run].key[object] !== undefined || runs[run].class[object] !== undefined) {
    said.push(`here ${titled(keyOf(object, run), data.names[classOf(object, run)])}`);
  }
  if (overlap !== null && overlap < 1) said.push(`overlap ${overlap.toFixed(2)}`);
  return said.join(", ");
}

const OTHER_BASELINES = ["mean", "blurred", "noise", "filled"];
const SMALL_CHANGES = { shift: "a shift of one pixel", noise: "1 % noise", soft_edge: "a soft edge" };

function allOf(object, run, entry) {
  const figure = (name) => figureOf(object, run, name);
  const said = [briefOf(object, run)];
  if (figure("annotated_dice") !== null) said.push(`Dice with the annotation ${fixed(figure("annotated_dice"), 3)}`);
  if (statusOf(object, run) === REGIONS) {
    said.push(`minimally sufficient region ${percent(figure("area"))} of the image, Dice ${fixed(figure("dice"), 3)}, ${figure("num_parts")} parts`,
      `sufficient region ${percent(figure("sufficient_area"))}`,
      `outline alone Dice ${fixed(figure("silhouette_dice"), 2)}, filled with ${data.names[runs[run].transfer[object]]} ${fixed(figure("transfer_dice"), 2)}`,
      `${figure("passes")} pass equivalents`);
    const others = OTHER_BASELINES.filter((name) => figure(`dice_on_${name}`) !== null);
    if (others.length) said.push(`on other baseline images ${others.map((name) => `${name} ${fixed(figure(`dice_on_${name}`), 2)}`).join(", ")}`);
    const changes = Object.entries(SMALL_CHANGES).filter(([kind]) => figure(`dice_under_${kind}`) !== null);
    const whole = (kind) => (figure(`whole_under_${kind}`) === null ? "" : ` (whole image ${fixed(figure(`whole_under_${kind}`), 2)})`);
    if (changes.length) said.push(`under small changes ${changes.map(([kind, label]) => `${label} ${fixed(figure(`dice_under_${kind}`), 2)}${whole(kind)}`).join(", ")}`);
    const context = contextOf(object, run).map(([name, share]) => `${data.names[name]} ${percent(share)}`);
    if (context.length) said.push(`context: ${context.join(", ")}`);
  }
  if (figure("predicted_dice") !== null) {
    said.push(`predicted Dice ${fixed(figure("predicted_dice"), 2)} (${fixed(figure("low"), 2)} to ${fixed(figure("high"), 2)}), ` +
      `chance of failure ${percent(figure("failure_probability"))}` +
      (entry.reasons ?? []).map(([name, part]) => `, ${name.replaceAll("_", " ")} ${part.toFixed(2)}`).join(""));
  }
  return said.join("; ");
}

// All notes on an object: few words each, then whole sentences.
function notedOf(object, run, counterpart = "") {
  const words = [counterpart, ...notesOf(object, run)].filter(Boolean).join("; ");
  const sentences = sentencesOf(object, run);
  return [words && sentences.length ? `${words}.` : words, ...sentences].filter(Boolean).join(" ");
}

function missingIn(object, run) {
  if (statusOf(object, run) === FAILED) return `failed: ${runs[run].failed[object]}`;
  return "no counterpart in this run";
}
