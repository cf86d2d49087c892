// What is said of an object.

// As many digits as it takes not to say 0.
const rounded = (value) => Number(value.toPrecision(1)).toLocaleString("en", { maximumSignificantDigits: 1 });
const percent = (share) => `${100 * share >= 1 || share === 0 ? (100 * share).toFixed(1) : rounded(100 * share)} %`;
const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits));

function growthOf(object, run) {
  const [px, mm] = ["growth_px", "growth_mm"].map((name) => figureOf(object, run, name));
  if (!px && !mm) return "not grown";
  return `grown by ${mm === null ? `${fixed(px, px < 1 ? 1 : 0)} px` : `${fixed(mm, 1)} mm`}`;
}

function briefOf(object, run) {
  const figure = (name) => figureOf(object, run, name);
  if (statusOf(object, run) === MAP) return `map by ${runs[run].method}, ${figure("passes")} pass equivalents`;
  return `needs ${fixed(figure("relative_area"), 2)} × object, ${percent(figure("outside"))} outside, ${growthOf(object, run)}`;
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

const OTHER_BASELINES = { mean: "on the mean colour", blurred: "on the blurred image", noise: "on noise", filled: "on the image filled in" };
const SMALL_CHANGES = { shift: "shifted by one pixel", noise: "under 1 % noise", soft_edge: "with a soft edge" };

const wholeOf = ({ shape }) => (shape.length > 2 ? "volume" : "image");

// The regions of an object: what each takes of the image and of the object, and its Dice.
function regionRows(object, run) {
  const figure = (name) => figureOf(object, run, name);
  const row = (name, dice, area, relative) => [name, area === undefined ? "" : percent(area), relative === undefined ? "" : fixed(relative, 2), fixed(dice, 3)];
  const size = figure("target_area");
  return [
    row("sufficient region", figure("sufficient_dice"), figure("sufficient_area"), figure("sufficient_area") / size),
    row("minimally sufficient region", figure("dice"), figure("area"), figure("relative_area")),
    row("its outline alone", figure("silhouette_dice")),
    row(`its shape, filled with ${data.names[runs[run].transfer[object]]}`, figure("transfer_dice")),
  ];
}

// How the minimally sufficient region holds otherwise: its Dice, and that of the whole image.
function changeRows(object, run) {
  const figure = (name) => figureOf(object, run, name);
  const otherwise = [...Object.entries(OTHER_BASELINES).map(([kind, label]) => [label, `dice_on_${kind}`, ""]),
    ...Object.entries(SMALL_CHANGES).map(([kind, label]) => [label, `dice_under_${kind}`, `whole_under_${kind}`])];
  return otherwise.filter(([, name]) => figure(name) !== null).map(([label, name, whole]) =>
    [label, fixed(figure(name), 3), figure(whole) === null ? "" : fixed(figure(whole), 3)]);
}

// What else is known of an object: pairs of a name and a value with its unit.
function otherFigures(object, run, entry) {
  const figure = (name) => figureOf(object, run, name);
  const whole = wholeOf(entry);
  const [high, wide] = entry.size;
  const pairs = [[whole, whole === "volume" ? `${entry.shape.join(" × ")} voxels` : `${wide} × ${high} px`], ["object", `${percent(figure("target_area"))} of the ${whole}`]];
  if (figure("annotated_dice") !== null) pairs.push(["Dice with the annotation", fixed(figure("annotated_dice"), 3)]);
  if (statusOf(object, run) === REGIONS) {
    const { area_mm2: square, volume_mm3: cubic } = Object.fromEntries(["area_mm2", "volume_mm3"].map((name) => [name, figure(name)]));
    const context = contextOf(object, run).map(([name, share]) => `${data.names[name]} ${percent(share)}`);
    pairs.push(["sufficient region", growthOf(object, run)], ["needed outside the object", percent(figure("outside"))]);
    if (square !== null) pairs.push(["needed area", `${Math.round(square).toLocaleString("en")} mm²`]);
    if (cubic !== null) pairs.push(["needed volume", `${Math.round(cubic).toLocaleString("en")} mm³`]);
    if (context.length) pairs.push(["context", context.join(", ")]);
    pairs.push(["parts", fixed(figure("num_parts"), 0)]);
  }
  pairs.push(["cost", `${figure("passes").toLocaleString("en")} pass equivalents`]);
  if (figure("predicted_dice") !== null) {
    pairs.push(["predicted Dice", `${fixed(figure("predicted_dice"), 2)} (${fixed(figure("low"), 2)} to ${fixed(figure("high"), 2)})`],
      ["chance of failure", percent(figure("failure_probability"))],
      ["main reasons", (entry.reasons ?? []).map(([name, part]) => `${name.replaceAll("_", " ")} ${part.toFixed(2)}`).join(", ") || "none"]);
  }
  return pairs;
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
