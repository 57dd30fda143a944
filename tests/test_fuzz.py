"""The fast part of `make fuzz`: a few hundred files of each kind, always the same, and those that were found."""

import pytest
from hypothesis import given, settings

import inade_lite as il
from inade_lite.data import folders
from inade_lite.explorer.notebook import render
from inade_lite.weights import tensors
from reliability import fuzz, inputs

COUNT = {"torch": 400, "model": 120, "description": 300, "picture": 300, "street": 150, "outlines": 200}


@pytest.fixture(scope="module", params=COUNT)
def target(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    before, fuzz.WORK = fuzz.WORK, folder
    yield request.param, fuzz.TARGETS[request.param](), folder
    fuzz.WORK = before


@pytest.mark.filterwarnings("ignore")  # of Pillow's
def test_files_made_whole_are_read_or_told(target):
    name, reader, folder = target
    path = folder / f"made{reader.suffix}"

    @settings(max_examples=COUNT[name], derandomize=True, **fuzz.FREE)
    @given(reader.made)
    def every(content):
        assert fuzz.judge(reader, content, path, is_made=True) == ""

    every()


@pytest.mark.filterwarnings("ignore")
def test_good_files_that_were_changed_are_read_or_told(target):
    name, reader, folder = target
    for content in fuzz.changes(reader, COUNT[name], seed=0):
        assert fuzz.judge(reader, content, folder / f"changed{reader.suffix}") == ""


def test_good_files_are_read(target):
    """So that what is told above is told of the change."""
    _, reader, folder = target
    for content in reader.good:
        path = folder / f"good{reader.suffix}"
        path.write_bytes(content)
        reader.read(path)


@pytest.mark.parametrize("wrong", ["ValueError without the file's name", "KeyError: 'x'", "memory of others"])
def test_the_judge_sees_what_is_wrong(wrong, tmp_path):
    class Bad(fuzz.Target):
        def read(self, path, is_made=False):
            if wrong.startswith("ValueError"):
                raise ValueError("no name")
            if wrong.startswith("KeyError"):
                raise KeyError("x")
            raise AssertionError("bytes from elsewhere")

    assert fuzz.judge(Bad(), b"", tmp_path / "file")


# ---- What `make fuzz` has found


def test_lists_in_lists_are_no_json(tmp_path):
    path = tmp_path / "dataset.json"
    path.write_text(inputs.deep(100_000))
    with pytest.raises(ValueError, match=r"dataset\.json is not valid JSON: its lists lie too deep"):
        folders.read_description(path)


@pytest.mark.parametrize("metadata", [inputs.deep(100_000), "[]", "null", "{"])
def test_metadata_that_are_no_dict(metadata, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(inputs.tensor_file({}, {}, {"metadata": metadata}))
    with pytest.raises(ValueError, match=r"model\.safetensors is cut short or not this project's \(its metadata"):
        tensors.read_tensors(path)


def test_a_long_name_in_a_file_does_not_fill_the_message(tmp_path):
    path = tmp_path / "long.pth"
    changed = inputs.lie(inputs.archive({"x/data.pkl": b"}.", "y" * 5000: b""}), 7, 65535)
    path.write_bytes(changed)
    with pytest.raises(ValueError) as error:
        il.read_torch_checkpoint(path)
    assert len(str(error.value)) < 1000


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """({name: ndarray}, metadata) of a tiny model."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    il.save_pretrained(path, il.Trainer(il.TrainConfig(**fuzz.TINY), il.ToyTown("train", 16, length=2)))
    return tensors.read_tensors(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_config": None}, "does not tell its train_config"),
        ({"class_names": 3}, "does not tell its train_config, class_names"),
        ({"image_size": [16]}, "does not tell its train_config"),
        ({"image_size": [16, 2**40]}, "does not tell its train_config"),
        ({"image_size": [17, 16]}, "describes no network of this project: image_size=17x16"),
        ({"base_channels": 2**40}, "describes no network of this project: its settings need more weights"),
        ({"latent_dim": 2**31}, "its settings need more weights"),
        ({"noise_dim": 5.5}, r"noise_dim=5\.5: expected an integer"),
        ({"noise_dim": None}, "noise_dim=None: expected an integer"),
        ({"method": ["inade"]}, r"method=\['inade'\]: expected one of"),
        ({"norm": "batches"}, "norm='batches': expected one of"),
    ],
)
def test_a_model_that_describes_itself_wrongly(change, message, model, tmp_path):
    """Each of them ended in a KeyError or TypeError, or took all memory before it was refused."""
    arrays, metadata = model
    for key, value in change.items():
        if key in metadata:
            metadata = {**metadata, key: value}
        else:
            metadata = {**metadata, "train_config": {**metadata["train_config"], key: value}}
    path = tmp_path / "model.safetensors"
    tensors.write_tensors(path, arrays, metadata)
    with pytest.raises(ValueError, match=r"model\.safetensors.*" + message):
        il.load_pretrained(path)


def test_a_model_that_does_not_tell_a_setting(model, tmp_path):
    arrays, metadata = model
    for key in ("encoder_channels", "noise_dim", "norm"):
        train = {name: value for name, value in metadata["train_config"].items() if name != key}
        tensors.write_tensors(tmp_path / "model.safetensors", arrays, {**metadata, "train_config": train})
        with pytest.raises(ValueError, match=rf"model\.safetensors: {key}=None: expected"):
            il.load_pretrained(tmp_path / "model.safetensors")


def test_networks_are_made_as_before_once_a_model_was_refused(model, tmp_path):
    il.Generator(2, 64, base_channels=32, num_upsamplings=4)


STREET = fuzz._street(fuzz._generator())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": None}, "label: this is no street that the explorer has saved"),
        ({"label": "AA"}, "label: it is damaged"),
        ({"noise": "AAAA"}, "noise: expected 7 x 3 x 2 x 2 numbers"),
        ({"count": 2.5}, r"count=2\.5: expected an integer"),
        ({"count": 2**62}, "noise: expected"),
        ({"latent": "AADAfwAAwH8="}, "latent: a number in it is not finite"),
    ],
)
def test_a_saved_street_that_is_damaged(change, message):
    with pytest.raises(ValueError, match=message):
        render({**STREET, **change}, fuzz._generator())


@pytest.mark.parametrize("key", ["seed", "latent", "looks", "edits"])
@pytest.mark.parametrize("value", [None, "x", -1])
def test_a_state_that_is_damaged(key, value):
    state = {"seed": 1, "latent": 2, "looks": {}, "edits": []}
    maps = fuzz.np.zeros([8, 8], int), fuzz.np.zeros([8, 8], int)
    assert render(state, fuzz._generator(), maps).shape == (8, 8, 3)
    with pytest.raises(ValueError, match=f"state: its {key} is missing or wrong"):
        render({**state, key: value}, fuzz._generator(), maps)
