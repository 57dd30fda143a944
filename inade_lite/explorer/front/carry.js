// @ts-check
/** A small picture that a pointer carries over the page. */
import { h } from "./dom.js";

const SLOP = 9; // pixels of the screen before a press becomes a carry

/**
 * @param {PointerEvent} event the press, on a canvas or on what holds one
 * @param {HTMLElement} room where the carried picture is shown
 * @param {(isCarried: boolean) => void} carried
 * @param {(to: PointerEvent) => void} drop where it was let go
 */
export function carry(event, room, carried, drop) {
  const from = /** @type {HTMLElement} */ (event.currentTarget);
  const picture = from instanceof HTMLCanvasElement ? from : from.querySelector("canvas");
  if (!picture || event.button !== 0) return;
  carried(false);
  /** @type {HTMLCanvasElement | null} */
  let ghost = null;
  const move = (/** @type {PointerEvent} */ to) => {
    if (!ghost && Math.hypot(to.clientX - event.clientX, to.clientY - event.clientY) < SLOP) return;
    if (!ghost) {
      ghost = h("canvas", { class: "ghost", width: picture.width, height: picture.height });
      ghost.getContext("2d")?.drawImage(picture, 0, 0);
      room.append(ghost);
      carried(true);
    }
    const box = room.getBoundingClientRect();
    ghost.style.left = `${to.clientX - box.left}px`;
    ghost.style.top = `${to.clientY - box.top}px`;
  };
  const stop = (/** @type {PointerEvent} */ to) => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", stop);
    removeEventListener("pointercancel", stop);
    ghost?.remove();
    // The click that follows this event is not meant for the small picture.
    setTimeout(() => carried(false));
    if (ghost && to.type === "pointerup") drop(to);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", stop);
  addEventListener("pointercancel", stop);
}
