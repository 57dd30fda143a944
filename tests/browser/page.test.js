// The page in a real browser: what a new user does first, and what may go wrong. Prints times, keeps screenshots.
//
// SITE is the folder that was built (build/site-demo), SHOTS where screenshots go (build/screenshots), CHROMIUM the
// browser.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { findObjects } from "../../inade_lite/explorer/front/objects.js";
import { readScenes } from "../../inade_lite/explorer/front/scenes.js";
import { act, change as changeOf, launch, painted as paintedOf, pictureOf, quiet, serve, SHOTS, SITE, SLOW } from "./browser.js";

let server;
let browser;
let address;
let scenes;
let things;
let size;

before(async () => {
  // From a sub-path, as a page may stand anywhere.
  ({ server, address } = await serve("/play/"));
  browser = await launch();
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
  const painted = () => paintedOf(page);
  await page.waitForFunction(() => document.querySelector(".inade")?.dataset.painted > 0, null, { timeout: 120000 * SLOW });
  const first = Date.now() - begin;
  const stage = page.locator(".left .stage");
  const box = await stage.boundingBox();
  const point = (x, y) => [box.x + (x / size) * box.width, box.y + (y / size) * box.height];
  return {
    page, context, errors, stage, box, point, painted, first,
    picture: () => pictureOf(page),
    click: (x, y, options) => (touch ? page.touchscreen.tap(...point(x, y)) : page.mouse.click(...point(x, y), options)),
    act: (what) => act(page, what),
    shot: (name) => page.screenshot({ path: join(SHOTS, `${name}.png`) }),
  };
}

/** Mean |a - b| inside and outside of some instances of the first street. */
const change = (a, b, ids) => changeOf(street(), a, b, ids);

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

test("a finger moves what it has selected, a pen paints, the keys move a thing", async () => {
  const p = await open({ width: 400, touch: true });
  const start = await p.picture();
  const [x, y] = middle(car());
  await p.click(x, y);
  await p.page.getByRole("heading", { name: "car 2" }).waitFor();
  // The mouse of the tests cannot be a finger or a pen; events of the protocol can.
  const protocol = await p.context.newCDPSession(p.page);
  const at = (dx) => {
    const [px, py] = p.point(x + dx, y);
    return { x: px, y: py };
  };
  const touch = (type, points) => protocol.send("Input.dispatchTouchEvent", { type, touchPoints: points });
  const scrolled = await p.page.evaluate(() => globalThis.scrollY);
  await p.act(async () => {
    await touch("touchStart", [at(0)]);
    for (let i = 1; i <= 8; i++) await touch("touchMove", [at((-i * size) / 64)]);
    await touch("touchEnd", []);
  });
  assert.equal(await p.page.evaluate(() => globalThis.scrollY), scrolled, "the page has not scrolled");
  assert.equal(await p.page.locator(".steps button").count(), 2);
  const moved = await p.picture();
  assert.ok(change(start, moved, car().ids).inside > 3, "the car has left its place");
  await p.shot("dragged 400");
  await p.act(() => p.page.getByRole("button", { name: "Undo" }).click());
  assert.deepEqual(await p.picture(), start);

  await p.page.getByRole("button", { name: "Paint" }).click();
  await p.page.locator(".palette").getByRole("button", { name: "balloon" }).click();
  await p.stage.scrollIntoViewIfNeeded();
  await p.page.waitForTimeout(200);
  const box = await p.stage.boundingBox();
  const pen = (type, dx) =>
    protocol.send("Input.dispatchMouseEvent", {
      type, pointerType: "pen", button: "left", buttons: 1, clickCount: 1,
      x: box.x + box.width * (0.1 + dx), y: box.y + box.height * 0.12,
    });
  await p.act(async () => {
    await pen("mousePressed", 0);
    for (let i = 1; i <= 8; i++) await pen("mouseMoved", 0.03 * i);
    await pen("mouseReleased", 0.24);
  });
  assert.notDeepEqual(await p.picture(), start);
  await p.shot("pen 400");
  await p.page.keyboard.press("Escape");
  await p.page.keyboard.press("z");
  await quiet(p.page);

  await p.page.getByRole("button", { name: "Point" }).click();
  await p.stage.focus();
  await p.page.keyboard.press("ArrowRight");
  await p.act(() => p.page.keyboard.press("Shift+ArrowUp"));
  const count = await p.page.locator(".steps button").count();
  await p.act(() => p.page.keyboard.press("Shift+ArrowUp"));
  assert.equal(await p.page.locator(".steps button").count(), count, "moves of one thing are one step");
  assert.deepEqual(p.errors, []);
  await p.context.close();
});

test("a look is dragged onto a thing of another class; surprises can be undone", async () => {
  const p = await open();
  const start = await p.picture();
  const house = things.find(({ name }) => name.startsWith("house"));
  await p.click(...middle(car()));
  await p.page.waitForFunction(() => !document.querySelector(".tile.waiting"));
  const tile = await p.page.getByRole("button", { name: "Look 2" }).boundingBox();
  await p.page.mouse.move(tile.x + 20, tile.y + 20);
  await p.page.mouse.down();
  await p.page.mouse.move(tile.x - 30, tile.y + 20, { steps: 4 });
  await p.page.mouse.move(...p.point(...middle(house)), { steps: 6 });
  await p.shot("look on its way");
  await p.act(() => p.page.mouse.up());
  const dressed = await p.picture();
  assert.ok(change(start, dressed, house.ids).inside > 2 && change(start, dressed, house.ids).outside <= 0.5);
  assert.equal(await p.page.locator(".card h2").textContent(), house.name);
  await p.act(() => p.page.keyboard.press("z"));
  assert.deepEqual(await p.picture(), start);
  for (let i = 0; i < 5; i++) {
    await p.page.locator("summary", { hasText: "Street" }).click();
    await p.act(() => p.page.getByRole("button", { name: "Surprise me" }).click());
  }
  await p.shot("surprise");
  for (let i = 0; i < 5; i++) await p.page.keyboard.press("z");
  await quiet(p.page);
  assert.deepEqual(await p.picture(), start);
  assert.deepEqual(p.errors, []);
  await p.context.close();
});

test("files with too many instances, one pixel or an unknown class are refused by what is wrong", async () => {
  const p = await open();
  const start = await p.picture();
  await p.page.locator("summary", { hasText: "Save" }).click();
  const [file] = await Promise.all([p.page.waitForEvent("download"), p.page.getByRole("button", { name: "Street, with maps and noise" }).click()]);
  const saved = JSON.parse(readFileSync(await file.path(), "utf8"));
  const instances = Buffer.alloc(2 * size * size);
  for (let i = 0; i < size * size; i++) instances.writeUInt16LE(i % 10000, 2 * i);
  const wrong = {
    "10000 instances": { base: { ...saved.base, instance: instances.toString("base64") } },
    "a map of 1 × 1": { size: 1, base: { label: "AA==", instance: "AAA=" } },
    'class "lamp"': { classes: saved.classes.map((name) => (name === "sky" ? "lamp" : name)) },
    "maps of another size": { base: { ...saved.base, label: saved.base.label.slice(0, 400) } },
  };
  for (const [why, change_] of Object.entries(wrong)) {
    const buffer = Buffer.from(JSON.stringify({ ...saved, ...change_ }));
    await p.page.locator("input[type=file]").setInputFiles({ name: "x.json", mimeType: "application/json", buffer });
    await message(p.page).getByText(`This file is no street (${why})`).waitFor();
    assert.deepEqual(await p.picture(), start);
    await message(p.page).getByRole("button", { name: "Close" }).click();
  }
  assert.deepEqual(p.errors, []);
  await p.context.close();
});
