// Draws `png`, lightens the instance under the pointer, and puts the id of a clicked one into `clicked`.
function render({ model, el }) {
  const bytes = (name) => {
    const view = model.get(name);
    return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  };
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  const columns = model.get("columns");
  const names = model.get("names");
  const ids = new Uint16Array(bytes("ids").slice().buffer); // [H * W]
  const rows = ids.length / columns;
  let picture = null;
  let hovered = -1;

  const draw = () => {
    if (!picture) return;
    if (canvas.width !== picture.width) {
      canvas.width = picture.width;
      canvas.height = picture.height;
    }
    context.imageSmoothingEnabled = false;
    context.drawImage(picture, 0, 0);
    const size = canvas.width / columns;
    context.fillStyle = "rgba(255, 255, 255, 0.3)";
    ids.forEach((id, p) => {
      if (id === hovered) context.fillRect((p % columns) * size, Math.floor(p / columns) * size, size, size);
    });
  };
  const load = async () => {
    picture = await createImageBitmap(new Blob([bytes("png")], { type: "image/png" }));
    draw();
  };
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    return ids[Math.min(Math.max(row, 0), rows - 1) * columns + Math.min(Math.max(column, 0), columns - 1)];
  };
  const hover = (id) => {
    if (id === hovered) return;
    hovered = id;
    canvas.title = names[id] ?? "";
    draw();
  };

  canvas.style.cursor = "pointer";
  canvas.addEventListener("mousemove", (event) => hover(at(event)));
  canvas.addEventListener("mouseleave", () => hover(-1));
  canvas.addEventListener("click", (event) => {
    model.set("clicked", at(event));
    model.save_changes();
  });
  model.on("change:png", load);
  load();
  el.appendChild(canvas);
  model.set("ready", true);
  model.save_changes();
  return () => model.off("change:png", load);
}
export default { render };
