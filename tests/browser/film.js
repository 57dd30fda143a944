// Films the page for README: a car gets other looks, a balloon is painted and gets another look, too.
//
// node film.js FOLDER writes FOLDER/000.png, 001.png, ... and FOLDER/film.json, the milliseconds of each; `make film`
// makes one animated picture of them. FOLDER/explorer.png is a still of all controls. SITE as in page.test.js.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findObjects } from "../../inade_lite/explorer/front/objects.js";
import { readScenes } from "../../inade_lite/explorer/front/scenes.js";
import { act, launch, quiet, serve, SITE } from "./browser.js";

const out = process.argv[2];
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

const { server, address } = await serve("/");
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1120, height: 700 }, colorScheme: "light" });
// Screenshots have no pointer.
await page.addInitScript(() => {
  addEventListener("DOMContentLoaded", () => {
    const arrow = document.createElement("div");
    arrow.style.cssText = "position:fixed;z-index:99;width:16px;height:24px;pointer-events:none;background:#000;outline:0;" +
      "clip-path:polygon(0 0,0 17px,4px 13px,7px 20px,10px 19px,7px 12px,13px 12px);filter:drop-shadow(0 0 1px #fff)";
    document.body.append(arrow);
    addEventListener("pointermove", ({ clientX, clientY }) => {
      arrow.style.left = `${clientX}px`;
      arrow.style.top = `${clientY}px`;
    }, true);
  });
});
await page.goto(address);
await page.waitForFunction(() => document.querySelector(".inade")?.dataset.painted > 0);
await quiet(page);

const json = JSON.parse(readFileSync(join(SITE, "scenes.json"), "utf8"));
const scenes = await readScenes(json);
const { things } = findObjects(scenes.baseOf(scenes.names[0], json.size), scenes.classes);
const box = await page.locator(".left .stage").boundingBox();
const point = (x, y) => [box.x + x * box.width, box.y + y * box.height];
const car = things.find(({ name }) => name === "car 2");
const onCar = point((car.box[0] + car.box[2]) / 2 / json.size, (car.box[1] + car.box[3]) / 2 / json.size);

const durations = [];
async function shoot(duration) {
  await page.screenshot({ path: join(out, `${String(durations.length).padStart(3, "0")}.png`) });
  durations.push(duration);
}
const looksReady = () => page.waitForFunction(() => !document.querySelector(".tile.waiting"));

await page.mouse.move(...point(0.5, 0.93));
await shoot(900);
await page.mouse.move(...onCar, { steps: 4 });
await shoot(500);
await page.mouse.click(...onCar);
await page.getByRole("heading", { name: "car 2" }).waitFor();
await looksReady();
await shoot(800);
for (let i = 0; i < 4; i++) {
  await act(page, () => page.mouse.click(...onCar));
  await looksReady();
  await shoot(700);
}
await page.setViewportSize({ width: 1120, height: 900 });
await page.screenshot({ path: join(out, "explorer.png") });
await page.setViewportSize({ width: 1120, height: 700 });
await page.getByRole("button", { name: "Paint" }).click();
await page.getByRole("button", { name: "balloon" }).click();
const path = (t) => point(0.16 + 0.1 * t, 0.2 + 0.1 * Math.sin(3 * t));
await page.mouse.move(...path(0));
await shoot(600);
await page.mouse.down();
for (let t = 0.1; t <= 1.001; t += 0.1) {
  await page.mouse.move(...path(t), { steps: 3 });
  await quiet(page);
  await shoot(120);
}
await page.mouse.up();
await page.getByRole("button", { name: "Point" }).click();
await quiet(page);
await page.mouse.click(...path(0.5));
await looksReady();
await shoot(600);
for (let i = 0; i < 3; i++) {
  await act(page, () => page.mouse.click(...path(0.5)));
  await looksReady();
  await shoot(700);
}
writeFileSync(join(out, "film.json"), JSON.stringify(durations));
await browser.close();
server.close();
