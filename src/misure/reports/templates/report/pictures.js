// Pictures, part by part: in the page itself, or in files beside it.

const MOST_PARTS = 60; // kept in memory
const parts = new Map(); // number -> promise of its pictures, the latest used last
const waiting = new Map(); // name -> what to call when its file has come
const inPage = [...document.querySelectorAll("script.pictures")];
const isInPage = inPage.length > 0;

globalThis.misurePictures = (name, build, part) => waiting.get(name)?.(build === data.build ? part : null);

// The promise of what the file of a name in the folder beside the page holds.
function readFile(name) {
  return new Promise((resolve, reject) => {
    const script = make("script", { src: `${encodeURIComponent(data.folder)}/${name}.js` });
    const end = (part) => {
      waiting.delete(name);
      script.remove();
      if (part) resolve(part);
      else reject(new Error(`no pictures in ${script.src}`));
    };
    waiting.set(name, end);
    script.onerror = script.onload = () => waiting.has(name) && end(null);
    document.head.append(script);
  });
}

function loadPart(number) {
  return readFile(`pictures-${number}`).catch((error) => {
    parts.delete(number);
    byId("missing").textContent = `The pictures in the folder ${data.folder} are missing, or of another report. It belongs beside this page.`;
    byId("missing").hidden = false;
    throw error;
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

function load(src) {
  const image = new Image();
  image.src = src;
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
  return drawnOf(part, part.objects[object % data.of_part][run], statusOf(object, run));
}

// The same at full size, for each run; of the open object alone.
let full = { object: -1, part: null };
async function fullPicturesOf(object, run) {
  if (full.object !== object) full = { object, part: readFile(`full-${object}`) };
  const part = await full.part;
  return drawnOf(part, part.objects[0][run], statusOf(object, run));
}

async function drawnOf(part, entry, status) {
  const png = (base64) => load(`data:image/png;base64,${base64}`);
  const [planes, image, densities] = await Promise.all([png(entry.planes), load(part.images[entry.image]), entry.densities ? png(entry.densities) : null]);
  const { naturalWidth: width, naturalHeight: height } = planes;
  return { status, entry, width, height, image, densities, planes: pixelsOf(planes, width, height), outlines: new Map(), covers: new Map() };
}

const pixelsOfSide = ({ entry }) => Math.max(...entry.size);
const isFull = (pictures) => Math.min(Math.max(pictures.image.naturalWidth, pictures.image.naturalHeight), Math.max(pictures.width, pictures.height)) >= pixelsOfSide(pictures);

// How far the pictures are shrunk, in words.
function shrunk(pictures) {
  const { entry, width, height, image } = pictures;
  const [high, wide] = entry.size;
  const what = wholeOf(entry) === "volume" ? ", the slice with most of the object" : "";
  if (isFull(pictures)) return `Full resolution: ${wide} × ${high} px${what}.`;
  const of = (w, h) => `${w} × ${h} px (${percent(Math.max(w, h) / pixelsOfSide(pictures))})`;
  return `Of ${wide} × ${high} px, the picture here has ${of(image.naturalWidth, image.naturalHeight)}, the regions ${of(width, height)}${what}.`;
}
