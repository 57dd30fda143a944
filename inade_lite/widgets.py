"""The instance explorer (built in notebook 6): pick an instance, draw its noise again, slide between two looks.

`InstanceExplorer` holds all of the state and needs no front end. `widget()` shows it: plain ipywidgets, and where the
front end knows anywidget also a picture in which a click picks an instance.
"""

from pathlib import Path

import numpy as np
import paddle
from PIL import Image

from .figures import to_array, to_image
from .files import png
from .maps import Layout
from .noise import sample_noise


def spherical(a, b, t):
    """From a (t = 0) to b (t = 1) along the arc between them: sin((1 - t) θ) / sin θ a + sin(t θ) / sin θ b.

    Over the last axis of tensors [..., Z], θ the angle between a and b; t is a number or a tensor [..., 1]. Between two
    vectors of one norm all have that norm, where a straight line would cut through the inside of the sphere.
    """
    norms = a.norm(axis=-1, keepdim=True) * b.norm(axis=-1, keepdim=True)
    cosine = (a * b).sum(-1, keepdim=True) / norms.clip(1e-12)
    theta = paddle.acos(cosine.clip(-1 + 1e-6, 1 - 1e-6))  # never 0, so that nothing is divided by 0
    return paddle.sin((1 - t) * theta) / theta.sin() * a + paddle.sin(t * theta) / theta.sin() * b


def linear(a, b, t):
    """From a (t = 0) to b (t = 1) along the straight line: (1 - t) a + t b."""
    return (1 - t) * a + t * b


INTERPOLATIONS = {"spherical": spherical, "linear": linear}


class InstanceExplorer:
    """One scene whose instances are drawn again one by one, while the latent and all other noise stay as they are.

    Every instance has two looks, noise `start` and noise `end`, and a place t between them. `select` picks whom the
    other methods change.

    generator: is put into eval mode. scene: an item of a data set, or a Layout of one image, of the generator's size.
    class_names: one for each class. seed: of the noise and the latent; Paddle's random state is not used.
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
        self.generator, self.layout, self.seed, self._panel = generator, scene, seed, None
        self.ids = to_array(scene.instance)[0]  # [H, W]
        labels = to_array(scene.label)[0]
        # The class of an instance that spans classes is the one of most of its pixels.
        self.instance_class = {int(k): int(np.bincount(labels[self.ids == k]).argmax()) for k in np.unique(self.ids)}
        self.names = {k: f"{class_names[c]} {k}" for k, c in self.instance_class.items()}
        latent = np.random.default_rng([seed, 1]).standard_normal((1, generator.latent_dim), dtype=np.float32)
        self.latent = paddle.to_tensor(latent)
        self.selected, self.whole_class = min(self.names), False
        self.reset()

    # What is seen

    @property
    def noise(self):
        """The noise of every instance, [1, I, 2, Z]."""
        between = INTERPOLATIONS[self.interpolation]
        return between(self._start, self._end, paddle.to_tensor(self._t.astype(np.float32)))

    @property
    def t(self):
        """Where the selected instance is between its two looks, 0..1."""
        return float(self._t[0, self.selected, 0, 0])

    def image(self):
        """The picture, uint8 [H, W, 3]."""
        with paddle.no_grad():
            return to_image(self.generator(self.layout, self.noise, self.latent))[0]

    def picture(self, scale=6):
        """The image with `scale`² pixels for each of its own and a dashed line around the selected, uint8."""
        image = self.image().repeat(scale, 0).repeat(scale, 1)
        chosen = np.isin(self.ids, self._chosen()).repeat(scale, 0).repeat(scale, 1)
        padded = np.pad(chosen, 1, mode="edge")
        core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        image[chosen & ~core] = 255
        dashes = (np.add.outer(*map(np.arange, chosen.shape)) // scale % 2).astype(bool)
        image[chosen & ~core & dashes] = 0
        return image

    # What is done

    def select(self, instance, whole_class=False):
        """Pick an instance by its id; with whole_class also all others of its class."""
        if instance not in self.names:
            raise ValueError(f"instance {instance!r} is not in this scene; it has {sorted(self.names)}")
        self.selected, self.whole_class = int(instance), bool(whole_class)
        self._changed()

    def redraw(self, seed=None):
        """New N(0, 1) noise for the selected, their rows of `sample_noise(layout, Z, seed)`; without a seed always new.

        The look until now becomes the start, so that `slide` goes back to it.
        """
        if seed is None:
            self._draws += 1
            seed = self.seed + self._draws
        if seed < 0:
            raise ValueError(f"seed={seed}: expected an integer of 0 or more")
        self._move_to(sample_noise(self.layout, self.generator.noise_dim, seed))

    def take(self, look):
        """Give the selected this noise [2, Z], for instance the encoder's mu of an instance in a real picture."""
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
        z = self.generator.noise_dim
        self._start, self._end = (sample_noise(self.layout, z, self.seed + k) for k in (0, 1))
        self._t = np.zeros([1, self.layout.num_instances, 1, 1])
        self._draws, self.interpolation = 1, "spherical"
        self._changed()

    def _chosen(self):
        of_class = self.instance_class[self.selected]
        return [k for k, c in self.instance_class.items() if k == self.selected or self.whole_class and c == of_class]

    def _move_to(self, look):
        chosen = np.zeros(self._t.shape, bool)
        chosen[:, self._chosen()] = True
        chosen = paddle.to_tensor(chosen)
        self._start = paddle.where(chosen.expand_as(self._start), self.noise, self._start)
        self._end = paddle.where(chosen.expand_as(self._end), look.expand_as(self._end), self._end)
        self._t[:, self._chosen()] = 1
        self._changed()

    def _changed(self):
        if self._panel is not None:
            self._panel.refresh()

    # The widget

    def widget(self):
        """The explorer as an ipywidget; every call gives the same one."""
        if self._panel is None:
            self._panel = _Panel(self)
        return self._panel.box

    def _ipython_display_(self):
        from IPython.display import display

        try:
            display(self.widget())
        except ImportError:  # no ipywidgets here: the picture alone
            display(Image.fromarray(self.picture()))


class _Panel:
    """The controls of an InstanceExplorer: they call its methods, `refresh` shows its state."""

    def __init__(self, explorer):
        import ipywidgets as w

        self.explorer, self.busy = explorer, False
        options = [(name, k) for k, name in explorer.names.items()]
        self.picture = w.Image(format="png")
        self.instance = w.Dropdown(options=options, description="instance")
        self.whole_class = w.Checkbox(description="the whole class")
        self.again = w.Button(description="Draw again", icon="random", button_style="primary")
        self.reset = w.Button(description="Reset", icon="undo")
        self.t = w.FloatSlider(min=0, max=1, step=0.02, description="old → new")
        self.interpolation = w.ToggleButtons(options=list(INTERPOLATIONS), style={"button_width": "90px"})
        self.canvas = _canvas(explorer)

        act = self._act
        self.instance.observe(act(lambda: explorer.select(self.instance.value, explorer.whole_class)), "value")
        self.whole_class.observe(act(lambda: explorer.select(explorer.selected, self.whole_class.value)), "value")
        for widget in (self.t, self.interpolation):
            widget.observe(act(lambda: explorer.slide(self.t.value, self.interpolation.value)), "value")
        self.again.on_click(act(explorer.redraw))
        self.reset.on_click(act(explorer.reset))
        pictures = [self.picture]
        if self.canvas is not None:
            # Hidden until it is ready: a front end without anywidget shows an error in its place.
            pictures.append(w.Box([self.canvas], layout={"display": "none"}))
            self.canvas.observe(act(lambda: explorer.select(self.canvas.clicked, explorer.whole_class)), "clicked")
            self.canvas.observe(lambda _: self._use_canvas(*pictures), "ready")
        buttons = w.HBox([self.again, self.reset])
        controls = w.VBox([self.instance, self.whole_class, buttons, self.t, self.interpolation])
        self.box = w.HBox([*pictures, controls], layout={"flex_flow": "row wrap", "grid_gap": "12px"})
        self.refresh()

    def _use_canvas(self, plain, canvas):
        plain.layout.display, canvas.layout.display = "none", None

    def _act(self, method):
        def handler(_):
            if not self.busy:  # what refresh sets is not the user's doing
                method()

        return handler

    def refresh(self):
        e, self.busy = self.explorer, True
        try:
            self.instance.value, self.whole_class.value = e.selected, e.whole_class
            self.t.value, self.interpolation.value = e.t, e.interpolation
            picture = png(e.picture())
            self.picture.value = picture
            if self.canvas is not None:
                self.canvas.clicked, self.canvas.png = e.selected, picture
        finally:
            self.busy = False


def _canvas(explorer):
    """A picture that is clicked on, or None without anywidget.

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
        clicked = t.Int(-1).tag(sync=True)  # the instance that was clicked on last
        ready = t.Bool(False).tag(sync=True)

    names = {str(k): name for k, name in explorer.names.items()}
    return Canvas(ids=explorer.ids.astype("<u2").tobytes(), columns=explorer.ids.shape[1], names=names)
