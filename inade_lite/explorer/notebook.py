"""The explorer in a notebook: the page's front end, and Paddle that paints.

A state says all that the front end knows: the street, its strokes and its looks (front/state.js). `noise_of` makes the
noise of it, with the same numbers as the page, and `render` the picture. The widget only carries messages.
"""

import base64
import io
import json
import math
import re
from pathlib import Path
from reprlib import repr as short

import numpy as np
import paddle
from PIL import Image

from ..checks import expect_count
from ..figures import to_array, to_image
from ..files import png
from ..kernels import upsample
from ..maps import Layout
from ..noise import linear, spherical
from ..weights.pretrained import load_pretrained
from .about import about, directions
from .scenes import classes, packed

FRONT = Path(__file__).parent / "front"

SEEDS = 2**21  # seeds are smaller
STEPS = 32  # an atom of bytes counts in 1/32
MOST = 1000  # instances
WORD = 0xFFFFFFFF

# Below the still picture, where no page is named.
HOW_TO_PLAY = "*Nothing moves? Run this cell in JupyterLab. Without it, `make play` opens the explorer in a browser.*"


# ---- Looks, as in front/looks.js


def mix(a, b):
    """A seed made of two numbers, as `mix` in front/looks.js.

    >>> mix(1, 2) == mix(1, 2) != mix(2, 1)
    True
    """
    h = ((a ^ 0x9E3779B9) * 0x85EBCA6B ^ (b + 0x165667B1) * 0xC2B2AE35) & WORD
    h = (h ^ (h >> 15)) * 0x2C1B3C6D & WORD
    h = (h ^ (h >> 12)) * 0x297A2D39 & WORD
    return (h ^ (h >> 15)) & (SEEDS - 1)


def gaussians(seed, count):
    """N(0, 1) numbers, float32 [count], as `gaussians` in front/looks.js.

    >>> gaussians(3, 2).round(2).tolist() == gaussians(3, 4)[:2].round(2).tolist()
    True
    """
    state = (seed * 0x9E3779B1 + 0x6D2B79F5) & WORD
    numbers = np.zeros(count + count % 2, np.float32)

    def uniform():
        nonlocal state
        state = (state + 0x6D2B79F5) & WORD
        x = (state ^ (state >> 15)) * (1 | state) & WORD
        x = (x + ((x ^ (x >> 7)) * (61 | x) & WORD)) & WORD ^ x
        return ((x ^ (x >> 14)) & WORD) / 2**32

    for i in range(0, count, 2):
        radius = math.sqrt(-2 * math.log(1 - uniform()))
        angle = 2 * math.pi * uniform()
        numbers[i] = radius * math.cos(angle)
        numbers[i + 1] = radius * math.sin(angle)
    return numbers[:count]


def atom_of(numbers):
    """Numbers [2, Z] as the text that a look holds; what is finer than 1/32 is lost.

    >>> numbers_of(atom_of([[0.5, -1], [2, 0]]), noise_dim=2).tolist()
    [[0.5, -1.0], [2.0, 0.0]]
    """
    steps = np.round(np.clip(to_array(numbers), -4, 127 / STEPS) * STEPS) + 128
    return base64.b64encode(steps.astype(np.uint8).tobytes()).decode()


def numbers_of(atom, noise_dim):
    """The noise [2, Z] of an atom: the seed of N(0, 1) noise, or the text of `atom_of`.

    >>> numbers_of(7, noise_dim=8).shape
    (2, 8)
    """
    if not isinstance(atom, str):
        return gaussians(atom, 2 * noise_dim).reshape(2, noise_dim)
    told = np.frombuffer(base64.b64decode(atom), np.uint8).astype(np.float32)
    told = (told.reshape(2, -1) - 128) / STEPS
    out = np.zeros([2, noise_dim], np.float32)
    known = min(noise_dim, told.shape[1])
    out[:, :known] = told[:, :known]
    return out


def noise_of(state, count, noise_dim, blocks, directions=None):
    """The noise of every instance in every block, float32 [B, I, 2, Z], as `stackNoise` in front/looks.js.

    state: a dict, see front/state.js. count: I. directions: [K, 2, Z], what the sliders of a look go along.

    >>> noise_of({"seed": 3, "looks": {"1": {"a": 5}}}, count=2, noise_dim=8, blocks=7).shape
    (7, 2, 2, 8)
    """
    noise = np.zeros([blocks, count, 2, noise_dim], np.float32)
    for i in range(count):
        look = state["looks"].get(str(i), {"a": mix(state["seed"], i)})
        own = numbers_of(look["a"], noise_dim)
        other = None if look.get("b") is None else numbers_of(look["b"], noise_dim)
        t = look.get("t", 0)
        if other is not None and t:
            between = linear if look.get("line", False) else spherical
            own = other if t == 1 else between(paddle.to_tensor(own), paddle.to_tensor(other), t).numpy()
        if directions is not None:
            for amount, direction in zip(look.get("d", []), directions, strict=False):
                own = own + amount * direction
        noise[:, i] = own
        if other is not None:
            noise[: look.get("k", 0), i] = other
    return noise


def share_by_class(noise, state, label, instance):
    """Noise [B, I, 2, Z] of a model whose draws decide whole classes: all instances of a class get the same.

    It is that of the instance whose look was changed. Of several changed ones it is their sum over the root of their
    number, which is N(0, 1) again and hears each of them. As `shareByClass` in front/pictures.js.

    >>> noise = np.float32([[[[1]], [[2]]]])
    >>> share_by_class(noise, {"looks": {"1": {}}}, np.zeros([1, 2], int), np.array([[0, 1]]))[0, :, 0, 0].tolist()
    [2.0, 2.0]
    """
    shared = noise.copy()
    for class_id in np.unique(label):
        ids = np.unique(instance[label == class_id])
        changed = [i for i in ids if str(i) in state["looks"]]
        if changed:
            shared[:, ids] = noise[:, changed].sum(1, keepdims=True) / math.sqrt(len(changed))
    return shared


def latent_of(state, latent_dim, level):
    """The latent [D]; where one draw decides the whole picture (level "image"), every look has a part in it.

    >>> latent_of({"seed": 3, "latent": 0, "looks": {}}, 64, "instance").shape
    (64,)
    """
    seed = state["latent"]
    if level == "image":
        seed = mix(seed, state["seed"])
        for letter in json.dumps(state["looks"], separators=(",", ":")):
            seed = mix(seed, ord(letter))
    return gaussians(mix(seed, 1), latent_dim)


# ---- Pictures


@paddle.no_grad()
def paint(generator, label, instance, noise, latent, count=None):
    """The picture uint8 [H, W, 3] of maps [H, W], noise [B, I, 2, Z] for every block, and latent [D].

    >>> import inade_lite as il
    >>> generator = il.Generator(2, image_size=8, noise_dim=5, latent_dim=6, base_channels=2, num_upsamplings=2)
    >>> maps = np.zeros([8, 8], int)
    >>> paint(generator, maps, maps, np.zeros([7, 1, 2, 5], "float32"), np.zeros(6, "float32")).shape
    (8, 8, 3)
    """
    layout = Layout(label[None], instance[None], generator.num_classes, count)
    noise = paddle.to_tensor(noise)
    latent = paddle.to_tensor(latent).unsqueeze(0) if generator.latent_dim else None
    if bool((noise == noise[:1]).all()):
        images = generator(layout, noise[:1], latent)
    else:  # Generator.forward, with a noise of its own for each block
        x = generator._start(layout, latent)
        for i, block in enumerate(generator.blocks):
            if i in generator.upsample_before:
                x = upsample(x)
            x = block(x, layout, noise[i : i + 1])
        x = paddle.nn.functional.leaky_relu(x, 0.2)
        images = paddle.nn.functional.tanh(generator.to_image(x))
    return to_image(images)[0]


def render(state, generator, maps=None, directions=None):
    """The picture uint8 [H, W, 3] of a state, or of a saved street (Save in the explorer).

    state: a dict. A saved street brings its maps and its noise; a state takes maps: (label, instance), each [H, W], and
    must have no edits. The same arguments give the same picture. ValueError where something is missing or does not fit.

    >>> import inade_lite as il
    >>> generator = il.Generator(2, image_size=8, noise_dim=5, latent_dim=6, base_channels=2, num_upsamplings=2)
    >>> street = np.zeros([8, 8], int), np.arange(64).reshape(8, 8) % 3
    >>> state = {"seed": 1, "latent": 2, "looks": {"0": {"a": 7}}, "edits": []}
    >>> render(state, generator, street).shape
    (8, 8, 3)
    """
    if not isinstance(state, dict):
        raise ValueError(f"state: expected a dict, got a {type(state).__name__}")
    height, width = generator.image_size
    if "noise" in state:
        label = _read(state, "label", np.uint8, [height, width])
        instance = _read(state, "instance", "<u2", [height, width])
        count = expect_count("count", state.get("count"))
        noise = _read(state, "noise", "<f4", [len(generator.blocks), count, 2, generator.noise_dim])
        latent = _read(state, "latent", "<f4", [generator.latent_dim])
        return paint(generator, label.astype(int), instance.astype(int), noise, latent, count)
    if maps is None:
        raise ValueError("state: it has no maps; give them as maps=(label, instance)")
    _check_state(state)
    if state["edits"]:
        raise ValueError("state: it was painted on; save the street and give what is in the file")
    label, instance = (to_array(each) for each in maps)
    count = int(instance.max()) + 1
    noise = noise_of(state, count, generator.noise_dim, len(generator.blocks), directions)
    if generator.level == "class":
        noise = share_by_class(noise, state, label, instance)
    return paint(generator, label, instance, noise, latent_of(state, generator.latent_dim, generator.level), count)


def _check_state(state):
    """ValueError unless a state has what `noise_of` and `latent_of` read, as checkState in front/state.js."""

    def need(fine, what):
        if not fine:
            raise ValueError(f"state: its {what} is missing or wrong; copy the link of the street anew")

    def is_whole(value):
        return type(value) is int and 0 <= value <= 2**31

    def is_number(value, low, high):
        return type(value) in (int, float) and low <= value <= high

    def is_atom(value):
        try:
            return is_whole(value) or len(base64.b64decode(value)) % 2 == 0
        except (ValueError, TypeError):
            return False

    for name in ("seed", "latent"):
        need(is_whole(state.get(name)), name)
    need(isinstance(state.get("edits"), list), "edits")
    looks = state.get("looks")
    need(isinstance(looks, dict), "looks")
    for number, look in looks.items():
        what = f"look of instance {short(number)}"
        need(isinstance(look, dict) and is_atom(look.get("a")), what)
        need(look.get("b") is None or is_atom(look["b"]), what)
        need(is_number(look.get("t", 0), 0, 1) and is_whole(look.get("k", 0)), what)
        way = look.get("d", [])
        need(isinstance(way, list) and all(is_number(amount, -4, 4) for amount in way), what)


def _read(street, name, dtype, shape):
    """An array of finite numbers of a saved street; ValueError where it has another shape."""
    if not isinstance(street.get(name), str):
        raise ValueError(f"{name}: this is no street that the explorer has saved; save it anew")
    try:
        told = base64.b64decode(street[name])
    except ValueError as error:
        raise ValueError(f"{name}: it is damaged ({error}); save the street anew") from error
    each = np.dtype(dtype).itemsize
    if len(told) != math.prod(shape) * each:
        raise ValueError(f"{name}: expected {' x '.join(map(str, shape))} numbers, got {len(told) / each:g}")
    array = np.frombuffer(told, dtype).reshape(shape)
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: a number in it is not finite; save the street anew")
    return array


# ---- The explorer


class Explorer:
    """A street to play with. At the end of a cell it shows itself: a still picture, and the widget where one works.

    models: the name of a shipped model, or what `load_pretrained` gives, or a dict of them by their titles; the first
    paints, "class_noise" and "spade_vae" can stand beside it. scenes: an item of a data set, or several; without any,
    some of ToyTown. classes: the data set whose class_names, class_colors and thing_classes they have. seed: of the
    first looks. page: the address of the explorer's page, to be named under the still picture.

    >>> explorer = Explorer("inade", seed=1)
    >>> explorer.image().shape
    (64, 64, 3)
    """

    def __init__(self, models="inade_positions", scenes=None, classes=None, seed=0, page=None):
        from ..data.toy_town import ToyTown
        from .scenes import SCENES

        given_titles = isinstance(models, dict)
        if not given_titles:
            names = [models] if isinstance(models, str) or hasattr(models, "generator") else list(models)
            models = {name if isinstance(name, str) else "model": name for name in names}
        self.models = {
            name: load_pretrained(model) if isinstance(model, str) else model for name, model in models.items()
        }
        self.titles = {name: name for name in self.models}
        if not given_titles:
            found = {name: _title(name, model) for name, model in self.models.items()}
            if len(set(found.values())) == len(found):  # else their names tell them apart
                self.titles = found
        first = next(iter(self.models.values()))
        size = first.generator.image_size
        if len({model.generator.image_size for model in self.models.values()}) > 1 or size[0] != size[1]:
            raise ValueError("models: expected square pictures of one size")
        if scenes is None:
            town = ToyTown("val", size[0])
            scenes = [town[k] for k in SCENES]
        elif isinstance(scenes, dict):
            scenes = [scenes]
        self.classes = classes or ToyTown
        self.scenes = {}
        for k, item in enumerate(scenes):
            label, instance = (to_array(item[each]) for each in ("label", "instance"))
            if label.shape != tuple(size):
                shape = "x".join(map(str, label.shape))
                raise ValueError(f"scene {k}: the model paints {size[0]}x{size[1]}, the maps have {shape}")
            Layout(label[None], instance[None], first.generator.num_classes)  # complains where ids are wrong
            if instance.max() >= MOST:
                raise ValueError(f"scene {k}: {instance.max() + 1} instances; the explorer takes {MOST}")
            self.scenes[str(item.get("name", k))] = item
        for model in self.models.values():
            model.generator.eval()
        self.page = page
        self.state = {
            "version": 1,
            "model": next(iter(self.models)),
            "scene": next(iter(self.scenes)),
            "seed": seed,
            "latent": seed,
            "edits": [],
            "looks": {},
            "locked": [],
            "selected": [],
        }
        self._known_directions = {}
        self._widget = None

    def render(self, state):
        """The picture uint8 [H, W, 3] of a state of this explorer, or of a saved street."""
        name = state["model"]
        if name not in self.models:
            raise ValueError(f"model={name!r}: expected one of {', '.join(map(repr, self.models))}")
        if "noise" in state:
            return render(state, self.models[name].generator)
        item = self.scenes.get(state["scene"])
        maps = None if item is None else (item["label"], item["instance"])
        return render(state, self.models[name].generator, maps, self._directions(name))

    def image(self):
        """The picture of the state, uint8 [H, W, 3]."""
        return self.render(self.state)

    def still(self):
        """What stands where no kernel answers: the street, and three times one of its things drawn again, uint8."""
        item = self.scenes[self.state["scene"]]
        label, instance = to_array(item["label"]), to_array(item["instance"])
        things = np.isin(label, list(self.classes.thing_classes))
        ids, areas = np.unique(instance[things] if things.any() else instance, return_counts=True)
        names = self.classes.class_names
        cars = [i for i in ids if names[label[instance == i][0]] == "car"]
        chosen = str(max(cars or ids, key=dict(zip(ids, areas, strict=True)).get))
        pictures = [self.image()]
        for seed in (11, 12, 13):
            looks = {**self.state["looks"], chosen: {"a": seed}}
            pictures.append(self.render({**self.state, "looks": looks}))
        scale = max(1, 192 // len(label))
        large = [picture.repeat(scale, 0).repeat(scale, 1) for picture in pictures]
        gap = np.zeros([len(large[0]), 8, 4], np.uint8)  # transparent: it lies on a light or a dark page
        row = []
        for picture in large:
            row += [np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]), gap]
        return np.hstack(row[:-1])

    def widget(self):
        """The explorer as an anywidget; every call gives the same one. ImportError where anywidget is not installed."""
        if self._widget is None:
            self._widget = _widget(self)
        return self._widget

    def _ipython_display_(self):
        """What a notebook calls for an explorer at the end of a cell.

        The still picture and the line below it are outputs of their own. So they are there where the widget is not: in
        exported pages, in front ends without widgets, in a notebook whose kernel is gone. The widget hides them while
        it is alive.
        """
        from IPython.display import Markdown, display

        display({"image/png": png(self.still()), "text/plain": "A street, and one thing in it drawn again"}, raw=True)
        page = f"[Play with it in the browser]({self.page})" if self.page else HOW_TO_PLAY
        display(Markdown(page))
        try:
            display(self.widget())
        except ImportError:
            pass  # the still picture is all there is

    # What the front end asks for

    def _answer(self, content, buffers):
        """The answer to a message of front/widget.js: a dict and its buffers, or None where none is wanted."""
        kind = content["kind"]
        if kind == "state":
            self.state = content["state"]
            return None
        if kind == "load":
            name = content["name"]
            return {"model": self._about(name)}, [np.float32(self._directions(name)).tobytes()]
        if kind == "animate":
            return {}, [_gif(buffers, content["size"], content["delay"])]
        model = self.models[content["model"]]
        side = model.generator.image_size[0]
        label = np.frombuffer(buffers[0], np.uint8).reshape(side, side).astype(int)
        instance = np.frombuffer(buffers[1], "<u2").reshape(side, side).astype(int)
        count = content["count"]
        numbers = np.frombuffer(buffers[2], "<f4")
        if kind == "paint":
            noise = numbers.reshape([-1, count, 2, model.generator.noise_dim])
            latent = np.frombuffer(buffers[3], "<f4")
            return {}, [paint(model.generator, label, instance, noise, latent, count).tobytes()]
        layout = Layout(label[None], instance[None], model.generator.num_classes, count)
        with paddle.no_grad():
            told = model.encoder(paddle.to_tensor(numbers.reshape(1, 3, side, side)), layout)
        mu = np.stack([told.scale_mu[0].numpy(), told.bias_mu[0].numpy()], 1)  # [I, 2, Z]
        logvar = np.stack([told.scale_logvar[0].numpy(), told.bias_logvar[0].numpy()], 1)
        return {}, [mu.tobytes(), logvar.tobytes()]

    def _about(self, name):
        """What the front end must know of a model."""
        model = self.models[name]
        return {"name": name, **about(model.generator), "encodes": model.encoder is not None}

    def _directions(self, name):
        """What `directions` finds. A model is asked once: every picture needs them."""
        if name not in self._known_directions:
            self._known_directions[name] = directions(self.models[name].generator)
        return self._known_directions[name]

    def _place(self):
        """What the front end gets once: classes, models, streets, the first state."""
        size = next(iter(self.models.values())).generator.image_size[0]
        streets = []
        for name, item in self.scenes.items():
            street = packed(name, item)
            if "image" in item:
                picture = base64.b64encode(png(to_image(to_array(item["image"])))).decode()
                street["picture"] = f"data:image/png;base64,{picture}"
            streets.append(street)
        height, width = self.still().shape[:2]
        return {
            "scenes": {
                "classes": classes(self.classes),
                "models": [{"name": name, "title": title} for name, title in self.titles.items()],
                "size": size,
                "scenes": streets,
            },
            "state": self.state,
            "still": [width, height],
        }


def _title(name, model):
    """What a model is called in the front end."""
    from ..methods import METHODS

    method = (model.config or {}).get("train_config", {}).get("method")
    return METHODS[method].title if method in METHODS else name


def _gif(frames, size, delay):
    """The bytes of an animated GIF of RGBA frames."""
    pictures = [Image.frombuffer("RGBA", (size, size), bytes(frame)).convert("RGB") for frame in frames]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=delay, loop=0)
    return file.getvalue()


# ---- The widget


def _widget(explorer):
    """An anywidget that answers the front end's messages. Its only trait never changes after it was made."""
    import anywidget
    import traitlets as t

    class ExplorerWidget(anywidget.AnyWidget):
        _esm = bundle("widget.js")
        _css = (FRONT / "style.css").read_text()
        place = t.Dict().tag(sync=True)

    def answer(widget, content, buffers):
        try:
            told = explorer._answer(content, buffers)
        except Exception as error:  # the front end shows it; the kernel's log would hide it
            widget.send({"id": content.get("id"), "error": str(error)})
            return
        if told is not None:
            fields, parts = told
            widget.send({"id": content["id"], **fields}, parts)

    widget = ExplorerWidget(place=explorer._place())
    widget.on_msg(answer)
    return widget


IMPORT = re.compile(r"^import (?:\* as (?P<all>\w+)|\{(?P<names>[^}]*)\}) from \"\./(?P<file>[\w.]+)\";\n", re.M)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (?P<name>\w+))", re.M)


def bundle(entry, front=FRONT):
    """The modules that an entry imports, and the entry itself, as one module.

    A widget is one file: its modules cannot import each other. So each of them becomes a function that gives back what
    it exports, and its imports become constants.

    >>> "createApp" in bundle("widget.js")
    True
    """
    done = {}

    def add(file):
        if file in done:
            return
        done[file] = ""  # a circle of imports would end here
        source = (front / file).read_text()
        for found in IMPORT.finditer(source):
            add(found["file"])

        def constant(found):
            other = _variable(found["file"])
            if found["all"]:
                return f"const {found['all']} = {other};\n"
            names = " ".join(found["names"].replace(" as ", ": ").split())
            return f"const {{ {names} }} = {other};\n"

        body = IMPORT.sub(constant, source)
        names = [found["name"] for found in EXPORT.finditer(body)]
        body = EXPORT.sub("", body)
        text = f"const {_variable(file)} = (() => {{\n{body}return {{ {', '.join(names)} }};\n}})();\n"
        if file == entry:
            text = body
        del done[file]  # after what it needs
        done[file] = text

    add(entry)
    return "".join(done.values())


def _variable(file):
    """The constant that holds a module's exports."""
    return "module_" + re.sub(r"\W", "_", file)
