/** Draws the picture of the example until the time is over, as examples/mandelbrot does. */

import { deflateSync } from "node:zlib";
import { crc32 } from "./crc.mjs";

export function mandelbrot(width, height, iterations, milliseconds) {
  const pixels = new Uint8Array(width * height * 3);
  const until = performance.now() + milliseconds;
  let drawn = 0;
  for (let side = 64; side >= 1 && performance.now() < until; side /= 2) {
    for (let y = 0; y < height && performance.now() < until; y += side) {
      for (let x = 0; x < width; x += side) {
        if (side < 64 && x % (2 * side) === 0 && y % (2 * side) === 0) continue;
        fill(pixels, width, height, x, y, side, color(point(x, y, width, height, iterations), iterations));
        drawn++;
      }
    }
  }
  return { png: png(width, height, pixels), percent: Math.floor((drawn * 100) / (width * height)) };
}

function point(x, y, width, height, iterations) {
  const scale = Math.max(3.2 / width, 2.4 / height);
  const re = (x - width / 2) * scale - 0.75;
  const im = (y - height / 2) * scale;
  let [a, b] = [0, 0];
  for (let n = 0; n < iterations; n++) {
    const [a2, b2] = [a * a, b * b];
    if (a2 + b2 > 256) return n + 4 - Math.log2(Math.log(a2 + b2));
    b = 2 * a * b + im;
    a = a2 - b2 + re;
  }
  return iterations;
}

function color(escaped, iterations) {
  if (escaped === iterations) return [0, 0, 0];
  const turn = Math.sqrt(escaped + 1) / 6;
  return [0.35, 0.25, 0.05].map((phase) => 127.5 - 127.5 * Math.cos(2 * Math.PI * (turn + phase)));
}

function fill(pixels, width, height, x, y, side, [red, green, blue]) {
  for (let row = y; row < Math.min(y + side, height); row++) {
    for (let column = x; column < Math.min(x + side, width); column++) {
      const at = (row * width + column) * 3;
      pixels[at] = red;
      pixels[at + 1] = green;
      pixels[at + 2] = blue;
    }
  }
}

function png(width, height, pixels) {
  const lines = Buffer.alloc(height * (width * 3 + 1));
  for (let y = 0; y < height; y++) {
    lines.set(pixels.subarray(y * width * 3, (y + 1) * width * 3), y * (width * 3 + 1) + 1);
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk("IHDR", head), chunk("IDAT", deflateSync(lines)), chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const length = Buffer.alloc(4);
  const check = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
