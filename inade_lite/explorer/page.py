"""Builds the page: a folder that any file server can offer, and that needs nothing from elsewhere.

python -m inade_lite.explorer.page --node tests/browser/node_modules --out build/site-demo --serve 8000

index.html, style.css, *.js    inade_lite/explorer/front, as it is; page.html becomes index.html
scenes.json, scenes/           the streets, see scenes.py
models/                        the networks as ONNX, see graph.py, and models.json, which describes them
ort/                           onnxruntime-web, from npm
vendor/                        what else the front end takes from npm
"""

import argparse
import contextlib
import functools
import gzip
import http.server
import json
import shutil
import webbrowser
from pathlib import Path

import paddle

from ..files import png, write_file
from ..methods import METHODS
from ..weights.pretrained import PRETRAINED, load_pretrained
from .about import about, directions
from .graph import encoder_graph, generator_graph
from .scenes import classes, streets

FRONT = Path(__file__).parent / "front"

# The models that the page offers, if they are shipped. The first one is there at once, the others come when asked for.
MODELS = ("inade_128", "inade_positions", "inade", "class_noise", "spade_vae")

# What the folder takes from npm: from -> to. Of onnxruntime-web it is the plain build, the smallest. It is packed here,
# because a plain file server would send all of its 14 MB.
WASM = "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm"
RUNTIME = "ort/ort-wasm-simd-threaded.wasm.gz"
SCRIPT = "ort/ort.mjs"
VENDORED = {
    "onnxruntime-web/dist/ort.wasm.bundle.min.mjs": SCRIPT,
    "gifenc/dist/gifenc.esm.js": "vendor/gifenc.js",
    "gifenc/LICENSE.md": "vendor/gifenc_license.md",  # the other files have theirs in them
}

INDEX = "models/models.json"


def build(out, node, names=MODELS):
    """Write the page to the folder `out`, in the place of an older one; node: a node_modules with WASM and VENDORED.

    Returns the size of each file by its name, in bytes. FileNotFoundError tells what npm has not fetched,
    FileExistsError that `out` holds something else.

    >>> build("build/site-demo", "nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: nowhere/onnxruntime-web/... is missing; `npm ci` in tests/browser fetches it
    """
    out = Path(out)
    node = Path(node)
    for path in (node / WASM, *(node / name for name in VENDORED)):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; `npm ci` in tests/browser fetches it")
    check_folder(out)

    files = {RUNTIME: gzip.compress((node / WASM).read_bytes(), 9, mtime=0)}
    for source, name in VENDORED.items():
        files[name] = (node / source).read_bytes()
    described, graphs = models(names)
    files |= graphs
    runtime = {"script": SCRIPT, "path": RUNTIME, "bytes": len(files[RUNTIME])}
    files[INDEX] = as_json({"classes": classes(), "runtime": runtime, "models": described})
    files |= scene_files(described)

    if out.exists():
        shutil.rmtree(out)
    shutil.copytree(FRONT, out, ignore=shutil.ignore_patterns(".*"))
    page = out / "page.html"
    if page.exists():
        page.rename(out / "index.html")
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, content)
    return {str(path.relative_to(out)): path.stat().st_size for path in sorted(out.rglob("*")) if path.is_file()}


def check_folder(out):
    """FileExistsError for a folder that holds something else than an older page, so that nothing is lost.

    >>> check_folder("build/not_there")
    """
    out = Path(out)
    if out.exists() and not (out / INDEX).is_file() and any(out.iterdir()):
        raise FileExistsError(f"{out} holds something else than a page; name another folder, or empty it yourself")


def models(names=MODELS):
    """What models.json tells of those that are shipped, and their graphs as {file: bytes}.

    >>> described, files = models(["inade"])
    >>> described["inade"]["level"], sorted(files)
    ('instance', ['models/inade.onnx', 'models/inade_encoder.onnx'])
    """
    described = {}
    files = {}
    for name in names:
        if not (PRETRAINED / f"{name}.safetensors").is_file():
            continue
        generator, encoder, _, config = load_pretrained(name)
        described[name] = {
            "title": title(config),
            **about(generator),
            "directions": directions(generator).round(6).tolist(),
            "generator": None,
            "encoder": None,
        }
        graphs = {"generator": (f"models/{name}.onnx", generator_graph(generator))}
        if encoder is not None:
            graph = encoder_graph(encoder, generator.image_size, generator.num_classes)
            graphs["encoder"] = (f"models/{name}_encoder.onnx", graph)
        for part, (path, graph) in graphs.items():
            files[path] = graph.SerializeToString()
            described[name][part] = {"path": path, "bytes": len(files[path])}
    return described, files


def title(config):
    """What people read: the method, and the size where it is not 64.

    >>> title({"train_config": {"method": "inade"}, "image_size": [128, 128]})
    'INADE, 128 × 128'
    """
    method = METHODS[config["train_config"]["method"]].title
    height, width = config["image_size"]
    return method if height == 64 else f"{method}, {height} × {width}"


def scene_files(described):
    """scenes.json and the pictures, as {file: bytes}; described: what `models` tells.

    The scenes come in the first model's size, and under "sizes" in the others.

    >>> sorted(scene_files({"a": {"title": "A", "size": 32, "level": "instance"}}))[:2]
    ['scenes.json', 'scenes/005_32.png']
    """
    files = {}
    by_size = {}
    for size in dict.fromkeys(model["size"] for model in described.values()):
        by_size[size] = []
        for street, picture in streets(size):
            files[street["picture"]] = png(picture, optimize=True)
            by_size[size].append(street)
    first, *others = by_size
    offered = []
    for name, model in described.items():
        offered.append({"name": name, **{key: model[key] for key in ("title", "size", "level")}})
    files["scenes.json"] = as_json(
        {
            "classes": classes(),
            "models": offered,
            "size": first,
            "scenes": by_size[first],
            "sizes": {str(size): by_size[size] for size in others},
        }
    )
    return files


def as_json(value):
    """Compact JSON, as bytes.

    >>> as_json({"a": [1, 2]})
    b'{"a":[1,2]}'
    """
    return json.dumps(value, separators=(",", ":")).encode()


def _serve(out, port):
    """Serve the page on this machine alone, and open it in a browser, until Ctrl-C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=out)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        address = f"http://localhost:{server.server_port}/"
        print(f"The explorer is at {address} (Ctrl-C ends it).")
        webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def _main():
    parser = argparse.ArgumentParser(description="Build the explorer's page.")
    parser.add_argument("--out", default="build/site-demo", help="the folder, which is emptied before")
    parser.add_argument("--node", default="tests/browser/node_modules", help="where npm has put its packages")
    parser.add_argument("--serve", type=int, metavar="PORT", help="then serve it at this port, and open it")
    arguments = parser.parse_args()
    with paddle.no_grad():
        files = build(arguments.out, arguments.node)
    for name, size in files.items():
        print(f"{size:10,}  {name}")
    print(f"{sum(files.values()):10,}  in all", flush=True)
    if arguments.serve is not None:
        _serve(arguments.out, arguments.serve)


if __name__ == "__main__":
    _main()
