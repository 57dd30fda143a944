"""The explorer's ONNX graphs paint what Paddle paints, and the page's folder holds what they need."""

import functools
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from helpers import blocks

import inade_lite as il  # isort: skip: before Paddle, which it prepares
import paddle

from inade_lite.explorer import graph, page, scenes
from inade_lite.methods import CLADE
from inade_lite.weights.pretrained import PRETRAINED

LIMIT = 1e-4
SHIPPED = [name for name in page.MODELS if (PRETRAINED / f"{name}.safetensors").is_file()]
MODELS = pytest.mark.parametrize("name", SHIPPED)
CLASSES = il.ToyTown.num_classes
MOST = 1000  # instances that the page allows
LAYOUTS = 5  # a kind of maps; there are 10 kinds


class Runner:
    """A graph in ONNX Runtime, on one thread: called with all that a graph may ask for, it takes what it needs."""

    def __init__(self, model):
        self.bytes = model.SerializeToString()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(self.bytes, options, providers=["CPUExecutionProvider"])
        self.needs = [node.name for node in self.session.get_inputs()]

    def __call__(self, **inputs):
        return self.session.run(None, {name: inputs[name] for name in self.needs})


@functools.lru_cache
def shipped(name):
    model = il.load_pretrained(name)
    return model, Runner(graph.generator_graph(model.generator))


def random_maps(random, size):
    """LAYOUTS maps of each kind, int32 [50, H, W] both: streets; few and many instances, as blocks and as pixels that
    span classes; a single instance; ids with wide gaps, up to the largest that the page allows."""
    n = LAYOUTS
    town = il.ToyTown("val", size)
    label = [[town[int(k)]["label"] for k in random.integers(0, len(town), n)]]
    instance = [[town[int(k)]["instance"] for k in random.integers(0, len(town), n)]]  # of other streets: all mixed
    streets = [town[int(k)] for k in random.integers(0, len(town), n)]
    label.append([street["label"] for street in streets])
    instance.append([street["instance"] for street in streets])
    for side in (1, size[0] // 8):
        for count in (3, 40, MOST):
            label.append(blocks(random, size, side, CLASSES, n))
            instance.append(blocks(random, size, side, count, n))
    label.append(blocks(random, size, size[0] // 2, CLASSES, n))
    instance.append(np.zeros([n, *size], int))
    label.append(blocks(random, size, size[0] // 4, 3, n) + CLASSES - 3)
    instance.append(blocks(random, size, size[0] // 4, 3, n) * (MOST // 3))
    return [np.concatenate([np.asarray(maps) for maps in kinds]).astype(np.int32) for kinds in (label, instance)]


def by_kind(label, instance, count=MOST):
    """Layouts of one kind each, with their maps; all have so many instances."""
    for first in range(0, len(label), LAYOUTS):
        part = slice(first, first + LAYOUTS)
        yield il.Layout(label[part], instance[part], CLASSES, count), label[part], instance[part]


def normal(random, *shape):
    return random.standard_normal(shape, dtype=np.float32)


@MODELS
def test_a_generators_graph_equals_paddle_on_50_random_layouts(random, name):
    (generator, *_), run = shipped(name)
    worst = 0
    for layout, label, instance in by_kind(*random_maps(random, generator.image_size)):
        noise = normal(random, LAYOUTS, MOST, 2, generator.noise_dim)
        latent = normal(random, LAYOUTS, generator.latent_dim)
        with paddle.no_grad():
            expected = generator(layout, paddle.to_tensor(noise), paddle.to_tensor(latent)).numpy()
        for k in range(LAYOUTS):
            in_blocks = np.repeat(noise[k : k + 1], len(generator.blocks), axis=0)
            (image,) = run(label=label[k], instance=instance[k], noise=in_blocks, latent=latent[k : k + 1])
            worst = max(worst, np.abs(image - expected[k]).max())
    print(f"{name}: {worst:.1e}")
    assert worst <= LIMIT


@MODELS
def test_an_encoders_graph_equals_paddle_on_50_random_layouts(random, name):
    (generator, encoder, *_), _ = shipped(name)
    run = Runner(graph.encoder_graph(encoder, generator.image_size, CLASSES))
    worst = 0
    for layout, label, instance in by_kind(*random_maps(random, generator.image_size)):
        picture = random.uniform(-1, 1, [LAYOUTS, 3, *generator.image_size]).astype(np.float32)
        with paddle.no_grad():
            params = [part.numpy() for part in encoder(paddle.to_tensor(picture), layout)]
        expected = [np.stack(params[:4:2], axis=2), np.stack(params[1:4:2], axis=2)]  # mu and logvar, [N, I, 2, Z]
        for k in range(LAYOUTS):
            told = run(label=label[k], instance=instance[k], picture=picture[k : k + 1])
            for ours, theirs in zip(told, expected, strict=True):
                rows = len(ours)
                worst = max(worst, np.abs(ours - theirs[k, :rows]).max())
                assert not theirs[k, rows:].any()  # beyond the largest id
                assert "instance" not in run.needs or rows == instance[k].max() + 1
    print(f"{name}: {worst:.1e}")
    assert worst <= LIMIT


@pytest.mark.parametrize("name", ["inade_positions", "class_noise"])
def test_each_block_hears_its_own_noise(random, name):
    (generator, *_), run = shipped(name)
    street = il.ToyTown("val", generator.image_size)[23]
    label, instance = (street[key].astype(np.int32) for key in ("label", "instance"))
    layout = il.Layout(label[None], instance[None], CLASSES)
    noise = normal(random, len(generator.blocks), layout.num_instances, 2, generator.noise_dim)
    latent = normal(random, 1, generator.latent_dim)
    hooks = []
    for block, own in zip(generator.blocks, noise, strict=True):
        own = paddle.to_tensor(own[None])
        hooks.append(block.register_forward_pre_hook(lambda _, inputs, own=own: (*inputs[:2], own)))
    with paddle.no_grad():
        expected = generator(layout, None, paddle.to_tensor(latent)).numpy()
    for hook in hooks:
        hook.remove()
    (image,) = run(label=label, instance=instance, noise=noise, latent=latent)
    assert np.abs(image - expected).max() <= LIMIT


@pytest.mark.parametrize("method", ["inade", "inade_positions", "class_noise", "spade_vae"])
@pytest.mark.parametrize("size, ups", [((32, 64), 2), ((64, 32), 5), ((128, 128), 6)])
def test_other_sizes(random, method, size, ups):
    """Wide, high and large maps, random weights that float16 cannot hold, as many up-samplings as there are."""
    config = {"noise_dim": 3, "latent_dim": 6, "base_channels": 2, "num_upsamplings": ups, "norm": "instance"}
    config["encoder_channels"] = 2
    generator = il.METHODS[method].new_generator(config, CLASSES, size)
    encoder = il.METHODS[method].new_encoder(config, generator)
    generator.eval()
    encoder.eval()
    label = blocks(random, size, 8, CLASSES, 1).astype(np.int32)
    instance = blocks(random, size, 8, 30, 1).astype(np.int32)
    layout = il.Layout(label, instance, CLASSES)
    noise = normal(random, 1, layout.num_instances, 2, 3)
    latent = normal(random, 1, 6)
    picture = random.uniform(-1, 1, [1, 3, *size]).astype(np.float32)
    with paddle.no_grad():
        expected = generator(layout, paddle.to_tensor(noise), paddle.to_tensor(latent)).numpy()
        params = encoder(paddle.to_tensor(picture), layout)
    maps = {"label": label[0], "instance": instance[0]}
    noise = np.repeat(noise, len(generator.blocks), axis=0)
    (image,) = Runner(graph.generator_graph(generator))(**maps, noise=noise, latent=latent)
    assert np.abs(image - expected).max() <= LIMIT
    mu, _ = Runner(graph.encoder_graph(encoder, size, CLASSES))(**maps, picture=picture)
    theirs = params.bias_mu.numpy()[0]
    assert np.abs(mu[:, 1] - theirs).max() <= LIMIT * max(1, np.abs(theirs).max())


@MODELS
def test_a_graph_takes_half_the_memory_of_its_weights(name):
    (generator, *_), run = shipped(name)
    numbers = sum(parameter.size for parameter in generator.parameters())
    assert len(run.bytes) < 2.05 * numbers + 100_000  # nodes and short tables
    (maximum,) = {opset.version for opset in onnx.load_from_string(run.bytes).opset_import}
    assert maximum == graph.OPSET


def test_what_has_no_graph_is_named():
    generator = il.METHODS["clade"].new_generator(
        {"noise_dim": 3, "latent_dim": 0, "base_channels": 2, "num_upsamplings": 2, "norm": "instance"}, 2, 8
    )
    with pytest.raises(ValueError, match=f"{CLADE.__name__} has no graph; expected one of INADE"):
        graph._modulate(graph.Graph(), generator.blocks[0].norm_0, None, None, None, None)
    generator = il.Generator(2, 8, 3, 4, base_channels=2, num_upsamplings=2, norm="batch")
    with pytest.raises(ValueError, match="BatchNorm has no graph; expected InstanceNorm"):
        graph.generator_graph(generator)
    with pytest.raises(ValueError, match="Linear has no graph; expected one of InstanceEncoder"):
        graph.encoder_graph(paddle.nn.Linear(1, 1), (16, 16), 2)


# ---- The folder


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page as it is built, but for what comes from npm, in whose place stand a few bytes, and with one model."""
    node = tmp_path_factory.mktemp("node")
    for name in (page.WASM, *page.VENDORED):
        (node / name).parent.mkdir(parents=True, exist_ok=True)
        (node / name).write_bytes(b"from npm")
    out = tmp_path_factory.mktemp("site") / "demo"
    files = page.build(out, node, names=SHIPPED[:1])
    return out, files


def test_the_page_describes_what_is_there(site):
    out, files = site
    index = json.loads((out / "models/models.json").read_text())
    assert list(index["models"]) == SHIPPED[:1]
    for model in index["models"].values():
        for part in ("generator", "encoder"):
            assert files[model[part]["path"]] == model[part]["bytes"]
        directions = np.array(model["directions"])  # [K, 2, Z]
        np.testing.assert_allclose((directions**2).sum((1, 2)), 1, atol=1e-4)
    assert files[index["runtime"]["path"]] == index["runtime"]["bytes"]
    assert index["runtime"]["script"] in files
    assert {"engine.js", "worker.js"} <= files.keys()


def test_the_pages_streets_are_toy_towns(site):
    out, files = site
    told = json.loads((out / "scenes.json").read_text())
    town = il.ToyTown("val", told["size"])
    names = [entry["name"] for entry in told["classes"]]
    assert names == town.class_names
    for entry in told["classes"]:
        assert set(entry["partOf"]) <= set(names) - {entry["name"]}
    assert len(told["scenes"]) == len(scenes.SCENES)
    for street in told["scenes"]:
        item = town[int(street["name"])]
        assert (scenes.unpack(street["label"], "u1", told["size"]) == item["label"]).all()
        assert (scenes.unpack(street["instance"], "<u2", told["size"]) == item["instance"]).all()
        assert street["picture"] in files


def test_a_street_has_the_same_instances_at_both_sizes_and_a_car_to_click():
    car = il.ToyTown.class_names.index("car")
    for k in scenes.SCENES:
        kinds = []
        for size in (64, 128):
            item = il.ToyTown("val", size)[k]
            ids, first, pixels = np.unique(item["instance"], return_index=True, return_counts=True)
            classes = item["label"].ravel()[first]
            kinds.append(dict(zip(ids.tolist(), classes.tolist(), strict=True)))
            assert pixels[classes == car].max() >= size**2 / 80
        assert kinds[0] == kinds[1]


def test_the_page_is_built_anew_and_only_over_a_page(site, tmp_path):
    node = site[0].parents[1] / "nowhere"
    with pytest.raises(FileNotFoundError, match="is missing; `npm ci` in tests/browser fetches it"):
        page.build(tmp_path / "page", node)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("keep me")
    with pytest.raises(FileExistsError, match="holds something else"):
        page.check_folder(tmp_path / "mine")
    assert (tmp_path / "mine/letter.txt").exists()
    page.check_folder(site[0])
    page.check_folder(tmp_path / "new")
