"""The explorer in a notebook: the pure picture of a state, and the messages of its widget, without a browser."""

import base64
import io
import json
import re

import numpy as np
import paddle
import pytest
from helpers import ROOT
from PIL import Image

import inade_lite as il
from inade_lite.explorer import Explorer, notebook, render
from inade_lite.explorer.notebook import (
    FRONT,
    bundle,
    gaussians,
    latent_of,
    mix,
    noise_of,
    numbers_of,
    paint,
    share_by_class,
)

RECORD = json.loads((ROOT / "tests/browser/unit/noise.json").read_text())
TOWN = il.ToyTown("val", 64)


@pytest.fixture(scope="module")
def model():
    return il.load_pretrained("inade_positions")


@pytest.fixture
def explorer(model):
    return Explorer({"inade_positions": model}, [TOWN[23], TOWN[5]])


def changed(a, b):
    return np.abs(a.astype(int) - b).mean(-1)


# ---- The noise of a state


def test_seeds_and_noise_are_the_numbers_of_the_page():
    for a, b, seed in RECORD["seeds"]:
        assert mix(a, b) == seed
    directions = np.float32(RECORD["directions"]).reshape(2, 2, 4)
    noise = noise_of(RECORD["state"], count=5, noise_dim=4, blocks=3, directions=directions)
    assert noise.shape == (3, 5, 2, 4) and noise.dtype == np.float32
    assert np.allclose(noise.ravel(), RECORD["noise"], atol=3e-6)
    looks = {i: look for i, look in RECORD["state"]["looks"].items() if i != "1"}
    state = {**RECORD["state"], "looks": looks}
    noise = noise_of(state, count=5, noise_dim=4, blocks=3, directions=directions)
    shared = share_by_class(noise, state, np.array([0, 0, 1, 1, 1]), np.arange(5))
    assert np.allclose(shared.ravel(), RECORD["noise_class"], atol=3e-6)
    for level in ("instance", "image"):
        assert np.allclose(latent_of(RECORD["state"], 5, level), RECORD[f"latent_{level}"], atol=3e-6)


def test_gaussians_are_normal_and_an_atom_suits_every_noise_dim():
    many = gaussians(5, 20001)
    assert many.shape == (20001,) and abs(many.mean()) < 0.03 and abs(many.std() - 1) < 0.02
    atom = notebook.atom_of([[1, 2, 9], [-1, 0.26, -9]])
    assert numbers_of(atom, 2).tolist() == [[1, 2], [-1, 0.25]]
    assert numbers_of(atom, 4).tolist() == [[1, 2, 3.96875, 0], [-1, 0.25, -4, 0]]


# ---- Pictures


def test_render_is_pure_and_one_look_changes_one_thing(explorer):
    state = json.loads(json.dumps(explorer.state))
    paddle.seed(1)
    expected = paddle.randn([3]).numpy()
    paddle.seed(1)
    before = explorer.render(state)
    after = explorer.render({**state, "looks": {"15": {"a": 3}}})
    inside = TOWN[23]["instance"] == 15
    assert before.shape == (64, 64, 3) and before.dtype == np.uint8
    assert changed(before, after)[inside].mean() > 8 and changed(before, after)[~inside].mean() < 0.5
    assert np.array_equal(explorer.render(state), before) and state == explorer.state
    assert np.array_equal(paddle.randn([3]).numpy(), expected)  # Paddle's random state is neither used nor changed


def test_one_noise_for_all_blocks_is_the_generator_itself(model):
    layout = il.Layout.of(il.collate([TOWN[5]]), TOWN)
    noise = il.sample_noise(layout, 8, seed=1)
    latent = paddle.to_tensor(gaussians(2, 64)).unsqueeze(0)
    with paddle.no_grad():
        expected = il.figures.to_image(model.generator(layout, noise, latent))[0]
    maps = TOWN[5]["label"], TOWN[5]["instance"]
    stacked = np.repeat(noise.numpy(), 7, 0)
    assert np.array_equal(paint(model.generator, *maps, stacked, latent.numpy()[0]), expected)
    stacked[6] += 1e-7  # so that every block is fed by itself
    assert changed(paint(model.generator, *maps, stacked, latent.numpy()[0]), expected).max() <= 1
    stacked[:6] = 0
    assert changed(paint(model.generator, *maps, stacked, latent.numpy()[0]), expected).mean() > 0.5


def saved(explorer, state, **others):
    """What the front end saves."""
    label, instance = TOWN[23]["label"].astype("u1"), TOWN[23]["instance"].astype("<u2")
    count = int(instance.max()) + 1
    arrays = {
        "label": label,
        "instance": instance,
        "noise": noise_of(state, count, 8, 7),
        "latent": latent_of(state, 64, "instance"),
    }
    coded = {name: base64.b64encode(array.tobytes()).decode() for name, array in arrays.items()}
    return {"format": "inade-street", "state": state, "model": state["model"], "count": count, **coded, **others}


def test_a_saved_street_is_painted_as_its_state(explorer, model):
    state = {**explorer.state, "looks": {"15": {"a": 3, "b": 8, "t": 0.5}}}
    street = json.loads(json.dumps(saved(explorer, state)))
    assert np.array_equal(explorer.render(street), explorer.render(state))
    assert np.array_equal(render(street, model.generator), explorer.render(state))


def test_what_cannot_be_painted_is_one_clear_error(explorer, model):
    state = explorer.state
    edits = [{"op": "delete", "ids": [14]}]
    for wrong, message in (
        ({**state, "edits": edits}, "save the street"),
        ({**state, "scene": "nowhere"}, "it has no maps"),
        ({**state, "model": "spade"}, r"model='spade': expected one of 'inade_positions'"),
        (saved(explorer, state, latent="AAAA"), "latent: expected 64 numbers, got 0.75"),
        (saved(explorer, state, label=base64.b64encode(b"0000").decode()), "label: expected 64 x 64 numbers, got 4"),
        (saved(explorer, state, count=3), "noise: expected 7 x 3 x 2 x 8 numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            explorer.render(wrong)
    with pytest.raises(ValueError, match="scene 0: the model paints 64x64, the maps have 32x32"):
        Explorer({"m": model}, il.ToyTown("val", 32)[0])
    many = {**TOWN[5], "instance": np.arange(64 * 64).reshape(64, 64)}
    with pytest.raises(ValueError, match="4096 instances; the explorer takes 1000"):
        Explorer({"m": model}, many)


# ---- The messages of the widget


def ask(explorer, kind, buffers=(), **content):
    return explorer._answer({"id": 1, "kind": kind, **content}, [memoryview(bytes(b)) for b in buffers])


def maps_as_bytes():
    return TOWN[23]["label"].astype("u1").tobytes(), TOWN[23]["instance"].astype("<u2").tobytes()


def test_the_kernel_paints_what_it_is_asked_for(explorer):
    noise, latent = noise_of(explorer.state, 22, 8, 7), latent_of(explorer.state, 64, "instance")
    buffers = [*maps_as_bytes(), noise.tobytes(), latent.tobytes()]
    _, (rgb,) = ask(explorer, "paint", buffers, count=22, model="inade_positions")
    assert np.array_equal(np.frombuffer(rgb, np.uint8).reshape(64, 64, 3), explorer.image())
    assert len(rgb) == 64 * 64 * 3  # 64 pixels are sent, the front end makes them large


def test_the_kernel_tells_looks_and_models_and_keeps_the_state(explorer, model):
    rgb = TOWN[23]["image"].astype("<f4").tobytes()
    _, (mu, logvar) = ask(explorer, "encode", [*maps_as_bytes(), rgb], count=22, model="inade_positions")
    layout = il.Layout.of(il.collate([TOWN[23]]), TOWN)
    with paddle.no_grad():
        told = model.encoder(paddle.to_tensor(TOWN[23]["image"][None]), layout)
    assert np.allclose(np.frombuffer(mu, "<f4").reshape(22, 2, 8)[:, 1], told.bias_mu[0].numpy(), atol=1e-5)
    assert np.allclose(np.frombuffer(logvar, "<f4").reshape(22, 2, 8)[:, 0], told.scale_logvar[0].numpy(), atol=1e-5)
    about, (directions,) = ask(explorer, "load", name="inade_positions")
    assert about["model"]["blocks"] == 7 and about["model"]["level"] == "instance" and len(directions) == 4 * 4 * 16
    state = {**explorer.state, "seed": 9}
    assert ask(explorer, "state", state=state) is None
    assert explorer.state == state and np.array_equal(explorer.image(), explorer.render(state))


def test_frames_become_an_animation(explorer):
    frames = [np.full([64, 64, 4], value, np.uint8).tobytes() for value in (0, 255, 60)]
    _, (gif,) = ask(explorer, "animate", frames, size=64, delay=80)
    assert Image.open(io.BytesIO(gif)).n_frames == 3


def test_the_widget_answers_errors_with_a_sentence_and_sets_no_trait(explorer, monkeypatch):
    widget, sent = explorer.widget(), []
    assert explorer.widget() is widget
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append((content, buffers)))
    before = widget.get_state()
    widget._handle_custom_msg({"id": 7, "kind": "load", "name": "inade_positions"}, [])
    widget._handle_custom_msg({"id": 8, "kind": "paint", "model": "inade_positions", "count": 22}, [b"1"])
    widget._handle_custom_msg({"id": 0, "kind": "state", "state": {**explorer.state, "seed": 4}}, [])
    assert [content["id"] for content, _ in sent] == [7, 8] and "error" in sent[1][0]
    # A trait that changes is written into the notebook and calls it modified.
    assert widget.get_state() == before


def test_the_front_end_gets_its_streets_once(explorer):
    place = explorer._place()
    assert [street["name"] for street in place["scenes"]["scenes"]] == [TOWN[23]["name"], TOWN[5]["name"]]
    assert place["scenes"]["models"] == [{"name": "inade_positions", "title": "inade_positions"}]
    assert place["scenes"]["classes"][10]["name"] == "car" and len(json.dumps(place)) < 60_000


def test_a_still_picture_stands_before_the_widget(explorer, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda what, raw=False: shown.append(what))
    explorer._ipython_display_()
    picture = np.asarray(Image.open(io.BytesIO(shown[0]["image/png"])))
    assert "make play" in shown[1].data and shown[2:] == [explorer.widget()]
    assert list(picture.shape[1::-1]) == explorer._place()["still"]
    assert picture.shape == (192, 4 * 192 + 3 * 8, 4) and (picture[:, 192:200, 3] == 0).all()
    shown.clear()
    monkeypatch.setitem(__import__("sys").modules, "anywidget", None)
    explorer._widget = None
    explorer.page = "site/index.html"
    explorer._ipython_display_()
    assert len(shown) == 2 and "site/index.html" in shown[1].data


def test_models_by_name_and_a_street_of_ones_own():
    explorer = Explorer(["inade", "class_noise"], TOWN[5], classes=TOWN, seed=3)
    assert explorer.titles == {"inade": "INADE", "class_noise": "class-level noise"}
    assert explorer.state["scene"] == TOWN[5]["name"]
    other = explorer.render({**explorer.state, "model": "class_noise"})
    assert not np.array_equal(other, explorer.image())
    again = explorer.render({**explorer.state, "model": "class_noise", "looks": {"12": {"a": 3}}})
    same_class = TOWN[5]["label"] == TOWN[5]["label"][TOWN[5]["instance"] == 12][0]
    assert changed(again, other)[same_class].mean() > changed(again, other)[~same_class].mean()


# ---- The bundle


def test_the_bundle_is_one_module_in_which_everything_is_defined_before_it_is_used():
    text = bundle("widget.js")
    assert not re.search(r"^import ", text, re.M) and re.findall(r"^export .*", text, re.M) == [
        "export default { render };"
    ]
    defined = re.findall(r"^const (module_\w+) = ", text, re.M)
    assert len(defined) == len(set(defined)) and "module_app_js" in defined and "module_engine_js" not in defined
    for name in defined:
        assert text.index(name) == text.index(f"const {name} = ") + len("const ")


def test_all_front_end_imports_are_of_the_form_that_the_bundle_knows():
    for path in FRONT.glob("*.js"):
        source = path.read_text()
        statements = re.findall(r"^import .*?;\n", source, re.M | re.S)
        assert len(statements) == len(notebook.IMPORT.findall(source)), path.name
        if path.name not in ("widget.js", "worker.js"):
            exports = re.findall(r"^export ", source, re.M)
            assert len(exports) == len(notebook.EXPORT.findall(source)), path.name
