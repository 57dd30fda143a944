// The explorer in JupyterLab: a kernel that paints, a theme that changes, a kernel that goes.
//
// PYTHON is the interpreter that has JupyterLab and this package's dependencies (.venv/bin/python).
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { findObjects } from "../../inade_lite/explorer/front/objects.js";
import { readScenes } from "../../inade_lite/explorer/front/scenes.js";
import { act, change, launch, painted, pictureOf, quiet, ROOT, SHOTS, SLOW } from "./browser.js";

const PYTHON = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");
const SIZE = 64;

let lab;
let browser;
let address;
let folder;
let street;
let things;

const cell = (source) => ({ cell_type: "code", id: `c${source.length}`, source, metadata: {}, outputs: [], execution_count: null });
const NOTEBOOK = {
  cells: [
    cell("import inade_lite as il\nfrom inade_lite.explorer import Explorer"),
    cell('town = il.ToyTown("val", 64)\nexplorer = Explorer(["inade_positions", "class_noise"], [town[23], town[5]])\nexplorer'),
  ],
  metadata: {
    kernelspec: { display_name: "Python 3 (ipykernel)", language: "python", name: "python3" },
  },
  nbformat: 4,
  nbformat_minor: 5,
};

function freePort() {
  return new Promise((done) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "lab-"));
  mkdirSync(join(folder, "work"));
  writeFileSync(join(folder, "work/play.ipynb"), JSON.stringify(NOTEBOOK));
  copyFileSync(join(ROOT, "notebooks/00_tour.ipynb"), join(folder, "work/00_tour.ipynb"));
  // Nobody is there to say whether there shall be news.
  const settings = join(folder, "config/lab/user-settings/@jupyterlab/apputils-extension");
  mkdirSync(settings, { recursive: true });
  writeFileSync(join(settings, "notification.jupyterlab-settings"), '{"fetchNews": "false", "checkForUpdates": false}');
  const port = await freePort();
  address = `http://127.0.0.1:${port}`;
  const flags = [
    "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser", `--port=${port}`, "--ip=127.0.0.1",
    "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", `--ServerApp.root_dir=${join(folder, "work")}`,
  ];
  const env = { ...process.env, PYTHONPATH: ROOT, HOME: folder, JUPYTER_CONFIG_DIR: join(folder, "config"), IPYTHONDIR: folder };
  lab = spawn(PYTHON, flags, { cwd: folder, env, stdio: "ignore" });
  for (let i = 0; ; i++) {
    const answers = await fetch(`${address}/api`).then((response) => response.ok, () => false);
    if (answers) break;
    assert.ok(i < 120 * SLOW, "JupyterLab does not answer");
    await new Promise((done) => setTimeout(done, 500));
  }
  browser = await launch();
  ({ street, things } = await firstStreet());
});

after(async () => {
  await browser?.close();
  lab?.kill("SIGINT");
  lab?.kill("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
});

/** The maps of the notebook's first street, and its things. */
async function firstStreet() {
  const code = `import json, inade_lite as il
from inade_lite.explorer.scenes import classes, packed
print(json.dumps({"classes": classes(), "models": [], "size": ${SIZE}, "scenes": [packed("23", il.ToyTown("val", ${SIZE})[23])]}))`;
  const text = execFileSync(PYTHON, ["-c", code], { cwd: ROOT, encoding: "utf8" });
  const scenes = await readScenes(JSON.parse(text));
  const maps = scenes.baseOf(scenes.names[0], SIZE);
  return { street: maps, things: findObjects(maps, scenes.classes).things };
}

/** JupyterLab with a notebook open. */
async function open(name, { width = 1280, height = 900, theme = "JupyterLab Light", touch = false } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, hasTouch: touch });
  const page = await context.newPage();
  page.setDefaultTimeout(60000 * SLOW);
  const errors = [];
  // JupyterLab has errors of its own; a widget's code comes from a blob.
  page.on("pageerror", (error) => /blob:/.test(error.stack) && errors.push(error.stack));
  page.on("console", (message) => message.type() === "error" && /blob:|anywidget/.test(message.text() + message.location().url) && errors.push(message.text()));
  await page.goto(`${address}/lab/tree/${name}?reset`);
  await page.waitForFunction(() => globalThis.jupyterapp?.restored);
  await page.evaluate(async (to) => {
    const { jupyterapp } = globalThis;
    await jupyterapp.restored;
    await jupyterapp.commands.execute("apputils:change-theme", { theme: to });
    if (jupyterapp.shell.leftCollapsed === false) jupyterapp.shell.collapseLeft();
  }, theme);
  await page.waitForSelector(".jp-NotebookPanel");
  await page.waitForFunction(() => {
    const session = globalThis.jupyterapp.shell.currentWidget?.sessionContext?.session;
    return session?.kernel?.connectionStatus === "connected" && session.kernel.status === "idle";
  });
  return {
    page, context, errors,
    command: (id, args) => page.evaluate(([command, given]) => globalThis.jupyterapp.commands.execute(command, given), [id, args]),
    async runAll() {
      await page.evaluate(() => {
        globalThis.jupyterapp.commands.execute("notebook:run-all-cells");
      });
      await page.waitForFunction(() => document.querySelector(".inade")?.dataset.painted > 0);
      await page.locator(".inade").scrollIntoViewIfNeeded();
      await quiet(page);
    },
    async click(x, y) {
      const box = await page.locator(".left .stage").boundingBox();
      const at = [box.x + (x / SIZE) * box.width, box.y + (y / SIZE) * box.height];
      await (touch ? page.touchscreen.tap(...at) : page.mouse.click(...at));
    },
    shot: (title) => page.screenshot({ path: join(SHOTS, `lab ${title}.png`) }),
  };
}

const middle = ({ box }) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];

for (const [width, theme] of [[1280, "JupyterLab Light"], [1280, "JupyterLab Dark"], [400, "JupyterLab Light"], [400, "JupyterLab Dark"]]) {
  test(`a click in a notebook, at ${width} px, ${theme}`, async (t) => {
    const touch = width < 500;
    const p = await open("play.ipynb", { width, theme, touch });
    await p.runAll();
    const car = things.find(({ name }) => name === "car 2");
    const stage = await p.page.locator(".left .stage").boundingBox();
    t.diagnostic(`the picture has ${Math.round(stage.width)} px`);
    assert.ok(stage.x >= 0 && stage.x + stage.width <= width, "nothing is cut off");
    const start = await pictureOf(p.page);
    await p.click(...middle(car));
    await p.page.getByRole("heading", { name: "car 2" }).waitFor();
    const times = [];
    for (let i = 0; i < 5; i++) {
      await act(p.page, async () => {
        const count = await painted(p.page);
        const begin = Date.now();
        await p.click(...middle(car));
        await p.page.waitForFunction((n) => document.querySelector(".inade").dataset.painted > n, count);
        times.push(Date.now() - begin);
      });
    }
    t.diagnostic(`click to picture: ${times.sort((a, b) => a - b)[2]} ms (median of 5)`);
    const { inside, outside } = change(street, start, await pictureOf(p.page), car.ids);
    assert.ok(inside >= 8 && outside <= 0.5, `inside ${inside}, outside ${outside}`);
    assert.equal(await p.page.locator(".jp-OutputArea img").first().isVisible(), false, "the still picture hides");
    const dark = await p.page.locator(".inade").evaluate((element) => getComputedStyle(element).colorScheme);
    assert.equal(dark, theme.includes("Dark") ? "dark" : "light");
    await p.shot(`${width} ${theme.split(" ")[1].toLowerCase()}`);
    for (let i = 0; i < 5; i++) await p.page.getByRole("button", { name: "Undo" }).click();
    await quiet(p.page);
    assert.deepEqual(await pictureOf(p.page), start);
    assert.deepEqual(p.errors, []);
    await p.context.close();
  });
}

test("a slide stays where it was left", async () => {
  const p = await open("play.ipynb");
  await p.runAll();
  const car = things.find(({ name }) => name === "car 2");
  await p.click(...middle(car));
  await p.page.getByRole("heading", { name: "car 2" }).waitFor();
  await p.page.getByRole("button", { name: "New", exact: true }).click();
  const slide = p.page.locator("input[aria-label='From this to the other']");
  await act(p.page, () => slide.fill("0.75"));
  assert.equal(await slide.inputValue(), "0.75");
  await p.page.waitForTimeout(1000);
  assert.equal(await slide.inputValue(), "0.75", "no echo has moved it");
  assert.deepEqual(p.errors, []);
  await p.context.close();
});

test("lock, paint, drag, save and open, borrow and compare, with a kernel that paints", async () => {
  const p = await open("play.ipynb");
  await p.runAll();
  const start = await pictureOf(p.page);
  const car = things.find(({ name }) => name === "car 2");
  await p.click(...middle(car));
  await p.page.getByRole("heading", { name: "car 2" }).waitFor();
  await p.page.getByRole("button", { name: "Lock" }).click();
  await p.page.keyboard.press(" ");
  await p.page.locator(".inade .message").getByText("car 2 is locked.").waitFor();
  assert.deepEqual(await pictureOf(p.page), start);
  await p.page.getByRole("button", { name: "Unlock" }).click();

  // The keys of JupyterLab are not meant: B would add a cell, D D delete one.
  const cells = await p.page.evaluate(() => globalThis.jupyterapp.shell.currentWidget.content.widgets.length);
  await p.page.keyboard.press("Escape");
  await p.page.keyboard.press("b");
  await p.page.locator(".palette").getByRole("button", { name: "balloon" }).click();
  const box = await p.page.locator(".left .stage").boundingBox();
  const at = (x, y) => [box.x + (x / SIZE) * box.width, box.y + (y / SIZE) * box.height];
  await p.page.mouse.move(...at(6, 6));
  await p.page.mouse.down();
  await p.page.mouse.move(...at(14, 8), { steps: 8 });
  await p.page.mouse.up();
  await quiet(p.page);
  const balloon = await pictureOf(p.page);
  assert.notDeepEqual(balloon, start);
  await p.page.keyboard.press("Escape");
  await p.page.mouse.move(...at(10, 7));
  await p.page.mouse.down();
  await p.page.mouse.move(...at(10, 18), { steps: 8 });
  await p.page.mouse.up();
  await quiet(p.page);
  const dragged = await pictureOf(p.page);
  assert.notDeepEqual(dragged, balloon);
  await p.page.keyboard.press("d");
  await p.page.keyboard.press("Delete");
  await quiet(p.page);
  assert.equal(await p.page.evaluate(() => globalThis.jupyterapp.shell.currentWidget.content.widgets.length), cells);
  await p.shot("painted");

  const before_ = await pictureOf(p.page);
  await p.page.locator(".inade summary", { hasText: "Save" }).click();
  const [file] = await Promise.all([p.page.waitForEvent("download"), p.page.getByRole("button", { name: "Street, with maps and noise" }).click()]);
  const saved = readFileSync(await file.path());
  await p.page.locator(".inade summary", { hasText: "Street" }).click();
  await act(p.page, () => p.page.getByRole("button", { name: "Empty street" }).click());
  await act(p.page, () => p.page.locator(".inade input[type=file]").setInputFiles({ name: "x.json", mimeType: "application/json", buffer: saved }));
  assert.deepEqual(await pictureOf(p.page), before_);

  await p.click(...middle(car));
  await p.page.getByRole("heading", { name: "car 2" }).waitFor();
  await p.page.getByRole("tab", { name: "Borrow" }).click();
  const real = p.page.locator(".stage.small");
  await real.scrollIntoViewIfNeeded();
  const room = await real.boundingBox();
  const [x, y] = middle(things.find(({ name }) => name === "car 1"));
  await act(p.page, () => p.page.mouse.click(room.x + (x / SIZE) * room.width, room.y + (y / SIZE) * room.height));
  assert.notDeepEqual(await pictureOf(p.page), before_);
  await p.page.getByRole("tab", { name: "Compare" }).click();
  await p.page.waitForFunction(() => document.querySelector(".change output").textContent !== "–");
  await p.page.getByRole("button", { name: "Load the other models" }).click();
  await p.page.waitForFunction(() => [...document.querySelectorAll(".rivals .numbers")].every((each) => each.textContent));
  await p.shot("compared");
  assert.deepEqual(p.errors, []);
  await p.context.close();
});

test("a kernel that was restarted: the explorer says so, and runs its cell again", async () => {
  const p = await open("play.ipynb");
  await p.runAll();
  await p.page.evaluate(() => globalThis.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart());
  const message = p.page.locator(".inade .message");
  await message.getByText("The kernel does not answer.").waitFor();
  await p.shot("restarted");
  await p.page.evaluate(() => globalThis.jupyterapp.commands.execute("notebook:run-all-above"));
  await message.getByRole("button", { name: "Run the cell" }).click();
  await p.page.waitForFunction(() => document.querySelectorAll(".inade").length === 1 && document.querySelector(".inade").dataset.painted > 0 &&
    document.querySelector(".inade .message").hidden);
  assert.deepEqual(p.errors, []);
  await p.context.close();
});

test("a notebook that is opened stays unmodified", async () => {
  const p = await open("00_tour.ipynb");
  await p.page.waitForTimeout(3000);
  assert.equal(await p.page.evaluate(() => globalThis.jupyterapp.shell.currentWidget.context.model.dirty), false);
  assert.ok(await p.page.locator(".jp-OutputArea img").first().isVisible(), "the still picture shows");
  await p.shot("opened");
  await p.context.close();
  assert.equal(readFileSync(join(folder, "work/00_tour.ipynb"), "utf8"), readFileSync(join(ROOT, "notebooks/00_tour.ipynb"), "utf8"));
});
