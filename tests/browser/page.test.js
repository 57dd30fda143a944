// The page in a real browser: what a new user does first, and what may go wrong. Prints times, keeps screenshots.
//
// SITE is the folder that was built (build/site-demo), SHOTS where screenshots go (build/screenshots), CHROMIUM the
// browser. A run on a busy machine takes minutes; SLOW=3 waits three times as long.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { findObjects } from "../../inade_lite/explorer/front/objects.js";
import { readScenes } from "../../inade_lite/explorer/front/scenes.js";

const ROOT = new URL("../../", import.meta.url).pathname;
const SITE = process.env.SITE ?? join(ROOT, "build/site-demo");
const SHOTS = process.env.SHOTS ?? join(ROOT, "build/screenshots");
const SLOW = Number(process.env.SLOW ?? 1);
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css",
  ".json": "application/json", ".wasm": "application/wasm", ".png": "image/png" };

let server;
let browser;
let address;
let scenes;
let things;
let size;

before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  // From a sub-path, without any header but the type, as the simplest server sends it.
  server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname)).replace(/^\/play\//, "");
    try {
      const file = readFileSync(join(SITE, path === "" || path.endsWith("/") ? "index.html" : path));
      response.writeHead(200, { "Content-Type": TYPES[extname(path) || ".html"] ?? "application/octet-stream" }).end(file);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  address = `http://127.0.0.1:${server.address().port}/play/`;
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  const json = JSON.parse(readFileSync(join(SITE, "scenes.json"), "utf8"));
  scenes = await readScenes(json);
  size = json.size;
  things = findObjects(street(), scenes.classes).things;
});

after(async () => {
  await browser?.close();
  server?.close();
});

/** The maps of the street that the page opens with. */
const street = () => scenes.baseOf(scenes.names[0], size);

/** A page that is ready to play, and short words for what is done with it. */
async function open({ width = 1280, height = 800, scheme = "light", touch = false, hash = "" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, hasTouch: touch, acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(30000 * SLOW);
  const errors = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(error.stack));
  page.on("request", (request) => {
    const { href, protocol } = new URL(request.url());
    if (!["data:", "blob:"].includes(protocol) && !href.startsWith(address)) errors.push(`elsewhere: ${href}`);
  });
  await page.addInitScript(() => {
    globalThis.times = [];
    let since = 0;
    for (const event of ["pointerup", "keydown"]) addEventListener(event, () => (since = performance.now()), true);
    new MutationObserver((changes) => {
      for (const { target, attributeName } of changes) {
        if (attributeName === "data-painted" && target.dataset.painted) globalThis.times.push(performance.now() - since);
      }
    }).observe(document, { attributes: true, subtree: true });
  });
  const begin = Date.now();
  await page.goto(address + hash);
  const painted = () => page.evaluate(() => Number(document.querySelector(".inade").dataset.painted ?? 0));
  await page.waitForFunction(() => document.querySelector(".inade")?.dataset.painted > 0, null, { timeout: 120000 * SLOW });
  const first = Date.now() - begin;
  const stage = page.locator(".left .stage");
  const box = await stage.boundingBox();
  const point = (x, y) => [box.x + (x / size) * box.width, box.y + (y / size) * box.height];
  return {
    page, context, errors, stage, box, point, painted, first,
    /** The RGBA of the picture, one number after the other. */
    picture: () =>
      page.evaluate(() => {
        const canvas = document.querySelector(".left .stage .picture");
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0);
        const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
        return Array.from(data);
      }),
    click: (x, y, options) => (touch ? page.touchscreen.tap(...point(x, y)) : page.mouse.click(...point(x, y), options)),
    /** Acts, and waits until the picture that comes of it is there. */
    async act(what) {
      const count = await painted();
      await what();
      await page.waitForFunction((n) => document.querySelector(".inade").dataset.painted > n, count);
      await quiet(page);
    },
    shot: (name) => page.screenshot({ path: join(SHOTS, `${name}.png`) }),
  };
}

/** Waits until nothing has been painted for a while. */
async function quiet(page) {
  let last = -1;
  for (;;) {
    const now = await page.evaluate(() => document.querySelector(".inade").dataset.painted);
    if (now === last) return;
    last = now;
    await page.waitForTimeout(250 * Math.min(SLOW, 4));
  }
}

/** Mean |a - b| inside and outside of some instances. */
function change(a, b, ids) {
  const { instance } = street();
  const sum = [0, 0];
  const count = [0, 0];
  instance.forEach((id, p) => {
    const side = ids.includes(id) ? 0 : 1;
    for (let c = 0; c < 3; c++) sum[side] += Math.abs(a[4 * p + c] - b[4 * p + c]) / 3;
    count[side] += 1;
  });
  return { inside: sum[0] / count[0], outside: sum[1] / count[1] };
}

const middle = ({ box }) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
/** The middle of a pixel of a part of the car: where one clicks, and not where the car's own pixels are. */
const windowOf = (thing) => {
  const p = street().instance.indexOf(thing.ids[1]);
  return [(p % size) + 0.5, Math.floor(p / size) + 0.5];
};
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const car = () => things.find(({ name }) => name === "car 2");
const message = (page) => page.locator(".message");

for (const [width, scheme] of [[1280, "light"], [1280, "dark"], [400, "light"], [400, "dark"]]) {
  test(`a click picks a car, another one draws it anew, at ${width} px, ${scheme}`, async (t) => {
    const touch = width < 500;
    const p = await open({ width, scheme, touch });
    t.diagnostic(`first picture: ${p.first} ms`);
    assert.ok(p.box.width >= (touch ? width - 1 : 640), `the picture has ${p.box.width} px`);
    assert.ok((await p.page.evaluate(() => document.documentElement.scrollWidth)) <= width, "nothing is cut off");
    if (!touch) {
      await p.page.mouse.move(...p.point(...middle(car())));
      assert.equal(await p.page.locator(".left .tag").innerText(), "car 2");
      await p.shot(`hover ${width} ${scheme}`);
    }
    const start = await p.picture();
    await p.click(...windowOf(car()));
    await p.page.getByRole("heading", { name: "car 2" }).waitFor();
    // A window was clicked; the whole car was selected.
    assert.equal(await p.page.getByRole("button", { name: "This" }).getAttribute("aria-pressed"), "true");
    assert.deepEqual(change(start, await p.picture(), car().ids), { inside: 0, outside: 0 });
    const durations = [];
    let last = start;
    for (let i = 0; i < 5; i++) {
      await p.page.evaluate(() => (globalThis.times = []));
      await p.act(() => p.click(...middle(car())));
      durations.push((await p.page.evaluate(() => globalThis.times))[0]);
      const now = await p.picture();
      const { inside, outside } = change(last, now, car().ids);
      assert.ok(inside >= 8 || i > 0, `inside ${inside}`);
      assert.ok(outside <= 0.5, `outside ${outside}`);
      last = now;
    }
    t.diagnostic(`click to picture: ${median(durations).toFixed(0)} ms (median of 5)`);
    await p.shot(`redrawn ${width} ${scheme}`);
    assert.equal(await p.page.locator(".steps button").count(), 6);
    for (let i = 0; i < 5; i++) await p.page.getByRole("button", { name: "Undo" }).click();
    await quiet(p.page);
    assert.deepEqual(await p.picture(), start);
    if (touch) assert.equal(await p.page.locator(".left .tag").isVisible(), false, "no hover stays after a tap");
    assert.deepEqual(p.errors, []);
    await p.context.close();
  });
}

test("lock, all cars, parts, adding, keys", async () => {
  const p = await open();
  const cars = things.filter(({ name }) => name.startsWith("car"));
  const start = await p.picture();
  await p.click(...middle(car()));
  await p.page.keyboard.press("l");
  await p.page.keyboard.press(" ");
  await message(p.page).getByText("car 2 is locked.").waitFor();
  assert.deepEqual(await p.picture(), start);
  await p.page.getByRole("button", { name: "All cars" }).click();
  await p.act(() => p.page.keyboard.press(" "));
  const others = cars.filter((thing) => thing !== car()).flatMap(({ ids }) => ids);
  const after_ = await p.picture();
  assert.ok(change(start, after_, others).inside >= 8 && change(start, after_, others).outside <= 0.5);
  await p.shot("locked");
  await p.page.keyboard.press("Control+z");
  await p.page.keyboard.press("z");
  await quiet(p.page);
  assert.deepEqual(await p.picture(), start);
  await p.page.keyboard.press("Escape");
  await p.page.getByRole("heading", { name: "Whole street" }).waitFor();
  await p.page.keyboard.down("Alt");
  await p.click(...windowOf(car()));
  await p.page.keyboard.up("Alt");
  await p.page.getByRole("heading", { name: "of car 2" }).waitFor();
  await p.page.keyboard.down("Shift");
  await p.click(...middle(things.find(({ name }) => name === "house")));
  await p.page.keyboard.up("Shift");
  await p.page.getByRole("heading", { name: "2 things" }).waitFor();
  await p.page.keyboard.press("Escape");
  await p.stage.focus();
  await p.page.keyboard.press("ArrowRight");
  await p.page.keyboard.press("ArrowDown");
  assert.notEqual(await p.page.locator(".card h2").textContent(), "Whole street");
  assert.deepEqual(p.errors, []);
  await p.context.close();
});

test("eight looks, a slide, a borrowed look, what changed, the rivals", async () => {
  const p = await open();
  await p.click(...middle(car()));
  await p.page.waitForFunction(() => !document.querySelector(".tile.waiting"));
  await p.page.waitForFunction(() => document.querySelectorAll(".tile canvas[width='8']").length === 0);
  const start = await p.picture();
  await p.act(() => p.page.getByRole("button", { name: "Look 3" }).click());
  assert.equal(await p.page.getByRole("button", { name: "Look 3" }).getAttribute("aria-pressed"), "true");
  const kept = await p.picture();
  assert.ok(change(start, kept, car().ids).inside > 2 && change(start, kept, car().ids).outside <= 0.5);
  await p.page.getByRole("button", { name: "New", exact: true }).click();
  const slide = p.page.locator("input[aria-label='From this to the other']");
  await p.act(() => slide.fill("0.5"));
  await p.act(() => slide.fill("1"));
  assert.equal(await slide.inputValue(), "1");
  await p.shot("mix");
  await p.page.getByRole("tab", { name: "Borrow" }).click();
  const real = p.page.locator(".stage.small");
  await real.scrollIntoViewIfNeeded();
  const box = await real.boundingBox();
  const [x, y] = middle(things.find(({ name }) => name === "car 1"));
  const before_ = await p.picture();
  await p.act(() => p.page.mouse.click(box.x + (x / size) * box.width, box.y + (y / size) * box.height));
  assert.ok(change(before_, await p.picture(), car().ids).outside <= 0.5);
  await p.shot("borrow");
  await p.page.getByRole("tab", { name: "Compare" }).click();
  await p.page.waitForFunction(() => document.querySelector(".change output").textContent !== "–");
  await p.page.getByLabel("Show it on the picture").check();
  await p.page.getByRole("button", { name: "Load the other models" }).click();
  await p.page.waitForFunction(() => [...document.querySelectorAll(".rivals .numbers")].every((x_) => x_.textContent), null, { timeout: 120000 * SLOW });
  await p.shot("compare");
  const numbers = await p.page.locator(".rivals .numbers").allInnerTexts();
  const outside = numbers.map((text) => Number(text.match(/Outside ([\d.]+)/)[1]));
  assert.ok(outside[1] > 0.5, `SPADE + VAE changes everything: ${numbers}`);
  assert.deepEqual(p.errors, []);
  await p.context.close();
});

test("paint, place, drag, duplicate, delete, and undo all of it; then offline", async (t) => {
  const p = await open();
  const start = await p.picture();
  await p.page.keyboard.press("b");
  await p.page.getByRole("button", { name: "balloon" }).click();
  const count = await p.painted();
  const begin = Date.now();
  const point = (x, y) => p.point((x * size) / 64, (y * size) / 64);
  await p.page.mouse.move(...point(6, 10));
  await p.page.mouse.down();
  for (let i = 0; Date.now() - begin < 2500; i++) {
    await p.page.mouse.move(...point(6 + (50 * (Date.now() - begin)) / 2500, 8 + 4 * Math.sin(i / 3)));
    await p.page.waitForTimeout(16);
  }
  const seconds = (Date.now() - begin) / 1000;
  t.diagnostic(`painting: ${(((await p.painted()) - count) / seconds).toFixed(1)} pictures/s`);
  await p.shot("painting");
  await p.page.mouse.up();
  await quiet(p.page);
  assert.equal(await p.page.locator(".steps button").count(), 2);
  await p.page.getByRole("button", { name: "car", exact: true }).click();
  await p.act(() => p.page.mouse.click(...point(50, 57)));
  await p.page.keyboard.press("Escape");
  await p.shot("placed");
  await p.page.mouse.move(...point(50, 57));
  await p.page.mouse.down();
  for (let i = 1; i <= 10; i++) await p.page.mouse.move(...point(50 - i, 57 - i / 5));
  await p.page.mouse.up();
  await quiet(p.page);
  assert.equal(await p.page.locator(".card h2").textContent(), "car 4");
  await p.act(() => p.page.keyboard.press("d"));
  assert.equal(await p.page.locator(".card h2").textContent(), "car 5");
  await p.act(() => p.page.keyboard.press("Delete"));
  await p.page.getByRole("heading", { name: "Whole street" }).waitFor();
  await p.context.setOffline(true);
  await p.act(() => p.page.keyboard.press(" "));
  await p.context.setOffline(false);
  await p.shot("offline");
  for (let i = 0; i < 6; i++) await p.page.keyboard.press("z");
  await quiet(p.page);
  assert.deepEqual(await p.picture(), start);
  await p.page.keyboard.press("y");
  await quiet(p.page);
  assert.notDeepEqual(await p.picture(), start);
  assert.deepEqual(p.errors, []);
  await p.context.close();
});

test("save and open; a link; wrong files and links say so and harm nothing", async () => {
  const p = await open();
  await p.click(...middle(car()));
  await p.act(() => p.page.keyboard.press(" "));
  await p.page.keyboard.press("d");
  await quiet(p.page);
  const saved = await p.picture();
  const download = async (item) => {
    await p.page.locator("summary", { hasText: "Save" }).click();
    const [file] = await Promise.all([p.page.waitForEvent("download", { timeout: 180000 * SLOW }), p.page.getByRole("button", { name: item }).click()]);
    return [file.suggestedFilename(), readFileSync(await file.path())];
  };
  const [name, json] = await download("Street, with maps and noise");
  assert.equal(name, "street.json");
  const [pictureName, png] = await download("Picture");
  assert.ok(pictureName === "street.png" && png.subarray(1, 4).toString() === "PNG");
  await p.page.waitForTimeout(800);
  const link = new URL(p.page.url()).hash;
  assert.ok(link.length < 120, link);
  await p.page.locator("summary", { hasText: "Street" }).click();
  await p.page.getByRole("button", { name: "Empty street" }).click();
  await quiet(p.page);
  await p.shot("empty");
  const give = (content) => p.page.locator("input[type=file]").setInputFiles({ name: "x.json", mimeType: "application/json", buffer: content });
  const empty = await p.picture();
  for (const wrong of [Buffer.from("hello"), json.subarray(0, 900), png, Buffer.from('{"format":"inade-street","size":1}')]) {
    await give(wrong);
    await message(p.page).getByText("This file is no street").waitFor();
    assert.deepEqual(await p.picture(), empty);
    await message(p.page).getByRole("button").click();
  }
  await p.act(() => give(json));
  assert.deepEqual(await p.picture(), saved);
  const [gifName, gif] = await download("Slide, as an animation");
  assert.ok(gifName === "street.gif" && gif.subarray(0, 6).toString() === "GIF89a");
  assert.deepEqual(p.errors, []);
  await p.context.close();

  const linked = await open({ hash: link });
  assert.deepEqual(await linked.picture(), saved);
  assert.deepEqual(linked.errors, []);
  await linked.context.close();
  const cut = await open({ hash: link.slice(0, -5) });
  await message(cut.page).getByText("This link is not whole").waitFor();
  assert.deepEqual(cut.errors, []);
  await cut.context.close();
});
