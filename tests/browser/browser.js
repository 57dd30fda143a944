// What the page's and the notebook's tests share: a browser, pictures, and what a change did to them.
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";

export const ROOT = new URL("../../", import.meta.url).pathname;
export const SITE = process.env.SITE ?? join(ROOT, "build/site-demo");
export const SHOTS = process.env.SHOTS ?? join(ROOT, "build/screenshots");
/** A run on a busy machine takes minutes; SLOW=3 waits three times as long. */
export const SLOW = Number(process.env.SLOW ?? 1);

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css",
  ".json": "application/json", ".wasm": "application/wasm", ".png": "image/png" };

/** Serves the page under a path, without any header but the type, as the simplest server sends it. */
export async function serve(under) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname)).replace(under, "");
    try {
      const file = readFileSync(join(SITE, path === "" || path.endsWith("/") ? "index.html" : path));
      response.writeHead(200, { "Content-Type": TYPES[extname(path) || ".html"] ?? "application/octet-stream" }).end(file);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { server, address: `http://127.0.0.1:${server.address().port}${under}` };
}

export function launch() {
  mkdirSync(SHOTS, { recursive: true });
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

/** The RGBA of the explorer's picture, one number after the other. */
export function pictureOf(page) {
  return page.evaluate(() => {
    const canvas = document.querySelector(".left .stage .picture");
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    return Array.from(copy.getImageData(0, 0, canvas.width, canvas.height).data);
  });
}

export const painted = (page) => page.evaluate(() => Number(document.querySelector(".inade").dataset.painted ?? 0));

/** Waits until nothing has been painted for a while. */
export async function quiet(page) {
  let last = -1;
  for (;;) {
    const now = await page.evaluate(() => document.querySelector(".inade").dataset.painted);
    if (now === last) return;
    last = now;
    await page.waitForTimeout(250 * Math.min(SLOW, 4));
  }
}

/** Acts, and waits until the picture that comes of it is there. */
export async function act(page, what) {
  const count = await painted(page);
  await what();
  await page.waitForFunction((n) => document.querySelector(".inade").dataset.painted > n, count);
  await quiet(page);
}

/** Mean |a - b| inside and outside of some instances of a street's maps. */
export function change({ instance }, a, b, ids) {
  const sum = [0, 0];
  const count = [0, 0];
  instance.forEach((id, p) => {
    const side = ids.includes(id) ? 0 : 1;
    for (let c = 0; c < 3; c++) sum[side] += Math.abs(a[4 * p + c] - b[4 * p + c]) / 3;
    count[side] += 1;
  });
  return { inside: sum[0] / count[0], outside: sum[1] / count[1] };
}
