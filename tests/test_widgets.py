"""The instance explorer without a front end, and what notebook 7 defines against the package."""

import io

import numpy as np
import paddle
import pytest
from helpers import SEEDS, normal
from notebook_definitions import load_definitions
from PIL import Image

import inade_lite as il
from inade_lite.widgets import InstanceExplorer, linear, spherical

TOWN = il.ToyTown("val", 32, length=8)
SCENE = next(item for item in TOWN if (np.diff(np.unique(item["instance"] * (item["label"] == 10))) > 0).sum() > 1)
CARS = np.unique(SCENE["instance"][SCENE["label"] == TOWN.class_names.index("car")]).tolist()
SKY = int(SCENE["instance"][SCENE["label"] == 0][0])


@pytest.fixture(scope="module")
def generator():
    paddle.seed(0)
    generator = il.Generator(14, 32, noise_dim=4, latent_dim=8, base_channels=2, num_upsamplings=3)
    for block in generator.blocks:  # 0.02 is too small for a random generator to show anything
        for conv in (block.conv_0, block.conv_1):
            conv.weight.set_value(conv.weight * 50)
    generator.to_image.weight.set_value(generator.to_image.weight * 50)
    return generator


@pytest.fixture
def explorer(generator):
    return InstanceExplorer(generator, SCENE, TOWN.class_names)


def others(explorer, chosen):
    return np.setdiff1d(np.arange(explorer.layout.num_instances), chosen)


# ---- What the methods do


def test_the_picture_is_what_the_generator_makes_of_noise_and_latent(explorer, generator):
    image = explorer.image()
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8 and image.std() > 1
    layout = il.Layout(SCENE["label"][None], SCENE["instance"][None], 14)
    with paddle.no_grad():
        expected = generator(layout, explorer.noise, explorer.latent)
    assert np.array_equal(image, il.figures.to_image(expected)[0])
    assert np.array_equal(explorer.noise.numpy(), il.sample_noise(layout, 4, seed=0).numpy())
    assert np.array_equal(InstanceExplorer(generator, layout, TOWN.class_names).image(), image)
    assert not np.array_equal(InstanceExplorer(generator, layout, TOWN.class_names, seed=1).image(), image)


def test_redraw_changes_the_selected_and_leaves_all_others_bit_for_bit(explorer):
    explorer.select(CARS[1])
    explorer.slide(0.5)  # somewhere between its looks, and to stay there
    before, latent, image = explorer.noise.numpy(), explorer.latent.numpy(), explorer.image()
    explorer.select(CARS[0])
    explorer.redraw(seed=5)
    after = explorer.noise.numpy()
    fresh = il.sample_noise(explorer.layout, 4, seed=5).numpy()
    assert np.array_equal(after[:, CARS[0]], fresh[:, CARS[0]])
    assert np.array_equal(after[:, others(explorer, CARS[:1])], before[:, others(explorer, CARS[:1])])
    assert np.array_equal(explorer.latent.numpy(), latent) and not np.array_equal(explorer.image(), image)


def test_the_whole_class_is_redrawn_each_instance_for_itself(explorer):
    before = explorer.noise.numpy()
    explorer.select(CARS[1], whole_class=True)
    explorer.redraw()
    after = explorer.noise.numpy()
    assert np.array_equal(after[:, others(explorer, CARS)], before[:, others(explorer, CARS)])
    assert len(CARS) > 1 and len(np.unique(np.concatenate([after[0, CARS], before[0, CARS]]), axis=0)) == 2 * len(CARS)


@pytest.mark.parametrize("interpolation", ["spherical", "linear"])
def test_slide_goes_from_the_last_look_to_the_new_one(explorer, interpolation):
    explorer.select(CARS[0])
    old = explorer.noise.numpy()
    explorer.redraw()
    new = explorer.noise.numpy()
    assert explorer.t == 1
    explorer.slide(0.5, interpolation)
    middle = explorer.noise.numpy()
    assert explorer.t == 0.5 and not np.allclose(middle, old) and not np.allclose(middle, new)
    assert np.array_equal(middle[:, others(explorer, CARS[:1])], old[:, others(explorer, CARS[:1])])
    for t, noise in ((0, old), (1, new), (0.0, old)):
        explorer.slide(t)
        assert np.array_equal(explorer.noise.numpy(), noise)
    explorer.slide(0.5)
    explorer.redraw()  # from where it is
    explorer.slide(0)
    assert np.array_equal(explorer.noise.numpy(), middle)


def test_every_instance_keeps_its_own_place_of_the_slider(explorer):
    explorer.select(CARS[0])
    explorer.slide(0.25)
    explorer.select(CARS[1])
    assert explorer.t == 0
    explorer.select(CARS[0])
    assert explorer.t == 0.25
    explorer.select(CARS[1], whole_class=True)
    explorer.slide(0.5)
    explorer.select(CARS[0])
    assert explorer.t == 0.5


def test_reset_restores_bit_for_bit_and_the_session_runs_the_same_again(explorer):
    def session():
        pictures = [explorer.image()]
        for instance in (CARS[0], SKY):
            explorer.select(instance)
            explorer.redraw()
            explorer.slide(0.3)
            pictures.append(explorer.image())
        return np.stack(pictures), explorer.noise.numpy()

    start, first = explorer.noise.numpy(), session()
    explorer.slide(0.7, "linear")
    explorer.reset()
    assert np.array_equal(explorer.noise.numpy(), start) and explorer.selected == SKY and explorer.t == 0
    assert all(np.array_equal(a, b) for a, b in zip(first, session(), strict=True))


def test_take_gives_the_selected_a_look_from_elsewhere(explorer):
    before, look = explorer.noise.numpy(), np.arange(8, dtype=np.float32).reshape(2, 4)
    for given in (look, paddle.to_tensor(look)):
        explorer.reset()
        explorer.select(SKY)
        explorer.take(given)
        assert np.array_equal(explorer.noise.numpy()[0, SKY], look)
        assert np.array_equal(explorer.noise.numpy()[:, others(explorer, [SKY])], before[:, others(explorer, [SKY])])
    explorer.slide(0)
    assert np.array_equal(explorer.noise.numpy(), before)


def test_paddles_random_state_is_neither_used_nor_changed(generator):
    def run():
        explorer = InstanceExplorer(generator, SCENE, TOWN.class_names)
        explorer.redraw()
        return explorer.image()

    paddle.seed(1)
    expected = paddle.randn([3]).numpy()
    paddle.seed(1)
    first = run()
    assert np.array_equal(paddle.randn([3]).numpy(), expected) and np.array_equal(run(), first)


def test_an_absent_instance_and_one_that_spans_classes(generator):
    label, instance = np.zeros([1, 32, 32], int), np.full([1, 32, 32], 2)
    label[0, 9:20], instance[0, 20:] = 3, 5  # 2 is 9 rows of class 0, then 11 of class 3
    explorer = InstanceExplorer(generator, il.Layout(label, instance, 14), TOWN.class_names)
    assert explorer.names == {2: "grass 2", 5: "sky 5"} and explorer.selected == 2
    with pytest.raises(ValueError, match=r"instance 0 is not in this scene; it has \[2, 5\]"):
        explorer.select(0)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda e: e.select(99), r"instance 99 is not in this scene; it has \[0, 1, "),
        (lambda e: e.select(-1), "instance -1 is not in this scene"),
        (lambda e: e.slide(1.01), r"t=1.01: expected a number from 0 to 1"),
        (lambda e: e.slide(-0.01), "t=-0.01"),
        (lambda e: e.slide(float("nan")), "t=nan"),
        (lambda e: e.slide(0.5, "cubic"), r"interpolation='cubic': expected one of \['spherical', 'linear'\]"),
        (lambda e: e.take(np.zeros([2, 5])), r"look: expected the shape \[2, 4\], got \[2, 5\]"),
        (lambda e: e.redraw(-1), "seed=-1: expected an integer of 0 or more"),
    ],
)
def test_what_is_impossible_is_one_clear_error_and_changes_nothing(explorer, act, message):
    explorer.select(CARS[0])
    explorer.slide(0.5)
    before = explorer.noise.numpy()
    with pytest.raises(ValueError, match=message):
        act(explorer)
    assert np.array_equal(explorer.noise.numpy(), before) and explorer.selected == CARS[0] and explorer.t == 0.5
    assert explorer.interpolation == "spherical"


def test_scene_and_names_must_suit_the_generator(generator):
    with pytest.raises(ValueError, match="scene: expected one image of 32x32"):
        InstanceExplorer(generator, il.ToyTown("val", 64, length=1)[0], TOWN.class_names)
    two = il.Layout(np.stack([SCENE["label"]] * 2), np.stack([SCENE["instance"]] * 2), 14)
    with pytest.raises(ValueError, match=r"scene: .* got Layout\(2 x 32 x 32"):
        InstanceExplorer(generator, two, TOWN.class_names)
    with pytest.raises(ValueError, match="class_names: expected 14 names, got 13"):
        InstanceExplorer(generator, SCENE, TOWN.class_names[1:])


# ---- The interpolations


@SEEDS
def test_spherical_keeps_the_norm_and_linear_does_not(random):
    a, b = random.standard_normal([2, 5, 2, 16]).astype("float32")
    b *= np.linalg.norm(a, axis=-1, keepdims=True) / np.linalg.norm(b, axis=-1, keepdims=True)
    for t in (0.1, 0.5, 0.8):
        arc, line = (f(paddle.to_tensor(a), paddle.to_tensor(b), t).numpy() for f in (spherical, linear))
        angle = np.arccos((a * b).sum(-1) / (a * a).sum(-1))
        assert np.allclose(np.linalg.norm(arc, axis=-1), np.linalg.norm(a, axis=-1), rtol=1e-5)
        assert np.allclose(np.arccos((a * arc).sum(-1) / (a * a).sum(-1)), t * angle, atol=1e-3)
        assert np.allclose(line, (1 - t) * a + t * b, atol=1e-6)
        assert (np.linalg.norm(line, axis=-1) < np.linalg.norm(a, axis=-1)).all()


def test_spherical_of_parallel_opposite_and_zero_vectors_is_finite(random):
    a = normal(random, 3, 8)
    assert np.allclose(spherical(a, a, 0.3).numpy(), a.numpy(), atol=1e-5)
    assert np.allclose(spherical(a, 2 * a, 0.5).numpy(), 1.5 * a.numpy(), atol=1e-4)
    for b in (-a, 0 * a):
        for t in (0, 0.5, 1):
            assert np.isfinite(spherical(a, b, t).numpy()).all() and np.isfinite(spherical(b, a, t).numpy()).all()
    assert np.array_equal(spherical(a, 0 * a, 1).numpy(), 0 * a.numpy())


def test_each_row_can_have_its_own_t(random):
    a, b = (normal(random, 3, 2, 4) for _ in range(2))
    t = paddle.to_tensor(np.float32([0, 0.4, 1]).reshape(3, 1, 1))
    out = spherical(a, b, t).numpy()
    assert np.array_equal(out[0], a[0].numpy()) and np.array_equal(out[2], b[2].numpy())
    assert np.allclose(out[1], spherical(a[1], b[1], 0.4).numpy(), atol=1e-6)


@SEEDS
def test_notebook_7_defines_what_the_package_has(random):
    notebook, (a, b) = load_definitions(7), (normal(random, 3, 2, 7) for _ in range(2))
    for name, function in (("spherical", spherical), ("linear", linear)):
        for t in (0, 0.3, 1):
            assert np.array_equal(notebook[name](a, b, t).numpy(), function(a, b, t).numpy()), name


# ---- The widget, its traits set as a front end sets them


@pytest.fixture
def panel(explorer):
    box = explorer.widget()
    assert explorer.widget() is box
    return explorer._panel


def shown(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_click_picks_the_instance_under_it(explorer, panel):
    assert np.array_equal(np.frombuffer(panel.canvas.ids, "<u2").reshape(32, -1), SCENE["instance"])
    assert panel.canvas.columns == 32 and panel.canvas.names[str(CARS[0])] == f"car {CARS[0]}"
    before = panel.canvas.png
    for instance in (CARS[0], CARS[1], CARS[0], SKY):
        panel.canvas.clicked = instance
        assert explorer.selected == panel.instance.value == instance
    panel.canvas.clicked = CARS[1]
    assert panel.canvas.png == panel.picture.value != before  # the line around it has moved
    panel.whole_class.value = True
    panel.canvas.clicked = SKY
    assert explorer.selected == SKY and explorer.whole_class and panel.whole_class.value


def test_the_canvas_takes_the_place_of_the_plain_picture_when_it_says_that_it_is_there(panel):
    plain, canvas = panel.box.children[:2]
    assert plain is panel.picture and canvas.children == (panel.canvas,)
    assert plain.layout.display != "none" and canvas.layout.display == "none"
    panel.canvas.ready = True
    assert plain.layout.display == "none" and canvas.layout.display != "none"


def test_dropdown_buttons_and_slider_call_the_methods(explorer, panel):
    start = explorer.noise.numpy()
    panel.instance.value = CARS[0]
    assert explorer.selected == panel.canvas.clicked == CARS[0]
    panel.again.click()
    new = explorer.noise.numpy()
    assert panel.t.value == 1 and np.array_equal(np.flatnonzero((new != start).any((0, 2, 3))), CARS[:1])
    panel.t.value = 0.5
    assert explorer.t == 0.5 and not np.array_equal(explorer.noise.numpy(), new)
    panel.interpolation.value = "linear"
    assert explorer.interpolation == "linear" and explorer.t == 0.5
    panel.whole_class.value = True
    panel.again.click()
    assert np.array_equal(np.flatnonzero((explorer.noise.numpy() != start).any((0, 2, 3))), CARS)
    panel.reset.click()
    assert np.array_equal(explorer.noise.numpy(), start) and panel.t.value == 0
    assert panel.interpolation.value == "spherical"


def test_every_action_draws_one_picture(explorer, panel, monkeypatch):
    image, drawn = explorer.image, []
    monkeypatch.setattr(explorer, "image", lambda: drawn.append(1) or image())
    panel.canvas.clicked = CARS[0]
    panel.again.click()
    panel.t.value = 0.5
    panel.whole_class.value = True
    explorer.redraw()
    panel.reset.click()
    assert len(drawn) == 6


def test_the_widget_follows_what_code_does(explorer, panel):
    picture = panel.picture.value
    explorer.select(CARS[1], whole_class=True)
    explorer.redraw(3)
    explorer.slide(0.34)
    assert (panel.instance.value, panel.whole_class.value, panel.t.value) == (CARS[1], True, 0.34)
    assert panel.picture.value != picture


def test_the_line_around_the_selected_hides_nothing_else(explorer, panel):
    explorer.select(CARS[0])
    image, enlarged = explorer.image(), shown(panel.picture.value)
    scale = enlarged.shape[0] // 32
    changed = (enlarged != image.repeat(scale, 0).repeat(scale, 1)).any(-1)
    mask = (SCENE["instance"] == CARS[0]).repeat(scale, 0).repeat(scale, 1)
    assert changed.any() and not changed[~mask].any() and changed[mask].mean() < 0.5


def test_without_ipywidgets_the_picture_is_shown_and_without_anywidget_there_is_no_canvas(explorer, monkeypatch):
    displayed = []
    monkeypatch.setattr("IPython.display.display", displayed.append)
    monkeypatch.setitem(__import__("sys").modules, "anywidget", None)
    explorer._ipython_display_()
    assert explorer._panel.canvas is None and displayed == [explorer.widget()]
    explorer._panel = None
    monkeypatch.setitem(__import__("sys").modules, "ipywidgets", None)
    explorer._ipython_display_()
    assert isinstance(displayed[1], Image.Image)
