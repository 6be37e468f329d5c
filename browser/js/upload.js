/** Opens a picture file of the visitor's: refused in a sentence if it is too large, animated or no picture. */

const MOST_PIXELS = 25e6;
const LEAST_SIDE = 8;
const HEAD = 256 * 1024; // bytes at the beginning of a file that are looked through

/** A canvas of size * size with the file's central square; an Error with one sentence if that cannot be. */
export async function openPicture(file, size) {
  const head = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
  if (isAnimated(head)) throw new Error(`${file.name} is an animation; choose a still picture.`);
  const listed = measure(head);
  if (listed) refuseLarge(file, ...listed);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name} is not a picture that this browser can open; PNG, JPEG and WebP work everywhere.`);
  }
  try {
    refuseLarge(file, bitmap.width, bitmap.height);
    if (Math.min(bitmap.width, bitmap.height) < LEAST_SIDE) {
      throw new Error(`${file.name} is ${bitmap.width} by ${bitmap.height} pixels; choose one of at least ${LEAST_SIDE} a side.`);
    }
    return centralSquare(bitmap, size);
  } finally {
    bitmap.close();
  }
}

/** The central square of an image or canvas, at size * size; halved step by step, so that no pixel is skipped. */
export function centralSquare(image, size) {
  const [width, height] = [image.naturalWidth ?? image.width, image.naturalHeight ?? image.height];
  const side = Math.min(width, height);
  let square = canvas(Math.min(side, 2048));
  paint(square, image, [(width - side) / 2, (height - side) / 2, side, side]);
  while (square.width >= 2 * size) {
    const half = canvas(Math.max(size, Math.ceil(square.width / 2)));
    paint(half, square, [0, 0, square.width, square.width]);
    square = half;
  }
  if (square.width === size) return square;
  const exact = canvas(size);
  paint(exact, square, [0, 0, square.width, square.width]);
  return exact;
}

function canvas(side) {
  return Object.assign(document.createElement("canvas"), { width: side, height: side });
}

function paint(target, image, from) {
  const pen = target.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "#fff"; // where the picture is transparent
  pen.fillRect(0, 0, target.width, target.width);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, ...from, 0, 0, target.width, target.width);
}

function refuseLarge(file, width, height) {
  if (width * height <= MOST_PIXELS) return;
  const millions = Math.round((width * height) / 1e6);
  throw new Error(`${file.name} has ${millions} million pixels; choose one of at most ${MOST_PIXELS / 1e6} million.`);
}

const text = (head, from, to) => String.fromCharCode(...head.subarray(from, to));

function isAnimated(head) {
  const all = new TextDecoder("latin1").decode(head);
  if (all.startsWith("GIF8")) return all.includes("NETSCAPE2.0") || frames(head) > 1;
  if (all.startsWith("\x89PNG")) return all.includes("acTL");
  return all.startsWith("RIFF") && all.slice(8, 12) === "WEBP" && all.slice(12, 64).includes("ANIM");
}

/** How many frames of a GIF begin in its head. */
function frames(head) {
  const palette = (flags) => (flags & 128 ? 3 << ((flags & 7) + 1) : 0);
  let [at, count] = [13 + palette(head[10]), 0];
  while (at < head.length && (head[at] === 0x21 || head[at] === 0x2c)) {
    if (head[at] === 0x2c) count++;
    at += head[at] === 0x2c ? 11 + palette(head[at + 9]) : 2;
    while (head[at]) at += head[at] + 1; // blocks, each with its length before it
    at++;
  }
  return count;
}

/** [width, height] as the head of a PNG or JPEG file says, before anything is decoded. */
function measure(head) {
  const view = new DataView(head.buffer);
  if (text(head, 1, 4) === "PNG" && head.length > 24) return [view.getUint32(16), view.getUint32(20)];
  if (head[0] !== 0xff || head[1] !== 0xd8) return null;
  for (let at = 2; at + 9 < head.length && head[at] === 0xff; at += 2 + view.getUint16(at + 2)) {
    const kind = head[at + 1];
    const frame = kind >= 0xc0 && kind <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(kind);
    if (frame) return [view.getUint16(at + 7), view.getUint16(at + 5)];
  }
  return null;
}
