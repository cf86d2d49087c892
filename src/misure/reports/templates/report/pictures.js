// Pictures, part by part: in the page itself, or in files beside it.

const MOST_PARTS = 60; // kept in memory
const parts = new Map(); // number -> promise of its pictures, the latest used last
const waiting = new Map(); // number -> what to call when its file has come
const inPage = [...document.querySelectorAll("script.pictures")];
const isInPage = inPage.length > 0;

globalThis.misurePictures = (number, build, part) => waiting.get(number)?.(build === data.build ? part : null);

function loadPart(number) {
  return new Promise((resolve, reject) => {
    const src = `${encodeURIComponent(data.folder)}/pictures-${number}.js`;
    const script = make("script", { src });
    const end = (part) => {
      waiting.delete(number);
      script.remove();
      if (part) return resolve(part);
      parts.delete(number);
      byId("missing").textContent = `The pictures in the folder ${data.folder} are missing, or of another report. It belongs beside this page.`;
      byId("missing").hidden = false;
      return reject(new Error(`no pictures in ${src}`));
    };
    waiting.set(number, end);
    script.onerror = script.onload = () => waiting.has(number) && end(null);
    document.head.append(script);
  });
}

// The promise of a part's pictures: one for all that ask for them.
function partOf(object) {
  const number = Math.floor(object / data.of_part);
  const read = isInPage ? () => Promise.resolve(JSON.parse(inPage[number].textContent)) : () => loadPart(number);
  const part = parts.get(number) ?? read();
  parts.delete(number);
  parts.set(number, part);
  if (parts.size > MOST_PARTS) parts.delete(parts.keys().next().value);
  return part;
}

function load(kind, base64) {
  const image = new Image();
  image.src = `data:image/${kind};base64,${base64}`;
  return image.decode().then(() => image);
}

function pixelsOf(image, width, height) {
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

// What is drawn of an object in a run: its image, and its planes in pixels of their own (width, height).
async function picturesOf(object, run) {
  const part = await partOf(object);
  const entry = part.objects[object % data.of_part][run];
  const [planes, image, densities] = await Promise.all([load("png", entry.planes),
    load("jpeg", part.images[entry.image]), entry.densities ? load("png", entry.densities) : null]);
  const { naturalWidth: width, naturalHeight: height } = planes;
  return { status: statusOf(object, run), entry, width, height, image, densities, planes: pixelsOf(planes, width, height), outlines: new Map() };
}

// How far the pictures are shrunk, in words.
function shrunk({ entry, width, height, image }) {
  const [high, wide] = entry.size;
  const of = (w, h) => `${w} × ${h} px (${Math.round((100 * Math.max(w, h)) / Math.max(wide, high))} %)`;
  const [shown, own] = [[image.naturalWidth, image.naturalHeight], [width, height]];
  if (Math.max(...shown) >= Math.max(wide, high) && Math.max(...own) >= Math.max(wide, high)) return `Full resolution: ${wide} × ${high} px.`;
  return `Of ${wide} × ${high} px, the picture here has ${of(...shown)}, the regions ${of(...own)}. ` +
    "More: misure run --thumbnail-px, then misure report --picture-px.";
}
