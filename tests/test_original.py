"""The package against the numbers of the authors' implementation: outputs, gradients, buffers and training steps.

The numbers are those of tests/original, or of the folder that INADE_LITE_ORIGINAL names. Cases come from the files'
keys: every array of a file is either among what is GIVEN, or expected and compared. An expected array that nothing here
computes fails the test.
"""

import json
import os
import re
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import paddle
import pytest
from helpers import ON_CPU

import inade_lite as il
from inade_lite import losses, training
from inade_lite.maps import nearest_indices
from inade_lite.weights.original import load_original, original_name, original_names

FOLDER = Path(os.environ.get("INADE_LITE_ORIGINAL") or Path(__file__).parent / "original")
NUMBERS = {path.stem: dict(np.load(path)) for path in sorted(FOLDER.glob("*.npz"))}
if not NUMBERS:
    raise FileNotFoundError(f"{FOLDER} holds no .npz files; INADE_LITE_ORIGINAL must name a folder that does")
# {file:key: [the original's own rounding, the largest value]}; a set may come without it
ROUNDING = FOLDER / "f32_noise.json"
ROUNDING = json.loads(ROUNDING.read_text()) if ROUNDING.is_file() else {}

# How many of the leading parts of a key name the case, by file.
DEPTH = {"nearest": 0, "inade_layer": 2, "instance_conv": 1, "encoder": 0, "generator": 2, "generator_weights": 0}
DEPTH |= {"discriminator": 0, "losses": 0, "train_step": 0}
ARRAY = "(^|(?<!grad)/)"  # in the file, in a group or a case; grad/x is none of them
MAPS = rf"{ARRAY}(label|inst)$"
GIVEN = {
    "inade_layer": rf"{MAPS}|{ARRAY}(x|noise|cot|sketch_map)$|(^|/)sd/",
    "instance_conv": rf"{MAPS}|{ARRAY}(x|cot)$|(^|/)sd/",
    "encoder": rf"{MAPS}|^image$|^cot/|^sd/",
    "generator": rf"{MAPS}|{ARRAY}(noise|noise_ins|z[0-3]|cot)$",
    "generator_weights": r"(^|/)sd(_bn)?/",
    "discriminator": rf"{MAPS}|^image$|^sd/",
    "losses": r"^pred_(fake|real)/|^(scale|bias)_(mu|logvar)$",
    "train_step": rf"{MAPS}|^image$|^sd_[GED]/|^step\d+/noise(_ins)?$",
}

# Floating point on a GPU sums in another order, and its convolutions may take shortcuts.
LOOSER = 1 if ON_CPU else 10
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")  # 10 bits of mantissa would not do


class Case:
    """One case of a file. `expected` holds its arrays without the case's name in front."""

    def __init__(self, file, name):
        self.file, self.name, self.arrays, self.expected = file, name, NUMBERS[file], {}
        self.meta = json.loads(str(self.arrays["meta"])) if "meta" in self.arrays else {}

    def __str__(self):
        return "-".join(filter(None, [self.file, self.name]))

    def find(self, key):
        """An array of the case, else of the group it belongs to, else of the file; None if there is none."""
        parts = self.name.split("/")
        names = ["/".join([*parts[:depth], key]) for depth in range(len(parts), -1, -1)]
        return next((self.arrays[name] for name in names if name in self.arrays), None)

    def given(self, key):
        array = self.find(key)
        if array is None:
            raise KeyError(f"{self}: {key} is not in the file")
        return array

    def state(self, folder="sd"):
        return below(self.arrays, f"{self.name}/{folder}/" if self.name else f"{folder}/")

    def layout(self, num_classes=1, num_instances=None):
        instance = self.given("inst")
        label = np.zeros_like(instance) if self.find("label") is None else self.given("label").astype(int)
        if self.meta.get("contain_dontcare_label"):
            label = np.where(label == 255, num_classes - 1, label)
        return il.Layout(label, instance, num_classes, num_instances)

    def path(self, key):
        """Where an expected array is, as f32_noise.json has it: file:key."""
        return f"{self.file}:{self.name}/{key}" if self.name else f"{self.file}:{key}"

    def wants(self, part):
        return any(part in key for key in self.expected)


def below(arrays, prefix):
    return {key[len(prefix) :]: array for key, array in arrays.items() if key.startswith(prefix)}


def find_cases():
    cases = {}
    for file, arrays in NUMBERS.items():
        for key in arrays:
            if key == "meta" or re.search(GIVEN.get(file, "$^"), key):
                continue
            parts = key.split("/")
            depth = DEPTH.get(file, 0)
            # What is too short to belong to a case can be computed from the group's maps alone, or not at all.
            name = "/".join(parts[: depth if len(parts) > depth else 0])
            case = cases.setdefault((file, name), Case(file, name))
            case.expected[key[len(name) + 1 :] if name else key] = arrays[key]
    return list(cases.values())


# ---- Each computes, from what a case is given, {key: array} of all that it may expect


def nearest(case):
    ratios = {key: re.fullmatch(r"(\d+)_to_(\d+)", key) for key in case.expected}
    return {key: nearest_indices(int(m[1]), int(m[2])) for key, m in ratios.items() if m}


def edges(case):
    """The edge channels of all groups of a file."""
    maps = {key: case.given(re.sub("edge$", "inst", key)) for key in case.expected if re.search("(^|/)edge$", key)}
    return {key: il.Layout(np.zeros_like(m), m, 1).edges()[:, 0] for key, m in maps.items()}


def inade_layer(case):
    state = case.state()
    (num_classes, channels, _), noise_dim = state["weight"].shape, state["fc_noise.weight"].shape[1]
    norm = "batch" if "param_free_norm.running_mean" in state else "instance"
    with_sketch = "sketch_conv.weight" in state
    layer = il.INADE(channels, num_classes, noise_dim, norm, with_sketch)
    load(layer, state, "train" in case.name)
    x, noise = leaf(case.given("x")), leaf(case.given("noise"))
    sketch = tensor(case.given("sketch_map")) if with_sketch else None
    out = layer(x, case.layout(num_classes, noise.shape[1]), noise, sketch)
    ours = {"out": out} | gradients(case, lambda: (out * tensor(case.given("cot"))).sum(), layer, x=x, noise=noise)
    if norm == "batch":
        ours |= {"running_mean_after": layer.norm.running_mean, "running_var_after": layer.norm.running_var}
    return ours


def instance_conv(case):
    state = case.state()
    out_channels, in_channels, kernel_size, _ = state["weight"].shape
    stride = {c["name"]: c["stride"] for c in case.meta["cases"]}[case.name]
    layer = il.InstanceConv2D(in_channels, out_channels, kernel_size, stride, case.meta["padding"])
    load(layer, state)
    x = leaf(case.given("x"))
    out = layer(x, case.layout())
    return {"out": out} | gradients(case, lambda: (out * tensor(case.given("cot"))).sum(), layer, x=x)


def encoder(case):
    state = case.state()
    network = il.InstanceEncoder(state["scale_conv_mu.weight"].shape[0], state["layer1.weight"].shape[0])
    load(network, state)
    ours, image, cot = record(network), leaf(case.given("image")), below(case.arrays, "cot/")
    names = iter([*(f"act/norm{i}" for i in range(1, 5)), "act/norm_middle", *(f"act/norm_up{i}" for i in range(1, 4))])

    def recording(x):
        ours[next(names)] = y = il.kernels.instance_norm(x)
        return y

    def objective():
        return sum((getattr(params, name) * tensor(array)).sum() for name, array in cot.items())

    layout = case.layout(num_instances=cot["scale_mu"].shape[1] if cot else None)
    with mock.patch.object(il.encoder, "instance_norm", recording):
        params = network(image, layout)
    assert next(names, None) is None, "the encoder normalizes after each of its 8 convolutions"
    ours |= params._asdict()
    ours |= gradients(case, objective, network, image=image)
    ours = {name: array_of(value) for name, value in ours.items()}

    # Biases that the normalization takes away have gradient 0, and rounding near what is tolerated. Other values of
    # them, and other scales of the objective, change nothing but the rounding: the mean has less of it.
    zeros = [key for key, value in case.expected.items() if is_structural_zero(key, value)]
    for k in range(1, 8) if zeros else ():
        for name, t in tensors(network).items():
            t.set_value(tensor(state[name]) * (1 - k / 4 if f"grad/{name}" in zeros else 1))
            t.clear_gradient()
        params = network(image, layout)
        again = gradients(case, lambda k=k: objective() * (1 + k / 8), network)
        ours |= {key: ours[key] + again[key] for key in zeros}
    return ours | {key: ours[key] / 8 for key in zeros}


def generator(case):
    group, kind = case.name.split("/")
    weights = NUMBERS["generator_weights"]
    norm = "batch" if "batch" in kind else "instance"
    state = {}
    for folder in ("sd", "sd_bn")[: 1 + (norm == "batch")]:
        state |= below(weights, f"{folder}/") | below(weights, f"{group}/{folder}/")
    noise, latent = leaf(case.given("noise")), leaf(case.given("noise_ins"))
    network = new_generator(state, case.given("label").shape[1:], norm)
    load(network, state, "train" in kind)
    ours, leaves, used = record(network), {"noise": noise, "noise_ins": latent}, noise
    if "novae" not in kind:
        z = {f"z{i}": leaf(case.given(f"z{i}")) for i in range(4)}
        leaves |= z  # the files hold exp(logvar / 2) in the place of logvar
        params = il.NoiseParams(z["z0"], 2 * z["z1"].log(), z["z2"], 2 * z["z3"].log())
        used = il.remap_noise(noise, params)
    out = network(case.layout(network.num_classes, noise.shape[1]), used, latent)
    ours |= {"out": out} | {f"after/{name}": t for name, t in tensors(network).items()}
    # The original does not count its batches, nor do we.
    ours |= {f"after/{name}": array for name, array in state.items() if name.endswith("num_batches_tracked")}
    return ours | gradients(case, lambda: (out * tensor(case.given("cot"))).sum(), network, **leaves)


def discriminator(case):
    state = case.state()
    network = new_discriminator(state)
    load(network, state)
    layout = case.layout(state["discriminator_0.model0.0.weight"].shape[1] - 4)
    image, ours = leaf(case.given("image")), {}
    x = paddle.concat([layout.semantics(), layout.edges(), image], axis=1)
    for prefix in ("", "train/"):  # evaluation first: it leaves the spectral norm's vectors alone
        network.train() if prefix else network.eval()
        outputs = network(x)
        for i, layers in enumerate(outputs):
            ours |= {f"{prefix}out/{i}/{j}": t for j, t in enumerate(layers)} | {f"{prefix}out/{i}/last": layers[-1]}
        if not prefix:
            signed = [(-1) ** (i + j) * (t**2).mean() for i, o in enumerate(outputs) for j, t in enumerate(o)]
            ours |= gradients(case, lambda signed=signed: sum(signed), network, image=image)
    return ours | {f"train/after/{name}": t for name, t in tensors(network).items()}


def losses_(case):
    kl_fields = [name for name in il.NoiseParams._fields if case.find(name) is not None]

    def leaves():
        """pred_fake, pred_real: for each scale the layers' outputs; and the encoder's."""
        found = []
        for name in ("pred_fake", "pred_real"):
            keys = sorted(tuple(map(int, key.split("/"))) for key in below(case.arrays, f"{name}/"))
            scales = [[] for _ in range(keys[-1][0] + 1)]
            for i, j in keys:
                scales[i].append(leaf(case.given(f"{name}/{i}/{j}")))
            found.append(scales)
        return *found, [leaf(case.given(name)) for name in kl_fields]

    def grads_of(part, name, scales):
        named = {f"{part}_grad_{name}/{i}/{j}": grad(t) for i, o in enumerate(scales) for j, t in enumerate(o)}
        return named | {f"{part}_grad_{name}/{i}/last": grad(o[-1]) for i, o in enumerate(scales)}

    ours = {}
    for mode in sorted({key.split("/")[0] for key in case.expected if re.search("/[GD]_", key)}):
        fake, real, params = leaves()
        terms = {"G_GAN": losses.adversarial_loss(fake, mode)}
        terms["G_GAN_Feat"] = case.meta["lambda_feat"] * losses.feature_matching_loss(fake, real)
        if params:
            terms["G_KLD"] = 0.5 * case.meta["lambda_kld"] * il.kl_divergence(il.NoiseParams(*params))
        sum(terms.values()).backward()
        terms |= grads_of("G", "pred_fake", fake)
        terms |= {f"G_grad_{name}": grad(t) for name, t in zip(kl_fields, params, strict=True)}
        fake, real, _ = leaves()
        terms["D_Fake"], terms["D_real"] = losses.discriminator_losses(fake, real, mode)
        (terms["D_Fake"] + terms["D_real"]).backward()
        terms |= grads_of("D", "pred_fake", fake) | grads_of("D", "pred_real", real)
        ours |= {f"{mode}/{name}": value for name, value in terms.items()}

    fake, real, params = leaves()
    if params:
        zero = paddle.zeros_like(params[0])
        ours["kld_scale_raw"] = il.kl_divergence(il.NoiseParams(*params[:2], zero, zero))
        ours["kld_bias_raw"] = il.kl_divergence(il.NoiseParams(zero, zero, *params[2:]))
    for i, (fakes, reals) in enumerate(zip(fake, real, strict=True)):
        for j, pair in enumerate(zip(fakes, reals, strict=True)):
            f, r = ([[t, t]] for t in pair)  # the last of a scale counts as its score
            ours[f"l1/{i}/{j}"] = losses.feature_matching_loss(f, r, first_layer=0)
    return ours


def train_step(case):
    """Steps G, D, G, D ... by the package's Trainer, with the recorded draws. Also returns what is tolerated."""
    meta, states = case.meta, {part: case.state(f"sd_{part}") for part in "GED"}
    num_classes = states["D"]["discriminator_0.model0.0.weight"].shape[1] - 4
    norm = "batch" if any("running_mean" in name for name in states["G"]) else "instance"
    shape = new_generator(states["G"], case.given("label").shape[1:], norm)
    rates = {"G": meta["G_lr"], "E": meta["G_lr"], "D": meta["D_lr"]}
    config = il.TrainConfig(
        noise_dim=shape.noise_dim,
        latent_dim=shape.latent_dim,
        base_channels=shape.blocks[0].conv_0.weight.shape[0] // 16,
        encoder_channels=states["E"]["layer1.weight"].shape[0],
        discriminator_channels=states["D"]["discriminator_0.model0.0.weight"].shape[0],
        num_upsamplings=num_upsamplings(shape),
        discriminator_scales=meta["num_D"],
        discriminator_layers=meta["n_layers_D"],
        norm=norm,
        gan_mode=meta.get("gan_mode", "hinge"),
        lambda_feature=meta["lambda_feat"],
        lambda_kl=meta["lambda_kld"],
        lambda_pixel=0.0,
        plain_share=0.0,
        fresh_fakes=True,
        batch_size=len(case.given("image")),
        learning_rate_g=rates["G"],
        learning_rate_d=rates["D"],
        beta1=meta["betas"][0],
        beta2=meta["betas"][1],
    )
    batch = {
        "image": case.given("image"),
        "label": case.layout(num_classes).label.numpy(),
        "instance": case.given("inst"),
    }
    trainer = il.Trainer(config, Items(batch, num_classes))
    networks = {"G": trainer.generator, "E": trainer.encoder, "D": trainer.discriminator}
    for part, network in networks.items():
        load(network, states[part], train=True)
    last = max(int(m[1]) for m in (re.match(r"step(\d+)/", key) for key in case.expected) if m)
    draws = {name: [case.find(f"step{i}/{name}") for i in range(last + 2)] for name in ("noise", "noise_ins")}
    # A last G step without a D step behind it: the D step that Trainer.step makes is not looked at.
    draws = {name: iter([tensor(a if a is not None else arrays[0]) for a in arrays]) for name, arrays in draws.items()}
    ours, step = {}, iter(range(last + 2))

    def drop_rounding(part, norms, expected):
        """A bias whose effect is normalized away has gradient 0; of its rounding Adam would make a step of its rate."""
        zero = norms < 1e-6 if expected is None else expected < 1e-11
        for name, is_zero in zip(meta["param_names"][part], zero, strict=True):
            if is_zero and name.endswith(".bias"):
                tensors(networks[part])[name].clear_gradient(set_to_zero=True)

    def keep(optimizer, parts):
        update = optimizer.step

        def recorded():
            i, found = next(step), {}
            for part in parts:
                grads = {name: grad(t) for name, t in tensors(networks[part]).items() if not t.stop_gradient}
                found |= {f"grad_{part}/{name}": g for name, g in grads.items()}
                ordered = [grads[name].astype(float) for name in meta["param_names"][part]]
                norms = found[f"gradnorm_{part}"] = np.array([np.sqrt((g**2).sum()) for g in ordered])
                found[f"gradsum_{part}"] = np.array([g.sum() for g in ordered])
                drop_rounding(part, norms, case.expected.get(f"step{i}/gradnorm_{part}"))
            update()
            for part, network in networks.items():
                for name, t in tensors(network).items():
                    found[f"after_{part}/{name}" if not t.stop_gradient else f"buf_{part}/{name}"] = array_of(t)
            ours.update({f"step{i}/{key}": value for key, value in found.items()})

        return mock.patch.object(optimizer, "step", recorded)

    drawn = iter(range(last + 2))
    trainer.generator.register_forward_post_hook(
        lambda _, inputs, image: ours.update({f"step{next(drawn)}/fake": array_of(image)})
    )
    with (
        mock.patch.object(training, "start", lambda *_: (next(draws["noise"]), next(draws["noise_ins"]))),
        keep(trainer.optimizer_g, "GE"),
        keep(trainer.optimizer_d, "D"),
    ):
        for i in range(0, last + 1, 2):
            terms = trainer.step(batch)
            names = {"KLD": "kl", "GAN": "adversarial", "GAN_Feat": "feature"}
            ours |= {f"step{i}/loss/{theirs}": terms[name] for theirs, name in names.items()}
            ours |= {f"step{i + 1}/loss/D_Fake": terms["fake"], f"step{i + 1}/loss/D_real": terms["real"]}
    return ours, adam_noise(case, ours, rates)


def adam_noise(case, ours, rates):
    """Where a gradient is as small as its rounding, Adam's first steps have its sign at most: allow their length."""
    tolerated = {}
    for key in case.expected:
        if m := re.match(r"step(\d+)/after_([GED])/(.*)", key):
            of = f"step{m[1]}/grad_{m[2]}/{m[3]}"
            gradient = np.abs(case.expected.get(of, ours.get(of, np.inf)))
            tolerated[key] = np.where(gradient > 1e-6, 0, rates[m[2]] * (int(m[1]) // 2 + 1))
    return tolerated


COMPUTE = {"nearest": nearest, "inade_layer": inade_layer, "instance_conv": instance_conv, "encoder": encoder}
COMPUTE |= {"generator": generator, "discriminator": discriminator, "losses": losses_, "train_step": train_step}


# ---- Networks and tensors


class Items(list):
    """A data set of the images of one batch."""

    def __init__(self, batch, num_classes):
        super().__init__({name: array[i] for name, array in batch.items()} for i in range(len(batch["image"])))
        self.num_classes, self.class_names = num_classes, [str(i) for i in range(num_classes)]


def new_generator(state, size, norm):
    """A Generator with the sizes of a state; how often it doubles follows from fc and the image's size."""
    (start, latent_dim), wide = state["fc.weight"].shape, state["head_0.conv_0.weight_orig"].shape[0]
    num_classes, noise_dim = state["head_0.norm_0.weight"].shape[0], state["head_0.norm_0.fc_noise.weight"].shape[1]
    ups = next(k for k in (5, 6, 7) if size[0] * size[1] * wide == start * 4**k)
    return il.Generator(num_classes, tuple(size), noise_dim, latent_dim, wide // 16, ups, norm)


def num_upsamplings(generator):
    return (generator.image_size[0] // generator.start_size[0]).bit_length() - 1


def new_discriminator(state):
    scales = 1 + max(int(re.match(r"discriminator_(\d)", name)[1]) for name in state)
    layers = max(int(re.search(r"model(\d)", name)[1]) for name in state)
    channels, in_channels = state["discriminator_0.model0.0.weight"].shape[:2]
    return il.MultiscaleDiscriminator(in_channels, channels, scales, layers)


def load(model, state, train=False):
    load_original(model, state)
    model.train() if train else model.eval()


def tensors(model):
    """The model's parameters and buffers under the original's names."""
    own = model.state_dict()
    return {theirs: own[ours] for theirs, ours in original_names(model).items()}


def record(model):
    """A dict that will hold what every layer of the model returns, as act/<the original's name>."""
    acts = {}

    def keep(name, layer, inputs, output):
        acts[f"act/{original_name(name)}"] = output

    for name, layer in model.named_sublayers():
        layer.register_forward_post_hook(partial(keep, name))
    return acts


def tensor(array):
    return paddle.to_tensor(array.astype("float32"))


def leaf(array):
    t = tensor(array)
    t.stop_gradient = False
    return t


def array_of(t):
    """As the original has it: a parameter with two dimensions is that of a Linear, which PyTorch stores transposed."""
    array = t.numpy() if isinstance(t, paddle.Tensor) else np.asarray(t)
    return array.T if isinstance(t, paddle.Tensor) and t.persistable and array.ndim == 2 else array


def grad(t):
    array = np.zeros(t.shape, "float32") if t.grad is None else t.grad.numpy()
    return array.T if t.persistable and array.ndim == 2 else array


def gradients(case, objective, model, **inputs):
    """Those of the objective, as grad/<name>, if the case expects any."""
    if not case.wants("grad/"):
        return {}
    objective().backward()
    named = inputs | {name: t for name, t in tensors(model).items() if not t.stop_gradient}
    return {f"grad/{name}": grad(t) for name, t in named.items()}


# ---- The comparison


def tolerance(case, key, value):
    """As the numbers' README derives it from the original's own rounding, below 7e-6 of an array's largest value."""
    if not np.issubdtype(value.dtype, np.floating):
        return 0.0
    size = float(np.abs(value).max())
    if not re.search(r"(^|/|_)grad(_|/|norm_|sum_)", key):
        return LOOSER * 2e-5 * max(1.0, size)
    if is_structural_zero(key, value):
        return LOOSER * max(1e-6, 2 * ROUNDING.get(case.path(key), [0.0])[0])
    return LOOSER * 1e-4 * size


def is_structural_zero(key, value):
    """The gradient of a bias in front of a normalization, or of one of a hinge that cancels: zero but for rounding."""
    return bool(re.search(r"(^|/)grad(_\w+)?/.*\.bias$", key)) and float(np.abs(value).max()) < 1e-11


@pytest.mark.parametrize("case", find_cases(), ids=str)
def test_original(case, record_property):
    compute = COMPUTE.get(case.file) if case.name or not DEPTH.get(case.file) else None
    ours, tolerated = (compute(case) if compute else {}), {}
    if isinstance(ours, tuple):
        ours, tolerated = ours
    ours |= edges(case)
    problems, shares = [], []
    for key, value in case.expected.items():
        name, _, every = re.fullmatch(r"(.*?)(_sub(\d+))?", key).groups()
        if name not in ours:
            problems.append(f"{key} is expected, and nothing here computes it")
            continue
        actual = array_of(ours[name]).astype(float)
        if every:
            actual = actual[..., :: int(every), :: int(every)]
        if actual.size == 1:
            actual = actual.reshape(value.shape if value.size == 1 else actual.shape)
        if actual.shape != value.shape:
            problems.append(f"{key} has shape {actual.shape} in place of {value.shape}")
            continue
        limit = np.maximum(tolerance(case, key, value), tolerated.get(key, 0.0))
        error = np.abs(actual - value.astype(float))
        share = float(np.where(error == 0, 0.0, error / np.maximum(limit, 1e-30)).max())  # NaN stays NaN
        shares.append(share)
        if not share <= 1:
            problems.append(f"{key} is off by up to {error.max():.3g}, {share:.3g} times what is tolerated")
    record_property("original", [str(FOLDER), case.file, shares])  # conftest.py prints how many
    assert not problems, f"{case}: {len(problems)} of {len(case.expected)}\n" + "\n".join(problems)


def test_nothing_that_is_expected_was_taken_for_given():
    """f32_noise.json, where there is one, names what is expected too."""
    plain = partial(re.sub, r"_sub\d+$", "")
    known = {plain(key) for key in ROUNDING} & {plain(f"{f}:{key}") for f, arrays in NUMBERS.items() for key in arrays}
    for case in find_cases():
        known -= {plain(case.path(key)) for key in case.expected}
    assert not known


# ---- Strictness


@pytest.mark.parametrize(
    "model",
    [
        lambda: il.INADE(4, 3, 5, sketch=True),
        lambda: il.INADE(4, 3, 5, "batch"),
        lambda: il.InstanceConv2D(3, 4, 3),
        lambda: il.InstanceEncoder(5, 2),
        lambda: il.Generator(3, 256, 5, 6, 2, 7, "batch"),
        lambda: il.MultiscaleDiscriminator(6, 2, 3, 5),
    ],
    ids=[
        "INADE with sketch",
        "INADE with batch norm",
        "InstanceConv2D",
        "InstanceEncoder",
        "Generator",
        "discriminator",
    ],
)
def test_a_state_is_read_whole_or_not_at_all(model):
    source, target = model(), model()
    state = {name: array_of(t) + 0.5 for name, t in tensors(source).items()}
    load_original(target, state | {"norm.num_batches_tracked": np.array(7)})
    for name, t in tensors(target).items():
        assert (array_of(t) == state[name]).all(), name

    kind = type(target).__name__
    before = {name: array_of(t).copy() for name, t in tensors(target).items()}
    for name in list(state)[:: 1 + len(state) // 16]:
        odd = np.zeros([*state[name].shape, 2], "float32")
        rest = {key: array + 1 for key, array in state.items() if key != name}
        with pytest.raises(ValueError, match=rf"^{re.escape(name)} is missing in the state and \[.*\] in the {kind}"):
            load_original(target, rest)
        with pytest.raises(
            ValueError, match=re.escape(f"{name} is {list(odd.shape)} in the state and {[*state[name].shape]}")
        ):
            load_original(target, rest | {name: odd})
    with pytest.raises(ValueError, match=rf"^foo.weight is \[5, 2\] in the state and missing in the {kind}"):
        load_original(target, state | {"foo.weight": np.zeros([5, 2])})
    assert all((array_of(t) == before[name]).all() for name, t in tensors(target).items())


def test_a_transposed_linear_is_noticed_and_shapes_are_told_as_pytorch_has_them():
    layer = il.INADE(4, 3, 5)
    state = {name: array_of(t) for name, t in tensors(layer).items()}
    assert state["fc_noise.weight"].shape == (4, 5)
    state["fc_noise.weight"] = state["fc_noise.weight"].T
    with pytest.raises(ValueError, match=r"fc_noise.weight is \[5, 4\] in the state and \[4, 5\] in the INADE"):
        load_original(layer, state)


def test_what_does_not_fit_at_all_is_told_in_few_words():
    with pytest.raises(
        ValueError, match=r"and \d+ more\. Build the model with the arguments of the checkpoint$"
    ) as error:
        load_original(il.InstanceEncoder(5, 2), {})
    assert str(error.value).count("missing") == 5
    with pytest.raises(TypeError, match="no counterpart of Linear"):
        load_original(paddle.nn.Linear(2, 3), {})


def test_an_unknown_mode_is_refused():
    scores = [[paddle.zeros([1, 1])]]
    for call in (
        lambda: losses.adversarial_loss(scores, "hing"),
        lambda: losses.discriminator_losses(*[scores] * 2, "hing"),
    ):
        with pytest.raises(ValueError, match="mode='hing': expected one of 'hinge', 'ls', 'original', 'w'"):
            call()
