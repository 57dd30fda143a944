"""The instance explorer (built in notebook 7): pick an instance, draw its noise again, slide between two looks.

`InstanceExplorer` holds all of the state and needs no front end. `widget()` shows it: plain ipywidgets, and where the
front end knows anywidget also a picture in which a click picks an instance (canvas.js).
"""

from pathlib import Path

import numpy as np
import paddle
from PIL import Image

from .figures import to_array, to_image
from .files import png
from .maps import Layout
from .noise import sample_noise

# ---- From one look to another


def spherical(a, b, t):
    """From a (t = 0) to b (t = 1) along the arc between them: sin((1 - t) θ) / sin θ a + sin(t θ) / sin θ b.

    Over the last axis of tensors [..., Z], θ the angle between a and b; t is a number or a tensor [..., 1]. Between two
    vectors of one norm all have that norm, where a straight line would cut through the inside of the sphere
    (Shoemake, 1985).

    >>> middle = spherical(paddle.to_tensor([2.0, 0.0]), paddle.to_tensor([0.0, 2.0]), 0.5)
    >>> [round(float(x), 3) for x in middle]
    [1.414, 1.414]
    """
    norms = a.norm(axis=-1, keepdim=True) * b.norm(axis=-1, keepdim=True)
    cosine = (a * b).sum(-1, keepdim=True) / norms.clip(1e-12)
    theta = paddle.acos(cosine.clip(-1 + 1e-6, 1 - 1e-6))  # never 0, so that nothing is divided by 0
    sine = theta.sin()
    share_of_a = paddle.sin((1 - t) * theta) / sine
    share_of_b = paddle.sin(t * theta) / sine
    return share_of_a * a + share_of_b * b


def linear(a, b, t):
    """From a (t = 0) to b (t = 1) along the straight line: (1 - t) a + t b.

    >>> linear(paddle.to_tensor([2.0, 0.0]), paddle.to_tensor([0.0, 2.0]), 0.5).tolist()
    [1.0, 1.0]
    """
    return (1 - t) * a + t * b


INTERPOLATIONS = {"spherical": spherical, "linear": linear}


# ---- The explorer


class InstanceExplorer:
    """One scene whose instances are drawn again one by one, while the latent and all other noise stay as they are.

    Every instance has two looks, an old one and a new one, and a place t between them. `select` picks the instance that
    the other methods change.

    generator: is put into eval mode. scene: an item of a data set, or a Layout of one image, of the generator's size.
    class_names: one for each class. seed: of the noise and the latent; Paddle's random state is not used.
    ValueError if scene or class_names do not suit the generator.

    ids: the map of instances [H, W]. names: {instance: its class and id}. instance_class: {instance: class id}.
    selected, whole_class, interpolation: what `select` and `slide` have set.

    >>> import inade_lite as il
    >>> generator = il.Generator(14, 16, noise_dim=2, latent_dim=4, base_channels=2, num_upsamplings=2)
    >>> explorer = InstanceExplorer(generator, il.ToyTown("val", 16)[0], il.ToyTown.class_names)
    >>> explorer.names[0], explorer.image().shape
    ('sky 0', (16, 16, 3))
    """

    def __init__(self, generator, scene, class_names, seed=0):
        if not isinstance(scene, Layout):
            scene = Layout(scene["label"][None], scene["instance"][None], generator.num_classes)
        if len(scene) != 1 or tuple(scene.size) != tuple(generator.image_size):
            height, width = generator.image_size
            raise ValueError(f"scene: expected one image of {height}x{width}, the generator's size, got {scene}")
        if len(class_names) != generator.num_classes:
            raise ValueError(f"class_names: expected {generator.num_classes} names, got {len(class_names)}")
        generator.eval()
        self.generator = generator
        self.layout = scene
        self.seed = seed
        self._panel = None  # the widget, if it was asked for

        self.ids = to_array(scene.instance)[0]
        labels = to_array(scene.label)[0]
        self.instance_class = {}
        self.names = {}
        for instance in np.unique(self.ids).tolist():
            # The class of an instance that spans classes is the one of most of its pixels.
            class_id = int(np.bincount(labels[self.ids == instance]).argmax())
            self.instance_class[instance] = class_id
            self.names[instance] = f"{class_names[class_id]} {instance}"

        random = np.random.default_rng([seed, 1])
        latent = random.standard_normal((1, generator.latent_dim), dtype=np.float32)
        self.latent = paddle.to_tensor(latent)
        self.selected = min(self.names)
        self.whole_class = False
        self.reset()

    # What is seen

    @property
    def noise(self):
        """The noise of every instance, [1, I, 2, Z]."""
        between = INTERPOLATIONS[self.interpolation]
        t = paddle.to_tensor(self._t.astype(np.float32))
        return between(self._start, self._end, t)

    @property
    def t(self):
        """Where the selected instance is between its two looks, 0..1."""
        return float(self._t[0, self.selected, 0, 0])

    def image(self):
        """The picture, uint8 [H, W, 3]."""
        with paddle.no_grad():
            images = self.generator(self.layout, self.noise, self.latent)
        return to_image(images)[0]

    def picture(self, scale=6):
        """The image with `scale`² pixels for each of its own and a dashed line around the selected, uint8."""
        image = _enlarged(self.image(), scale)
        chosen = _enlarged(np.isin(self.ids, self._chosen()), scale)
        # A pixel of the line belongs to the selected, and one of its 4 neighbors does not.
        padded = np.pad(chosen, 1, mode="edge")
        core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        line = chosen & ~core
        # White and black in turn, so that the line can be seen on any color.
        rows, columns = np.indices(line.shape, sparse=True)
        black = (rows + columns) // scale % 2 == 1
        image[line] = 255
        image[line & black] = 0
        return image

    # What is done

    def select(self, instance, whole_class=False):
        """Pick an instance by its id; with whole_class also all others of its class. ValueError for an absent id."""
        if instance not in self.names:
            raise ValueError(f"instance {instance!r} is not in this scene; it has {sorted(self.names)}")
        self.selected = int(instance)
        self.whole_class = bool(whole_class)
        self._changed()

    def redraw(self, seed=None):
        """New N(0, 1) noise for the selected, their rows of `sample_noise(layout, Z, seed)`; without a seed always new.

        The look until now becomes the old one, so that `slide` goes back to it.
        """
        if seed is None:
            self._draws += 1
            seed = self.seed + self._draws
        if seed < 0:
            raise ValueError(f"seed={seed}: expected an integer of 0 or more")
        self._move_to(sample_noise(self.layout, self.generator.noise_dim, seed))

    def take(self, look):
        """Give the selected this noise [2, Z], for example the encoder's mu of an instance in a real picture."""
        look = np.asarray(to_array(look), np.float32)
        if look.shape != (2, self.generator.noise_dim):
            raise ValueError(f"look: expected the shape [2, {self.generator.noise_dim}], got {list(look.shape)}")
        self._move_to(paddle.to_tensor(look))

    def slide(self, t, interpolation=None):
        """Move the selected to t between the two looks, 0 to 1; interpolation, for all: "spherical" or "linear"."""
        if not 0 <= t <= 1:
            raise ValueError(f"t={t!r}: expected a number from 0 to 1")
        if interpolation is not None and interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation={interpolation!r}: expected one of {list(INTERPOLATIONS)}")
        self.interpolation = interpolation or self.interpolation
        self._t[:, self._chosen()] = t
        self._changed()

    def reset(self):
        """Back to the first picture. The selection stays."""
        noise_dim = self.generator.noise_dim
        self._start = sample_noise(self.layout, noise_dim, self.seed)  # [1, I, 2, Z]
        self._end = sample_noise(self.layout, noise_dim, self.seed + 1)
        self._t = np.zeros([1, self.layout.num_instances, 1, 1])
        self._draws = 1  # seeds used so far, besides the first
        self.interpolation = "spherical"
        self._changed()

    def _chosen(self):
        """The ids of the instances that a method changes."""
        if not self.whole_class:
            return [self.selected]
        class_id = self.instance_class[self.selected]
        return [instance for instance, other in self.instance_class.items() if other == class_id]

    def _move_to(self, look):
        """The selected go from where they are to a look [1, I, 2, Z] or [2, Z], and arrive."""
        chosen = np.zeros(self._t.shape, bool)
        chosen[:, self._chosen()] = True
        chosen = paddle.to_tensor(chosen)  # [1, I, 1, 1]
        self._start = paddle.where(chosen.expand_as(self._start), self.noise, self._start)
        self._end = paddle.where(chosen.expand_as(self._end), look.expand_as(self._end), self._end)
        self._t[:, self._chosen()] = 1
        self._changed()

    def _changed(self):
        """Shows the new state in the widget, if there is one."""
        if self._panel is not None:
            self._panel.refresh()

    # The widget

    def widget(self):
        """The explorer as an ipywidget; every call gives the same one."""
        if self._panel is None:
            self._panel = _Panel(self)
        return self._panel.box

    def _ipython_display_(self):
        """What a notebook calls for an explorer at the end of a cell."""
        from IPython.display import display

        try:
            display(self.widget())
        except ImportError:  # no ipywidgets here: the picture alone
            display(Image.fromarray(self.picture()))


def _enlarged(array, scale):
    """[H, W, ...] -> [H*scale, W*scale, ...], every pixel a square."""
    return array.repeat(scale, 0).repeat(scale, 1)


# ---- The widget


class _Panel:
    """The controls of an InstanceExplorer: they call its methods, `refresh` shows its state."""

    def __init__(self, explorer):
        import ipywidgets as w

        self.explorer = explorer
        self.busy = False
        options = [(name, instance) for instance, name in explorer.names.items()]
        self.picture = w.Image(format="png")
        self.instance = w.Dropdown(options=options, description="instance")
        self.whole_class = w.Checkbox(description="the whole class")
        self.again = w.Button(description="Draw again", icon="random", button_style="primary")
        self.reset = w.Button(description="Reset", icon="undo")
        self.t = w.FloatSlider(min=0, max=1, step=0.02, description="old → new")
        self.interpolation = w.ToggleButtons(options=list(INTERPOLATIONS), style={"button_width": "90px"})
        self.canvas = _canvas(explorer)

        self._on_change(self.instance, "value", self._select)
        self._on_change(self.whole_class, "value", self._select)
        self._on_change(self.t, "value", self._slide)
        self._on_change(self.interpolation, "value", self._slide)
        self.again.on_click(lambda _: explorer.redraw())
        self.reset.on_click(lambda _: explorer.reset())
        pictures = [self.picture]
        if self.canvas is not None:
            # Hidden until it is ready: a front end without anywidget shows an error in its place.
            self.hidden = w.Box([self.canvas], layout={"display": "none"})
            pictures.append(self.hidden)
            self._on_change(self.canvas, "clicked", self._click)
            self._on_change(self.canvas, "ready", self._use_canvas)

        buttons = w.HBox([self.again, self.reset])
        controls = w.VBox([self.instance, self.whole_class, buttons, self.t, self.interpolation])
        self.box = w.HBox([*pictures, controls], layout={"flex_flow": "row wrap", "grid_gap": "12px"})
        self.refresh()

    def _on_change(self, widget, trait, method):
        """Calls the method when the user changes the trait, not when `refresh` does."""

        def handler(_):
            if not self.busy:
                method()

        widget.observe(handler, trait)

    def _select(self):
        """The dropdown or the checkbox has changed."""
        self.explorer.select(self.instance.value, self.whole_class.value)

    def _click(self):
        """An instance was clicked in the canvas."""
        self.explorer.select(self.canvas.clicked, self.explorer.whole_class)

    def _slide(self):
        """The slider or the kind of interpolation has changed."""
        self.explorer.slide(self.t.value, self.interpolation.value)

    def _use_canvas(self):
        """The canvas takes the place of the plain picture."""
        self.picture.layout.display = "none"
        self.hidden.layout.display = None

    def refresh(self):
        """Shows the explorer's state."""
        explorer = self.explorer
        self.busy = True
        try:
            self.instance.value = explorer.selected
            self.whole_class.value = explorer.whole_class
            self.t.value = explorer.t
            self.interpolation.value = explorer.interpolation
            picture = png(explorer.picture())
            self.picture.value = picture
            if self.canvas is not None:
                self.canvas.clicked = explorer.selected
                self.canvas.png = picture
        finally:
            self.busy = False


def _canvas(explorer):
    """A picture that is clicked, or None without anywidget.

    Python cannot know whether the front end has anywidget, so the canvas sets `ready` as soon as it is shown.
    """
    try:
        import anywidget
        import traitlets as t
    except ImportError:
        return None

    class Canvas(anywidget.AnyWidget):
        _esm = Path(__file__).with_name("canvas.js")
        png = t.Bytes().tag(sync=True)
        ids = t.Bytes().tag(sync=True)  # uint16 [H, W], the instance of each pixel
        columns = t.Int().tag(sync=True)  # W
        names = t.Dict().tag(sync=True)  # of the instances
        clicked = t.Int(-1).tag(sync=True)  # the instance that was clicked last
        ready = t.Bool(False).tag(sync=True)

    return Canvas(
        ids=explorer.ids.astype("<u2").tobytes(),
        columns=explorer.ids.shape[1],
        names={str(instance): name for instance, name in explorer.names.items()},  # keys of JSON are strings
    )
