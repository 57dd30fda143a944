import csv
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import asdict

import numpy as np
import paddle
import pytest
from helpers import ROOT, TINY, assert_same_weights
from PIL import Image

import inade_lite as il
from inade_lite import training
from inade_lite.weights import tensors as files

TINY = TINY | {"log_every": 2, "preview_every": 2, "save_every": 2}
TOWN = il.ToyTown("train", 32, length=12)


def tiny(**more):
    return il.Trainer(il.TrainConfig(**{**TINY, **more}), TOWN)


def state(trainer):
    """A copy of all weights: {network: {name: array}}."""
    return {n: {k: v.numpy().copy() for k, v in getattr(trainer, n).state_dict().items()} for n in training.NETWORKS}


def moved(before, after):
    """The networks whose weights differ."""
    return {n for n in before if any((after[n][name] != array).any() for name, array in before[n].items())}


def assert_same_state(a, b):
    for network in training.NETWORKS:
        assert_same_weights(getattr(a, network), getattr(b, network))


def batch(k=0, n=2):
    return il.collate([TOWN[k + i] for i in range(n)])


def test_a_step_moves_every_network_and_returns_finite_terms():
    trainer = tiny()
    before = state(trainer)
    terms = trainer.step(batch())
    assert set(terms) == {"kl", "adversarial", "feature", "pixel", "fake", "real"}
    assert all(np.isfinite(float(t)) for t in terms.values())
    assert moved(before, state(trainer)) == {"generator", "ema", "encoder", "discriminator"}


def test_the_generators_losses_leave_the_discriminator_without_gradients():
    trainer = tiny()
    real = paddle.to_tensor(batch()["image"])
    layout = il.Layout.of(batch(), TOWN)
    scene = paddle.concat([layout.semantics(), layout.edges()], axis=1)
    trainer.optimizer_g.step = lambda: None
    trainer.optimizer_g.clear_grad = lambda: None
    trainer._generator_step(layout, scene, real)
    assert all(p.grad is None for p in trainer.discriminator.parameters())
    assert all(not p.stop_gradient for p in trainer.discriminator.parameters())
    assert all(p.grad is not None for p in [*trainer.generator.parameters(), *trainer.encoder.parameters()])


@pytest.mark.parametrize(("share", "terms"), [(0.0, True), (1.0, False)])
def test_plain_share_decides_who_rebuilds(share, terms):
    got = tiny(plain_share=share).step(batch())
    assert all((name in got) is terms for name in ("kl", "feature", "pixel"))


def test_the_pixel_loss_may_count_instances():
    over_pixels, over_both = (tiny(instance_share=share).step(batch())["pixel"] for share in (0.0, 0.5))
    assert abs(float(over_pixels) - float(over_both)) > 0.01


def test_a_perceptual_loss_can_be_plugged_in():
    """Here it is the pixel loss: the term is the weighted one, and the generator learns from it as from that."""

    def perceptual(fake, real):
        assert fake.shape == [1, 3, 32, 32] and (real.numpy() == batch()["image"][:1]).all()
        return (fake - real).abs().mean()

    config = il.TrainConfig(**TINY | {"lambda_pixel": 0.0, "lambda_perceptual": 10.0})
    one, other = il.Trainer(config, TOWN, perceptual=perceptual), tiny(lambda_pixel=10.0)
    terms, expected = one.step(batch()), other.step(batch())
    assert float(terms["perceptual"]) == pytest.approx(float(expected["pixel"])) and "pixel" not in terms
    assert_same_state(one, other)


def test_a_generator_may_start_from_the_layout_alone():
    trainer = tiny(latent_dim=0)
    assert trainer.ema.latent_dim == 0 and set(trainer.preview()) == {"real", "rebuilt", "sample 1", "sample 2"}
    before = state(trainer)
    trainer.fit(1, progress=False)
    assert moved(before, state(trainer)) == set(training.NETWORKS)


def test_rebuilding_is_learned():
    trainer = tiny(plain_share=0.0, learning_rate_g=4e-3, lambda_feature=0.0)
    losses = [float(trainer.step(batch())["pixel"]) for _ in range(40)]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


def test_rates_stay_then_fall_to_zero():
    trainer, rates = tiny(decay_from=2, decay_steps=2, learning_rate_g=0.1, learning_rate_d=0.4), []
    for _ in range(6):
        trainer.step(batch())
        rates.append((trainer.optimizer_g.get_lr(), trainer.optimizer_d.get_lr()))
    np.testing.assert_allclose(rates, [(0.1, 0.4)] * 3 + [(0.05, 0.2)] + [(0, 0)] * 2, atol=1e-7)


def test_feature_matching_may_begin_at_an_earlier_layer():
    late, early = (tiny(feature_from=k).step(batch())["feature"] for k in (3, 0))
    assert float(early) > 1.5 * float(late) > 0
    one = tiny(discriminator_layers=2, feature_from=3).step(batch())["feature"]  # fewer layers: the last one
    assert float(one) > 0


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    runs = [tiny(seed=seed) for seed in (1, 1, 2)]
    for trainer in runs:
        trainer.fit(2, progress=False)
    assert_same_state(runs[0], runs[1])
    assert moved(state(runs[0]), state(runs[2])) == set(training.NETWORKS)


def test_another_seed_draws_other_noise_for_the_same_weights():
    one, other = tiny(seed=1), tiny(seed=2)
    for network in training.NETWORKS:
        getattr(other, network).set_state_dict(getattr(one, network).state_dict())
    assert float(one.step(batch())["adversarial"]) != float(other.step(batch())["adversarial"])


def test_a_resumed_run_equals_an_unbroken_one(tmp_path):
    whole, first = tiny(), tiny()
    whole.fit(6, progress=False)
    first.fit(4, tmp_path, progress=False)
    second = il.Trainer.resume(tmp_path, TOWN)
    assert second.steps_done == 4 and asdict(second.config) == asdict(first.config)
    second.fit(2, tmp_path, progress=False)
    assert_same_state(whole, second)
    rows = list(csv.DictReader((tmp_path / "losses.csv").open()))
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    np.testing.assert_allclose([float(r["pixel"]) for r in rows], [r["pixel"] for r in whole.history], rtol=1e-4)


def test_a_row_of_the_log_is_the_mean_of_its_steps():
    coarse, fine = tiny(log_every=2), tiny(log_every=1)
    for trainer in (coarse, fine):
        trainer.fit(4, progress=False)
    assert [row["step"] for row in coarse.history] == [2, 4]
    for row, steps in zip(coarse.history, (fine.history[:2], fine.history[2:]), strict=True):
        for name in ("kl", "pixel", "fake"):
            assert row[name] == pytest.approx(np.mean([step[name] for step in steps]), rel=1e-5)


def test_a_run_that_breaks_off_leaves_the_last_checkpoint(tmp_path):
    def power_cut(trainer):
        if trainer.steps_done == 4:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        tiny().fit(6, tmp_path, on_preview=power_cut, progress=False)  # which saves every two steps
    assert il.Trainer.resume(tmp_path, TOWN).steps_done == 2


def test_the_average_is_the_average():
    trainer = tiny(ema_decay=0.75)
    trainer.steps_done = 1000  # past the shorter memory of the first steps
    name, weight = next(iter(trainer.generator.named_parameters()))
    average = dict(trainer.ema.named_parameters())[name].numpy().copy()
    trainer.step(batch())
    expected = 0.75 * average + 0.25 * weight.numpy()
    np.testing.assert_allclose(dict(trainer.ema.named_parameters())[name].numpy(), expected, rtol=1e-5, atol=1e-7)


def test_previews_are_the_same_scenes_with_the_same_noise(tmp_path):
    trainer, seen = tiny(), []
    a, b = trainer.preview(), trainer.preview()
    assert list(a) == ["real", "rebuilt", "sample 1", "sample 2"]
    assert all((a[name] == b[name]).all() for name in a) and (a["sample 1"] != a["sample 2"]).any()
    trainer.fit(4, tmp_path, on_preview=lambda t: seen.append(t.steps_done), progress=False)
    assert seen == [2, 4]
    picture = np.asarray(Image.open(tmp_path / "preview_000004.png"))
    assert picture.shape == (4 * 32, 8 * 32, 3)
    for y, images in enumerate(trainer.preview().values()):
        for x, image in enumerate(images):
            place = picture[32 * y : 32 * (y + 1), 32 * x : 32 * (x + 1)]
            assert np.array_equal(place, il.figures.to_image(image))


def test_a_run_is_never_overwritten(tmp_path):
    def begin(steps, **more):
        trainer, folder = training.start_or_resume(il.TrainConfig(**{**TINY, **more}), TOWN, tmp_path / "run", steps)
        trainer.fit(steps - trainer.steps_done, folder, progress=False)
        return folder.name, trainer

    assert begin(1)[0] == "run"
    name, longer = begin(2)  # goes on: two steps in all
    assert name == "run" and longer.steps_done == 2
    assert begin(2)[0] == "run_2"  # the first is finished
    assert begin(2, seed=5)[0] == "run_3"  # another run than both
    assert il.Trainer.resume(tmp_path / "run", TOWN).steps_done == 2
    with pytest.raises(ValueError, match="run holds a run already"):
        tiny().fit(1, tmp_path / "run", progress=False)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_what_stops_a_run_finishes_the_step_and_saves(name, tmp_path):
    number = getattr(signal, name)
    started_with = signal.signal(number, signal.SIG_DFL)  # nohup and a shell's background ignore some
    trainer, before = tiny(), signal.getsignal(number)
    calls = []

    def interrupt(_):
        calls.append(trainer.steps_done)
        os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt, match="stopped after step 2.*resume"):
        trainer.fit(50, tmp_path, on_preview=interrupt, progress=False)
    assert calls == [2]
    assert il.Trainer.resume(tmp_path, TOWN).steps_done == 2
    assert signal.getsignal(number) is before
    signal.signal(number, started_with)


class Rotting(il.ToyTown):
    """A data set that can no longer be read after some items."""

    left = 6

    def __getitem__(self, i):
        self.left -= 1
        if self.left < 0:
            raise ValueError(f"{i}.png cannot be decoded; it is damaged, copy or export it again")
        return super().__getitem__(i)


def test_a_file_that_is_damaged_in_mid_run_costs_no_step(tmp_path):
    settings = TINY | {"save_every": 100}
    trainer = il.Trainer(il.TrainConfig(**settings), Rotting("train", 32, length=12), preview=[TOWN[0]])
    with pytest.raises(ValueError, match=r"png cannot be decoded.*stopped after step 3 and saved.*--resume"):
        trainer.fit(5, tmp_path, progress=False)
    resumed = il.Trainer.resume(tmp_path, TOWN)
    assert resumed.steps_done == 3
    assert_same_state(trainer, resumed)


def test_a_data_set_of_half_classes_is_refused():
    town = il.ToyTown("train", 32, length=2)
    town.num_classes = 5.7
    with pytest.raises(ValueError, match=r"num_classes of the data set=5\.7: expected an integer"):
        il.Trainer(il.TrainConfig(**TINY), town)


PROCESS_1 = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
import inade_lite as il
assert os.getpid() == 1
config = il.TrainConfig(**{TINY!r})
trainer = il.Trainer(config, il.ToyTown("train", 32, length=12))
trainer.fit(50, sys.argv[1], on_preview=lambda _: os.kill(1, signal.SIGTERM), progress=False)
"""


@pytest.mark.skipif(not shutil.which("unshare"), reason="a process 1 of its own takes unshare, of Linux")
def test_a_container_is_stopped_after_the_step(tmp_path):
    """Linux tells process 1 of no signal that it does not handle, so `docker stop` would end in a kill."""
    command = ["unshare", "-rpf", "--mount-proc", sys.executable, "-c", PROCESS_1, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    if "Operation not permitted" in done.stderr:
        pytest.skip("no namespaces here")
    assert "KeyboardInterrupt: stopped after step 2" in done.stderr
    assert il.Trainer.resume(tmp_path, TOWN).steps_done == 2


def test_under_nohup_a_closed_terminal_stops_nothing():
    trainer, started_with = tiny(), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    trainer.fit(2, on_preview=lambda _: os.kill(os.getpid(), signal.SIGHUP), progress=False)
    assert trainer.steps_done == 2
    signal.signal(signal.SIGHUP, started_with)


def test_two_trainers_do_not_share_a_folder(tmp_path):
    first, told = tiny(), []

    def second(_):
        with pytest.raises(
            ValueError, match=rf"process {os.getpid()} on \S+ trains in .* already; wait for it"
        ) as error:
            il.Trainer.resume(tmp_path, TOWN).fit(1, tmp_path, progress=False)
        told.append(error)

    first.fit(2, tmp_path, progress=False)
    first.fit(2, tmp_path, on_preview=second, progress=False)
    assert len(told) == 1
    assert il.Trainer.resume(tmp_path, TOWN).steps_done == 4


def test_the_lock_of_a_process_that_was_killed_is_taken_over(tmp_path):
    code = f"""
import os, pathlib, signal, sys
sys.path.insert(0, {str(ROOT)!r})
import inade_lite as il
from inade_lite import training
with training._alone(pathlib.Path({str(tmp_path)!r})):
    print("alone", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "alone\n" and done.returncode == -signal.SIGKILL
    assert (tmp_path / training.OWNER).exists()
    tiny().fit(1, tmp_path, progress=False)
    assert not (tmp_path / training.OWNER).exists()


def test_training_runs_outside_the_main_thread():
    trainer = tiny()
    thread = threading.Thread(target=lambda: trainer.fit(1, progress=False))
    thread.start()
    thread.join()
    assert trainer.steps_done == 1


@pytest.mark.parametrize("log_every", [2, 100])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path, log_every):
    trainer = tiny(log_every=log_every)
    trainer.fit(2, tmp_path, progress=False)
    weight = next(iter(trainer.generator.parameters()))
    weight.set_value(weight * float("nan"))
    with pytest.raises(FloatingPointError, match="nan at step 4.*learning rate"):
        trainer.fit(2, tmp_path, progress=False)
    assert il.Trainer.resume(tmp_path, TOWN).steps_done == 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    trainer = tiny()
    folder = tmp_path_factory.mktemp("trained")
    trainer.fit(2, folder, progress=False)
    return trainer, folder


@pytest.mark.parametrize("keep", [0, 4, 100, 5000])
def test_a_checkpoint_cut_short_is_told(trained, tmp_path, keep):
    content = (trained[1] / training.CHECKPOINT).read_bytes()
    (tmp_path / training.CHECKPOINT).write_bytes(content[:keep])
    with pytest.raises(ValueError, match=f"{training.CHECKPOINT} is cut short"):
        il.Trainer.resume(tmp_path, TOWN)


def test_a_missing_checkpoint_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="checkpoint.safetensors is missing"):
        il.Trainer.resume(tmp_path, TOWN)


def test_a_checkpoint_of_another_shape_is_told(trained, tmp_path):
    tensors, metadata = files.read_tensors(trained[1] / training.CHECKPOINT)
    metadata["train_config"]["base_channels"] = 4
    files.write_tensors(tmp_path / training.CHECKPOINT, tensors, metadata)
    with pytest.raises(ValueError, match=r"safetensors: generator\.\S+ has shape \[.*\], this Generator needs"):
        il.Trainer.resume(tmp_path, TOWN)


def test_a_checkpoint_of_another_data_set_is_told(trained):
    with pytest.raises(ValueError, match=r"image_size \[32, 32\], this data set has \[48, 48\]"):
        il.Trainer.resume(trained[1], il.ToyTown("train", 48, length=8))
    renamed = il.ToyTown("train", 32, length=8)
    renamed.class_names = ["air", *renamed.class_names[1:]]
    with pytest.raises(ValueError, match="a class 'sky' where this data set has 'air'"):
        il.Trainer.resume(trained[1], renamed)


def test_a_full_disk_leaves_the_old_checkpoint(trained, tmp_path, monkeypatch):
    trainer = trained[0]
    trainer.save(tmp_path)
    old = (tmp_path / training.CHECKPOINT).read_bytes()

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left.*free some space.*checkpoint.safetensors"):
        trainer.save(tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == [training.CHECKPOINT]
    assert (tmp_path / training.CHECKPOINT).read_bytes() == old


def test_the_checkpoint_before_the_last_one_stays(tmp_path):
    trainer = tiny()
    trainer.fit(4, tmp_path, progress=False)  # saved after 2 steps, after 4, and at the end
    last, before = tmp_path / training.CHECKPOINT, tmp_path / training.BEFORE
    damaged = bytearray(last.read_bytes())
    damaged[-5] ^= 1
    last.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"not those that were written.*rename .*checkpoint_before.safetensors to"):
        il.Trainer.resume(tmp_path, TOWN)
    before.rename(last)
    assert il.Trainer.resume(tmp_path, TOWN).steps_done == 4


def test_weights_that_are_not_finite_replace_no_checkpoint(tmp_path):
    """Of the losses none tells: this weight is Adam's."""
    trainer = tiny(log_every=100, save_every=100)
    trainer.fit(2, tmp_path, progress=False)
    good = (tmp_path / training.CHECKPOINT).read_bytes()
    average = next(iter(trainer.ema.parameters()))
    average.set_value(average * float("nan"))
    with pytest.raises(FloatingPointError, match=r"^ema\..* is no longer finite at step 2; go on from the last"):
        trainer.save(tmp_path)
    assert (tmp_path / training.CHECKPOINT).read_bytes() == good


def test_half_a_row_of_the_log_goes_on(tmp_path):
    whole, parts = tiny(log_every=4), tiny(log_every=4)
    whole.fit(8, progress=False)
    parts.fit(3, tmp_path, progress=False)
    parts = il.Trainer.resume(tmp_path, TOWN)
    parts.fit(5, tmp_path, progress=False)
    for one, other in zip(whole.history, parts.history, strict=True):
        assert {**one, "seconds": 0} == pytest.approx({**other, "seconds": 0}, rel=1e-5)
    with open(tmp_path / training.LOSSES) as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [4, 8]


def test_a_log_is_whole_whenever_a_run_is_killed(tmp_path, monkeypatch):
    """What `fit` writes at its beginning is written beside the old file, which stays until it is whole."""
    trainer = tiny(log_every=1)
    trainer.fit(3, tmp_path, progress=False)
    before = (tmp_path / training.LOSSES).read_bytes()

    def killed(number):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(1, tmp_path, progress=False)
    assert (tmp_path / training.LOSSES).read_bytes() == before


@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
def test_a_single_bit_is_noticed(trained, tmp_path, at):
    content = bytearray((trained[1] / training.CHECKPOINT).read_bytes())
    content[int(at * len(content))] ^= 4
    (tmp_path / training.CHECKPOINT).write_bytes(content)
    with pytest.raises(ValueError, match="its numbers are not those that were written|is cut short"):
        il.Trainer.resume(tmp_path, TOWN)


def test_entries_of_adam_are_all_there_and_nobody_elses(trained, tmp_path):
    tensors, metadata = files.read_tensors(trained[1] / training.CHECKPOINT)
    name = next(name for name in tensors if name.endswith("@moment1_0"))
    for other, message in ((None, "is missing, which Adam keeps"), ("optimizer_g.nobody@moment1_0", "belongs to no")):
        changed = {key: value for key, value in tensors.items() if key != name}
        if other:
            changed = tensors | {other: tensors[name]}
        files.write_tensors(tmp_path / training.CHECKPOINT, changed, metadata)
        with pytest.raises(ValueError, match=message):
            il.Trainer.resume(tmp_path, TOWN)


@pytest.mark.parametrize("key", ["train_config", "steps", "history"])
def test_a_checkpoint_without_an_entry_is_told(trained, tmp_path, key):
    tensors, metadata = files.read_tensors(trained[1] / training.CHECKPOINT)
    del metadata[key]
    files.write_tensors(tmp_path / training.CHECKPOINT, tensors, metadata)
    with pytest.raises(ValueError, match=f"checkpoint.safetensors does not tell its {key}"):
        il.Trainer.resume(tmp_path, TOWN)


def test_a_batch_of_one_learns_to_rebuild():
    trainer = tiny(batch_size=1)
    assert {"kl", "feature", "pixel"} <= set(trainer.step(batch(n=1)))


def test_a_stored_model_draws_the_same_pictures(trained, tmp_path):
    trainer = trained[0]
    il.save_pretrained(tmp_path / "m.safetensors", trainer, note="here")
    model = il.load_pretrained(tmp_path / "m.safetensors")
    assert model.class_names == TOWN.class_names
    assert (model.config["note"], model.config["steps"]) == ("here", 2)
    assert not model.generator.training and not model.encoder.training
    layout = il.Layout.of(batch(), TOWN)
    a, b = (il.sample(g, layout, seed=3).numpy() for g in (trainer.ema, model.generator))
    assert np.abs(a - b).max() * 127.5 < 1
    for mine, stored in ((trainer.ema, model.generator), (trainer.encoder, model.encoder)):
        for name, value in mine.state_dict().items():
            assert (stored.state_dict()[name].numpy() == value.numpy().astype("float16")).all(), name


def test_an_unknown_model_is_told_with_those_that_exist():
    with pytest.raises(FileNotFoundError, match="no pretrained model 'inada'; there are .*'inade'"):
        il.load_pretrained("inada")


def test_the_shipped_model_says_where_it_comes_from():
    model = il.load_pretrained("inade")
    assert model.class_names == il.ToyTown("val", 64).class_names
    assert model.generator.image_size == (64, 64)
    assert {"train_config", "steps", "seconds", "command"} <= set(model.config)


def test_crops_and_mirror_images_reach_the_step_and_a_resumed_run_draws_the_same(tmp_path):
    town = il.ToyTown("train", 48, length=5)
    config = il.TrainConfig(**TINY, crop=32, flip=True, workers=1)
    shown = []

    class Watched(il.Trainer):
        def step(self, batch):
            shown.append(batch)
            return super().step(batch)

    whole = Watched(config, town)
    assert whole.image_size == (32, 32) and whole.preview()["real"].shape == (5, 3, 32, 32)
    whole.fit(4, progress=False)
    kinds = []
    for batch in shown:
        for name, image in zip(batch["name"], batch["image"], strict=True):
            large = next(item["image"] for item in town if item["name"] == name)
            places = [large[:, y : y + 32, x : x + 32] for y in range(17) for x in range(17)]
            pair = image, image[..., ::-1]
            kinds.append([any(np.array_equal(turned, place) for place in places) for turned in pair])
    assert all(sum(kind) == 1 for kind in kinds) and {kind[0] for kind in kinds} == {True, False}
    half = Watched(config, town)
    half.fit(2, progress=False)
    half.save(tmp_path)
    resumed = Watched.resume(tmp_path, town)
    resumed.fit(2, progress=False)
    assert_same_state(whole, resumed)
    assert all(np.array_equal(a["image"], b["image"]) for a, b in zip(shown[:4], shown[4:], strict=True))


def test_a_damaged_folder_is_told_whole_before_training(tmp_path):
    il.write_folder(il.ToyTown("train", 32, length=12), tmp_path, "train")
    for name in ("labels/train_00000.png", "images/train_00009.png"):
        (tmp_path / "train" / name).write_bytes(b"")
    with pytest.raises(ValueError, match="2 of 12 items") as error:
        il.Trainer(il.TrainConfig(**TINY), il.FolderDataset(tmp_path, "train"))
    assert "labels/train_00000.png" in str(error.value) and "images/train_00009.png" in str(error.value)
