"""PyTorch's files are read as PyTorch reads them, and nothing that a file says is run.

`torch_files/` was written by PyTorch 2.13.0 with `torch_files/write.py`; the hostile files are made here.
"""

import io
import pickle
import re
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import inade_lite as il
from inade_lite import read_torch_checkpoint
from inade_lite.__main__ import main
from inade_lite.weights.original import PRESETS, convert

FILES = Path(__file__).parent / "torch_files"


# ---- What PyTorch wrote


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_every_tensor_is_what_pytorch_says(kind):
    expected = np.load(FILES / "tensors.npz")
    got = read_torch_checkpoint(FILES / f"tensors_{kind}.pth")
    assert list(got) == expected.files and len(got) == 16
    for key, array in got.items():
        assert array.dtype == expected[key].dtype and array.shape == expected[key].shape
        assert np.array_equal(array, expected[key])


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_file_of_several_things_says_how_to_save_the_one(kind):
    with pytest.raises(ValueError, match=rf"nested_{kind}.pth .*'state_dict': OrderedDict, 'epoch': int") as error:
        read_torch_checkpoint(FILES / f"nested_{kind}.pth")
    assert str(error.value).endswith(
        "save the state dict alone, with PyTorch: torch.save(checkpoint['state_dict'], path)"
    )


# ---- Hostile and damaged files


def archive(pickled, storages=None, path="x", **options):
    """A file in the zip format around a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as z:
        z.writestr(f"{path}/data.pkl", pickled)
        for key, content in (storages or {"0": np.arange(6, dtype="f4").tobytes()}).items():
            z.writestr(f"{path}/data/{key}", content)
    return file.getvalue()


SIX = struct.pack("<q6f", 6, *range(6))  # a storage in the format before zip: its length, its numbers


def legacy(pickled, keys=("0",), storages=SIX):
    """A file in the format before zip."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    head = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, system)]
    return b"".join(head) + pickled + pickle.dumps(list(keys), 2) + storages


def word(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def storage(key="0", count=6, kind=b"ctorch\nFloatStorage\n"):
    return b"(" + word("storage") + kind + word(key) + word("cuda:0") + number(count) + b"tQ"


def tensor(offset=0, size=(2, 3), stride=(3, 1), held=None):
    def tuple_of(values):
        return b"(" + b"".join(map(number, values)) + b"t"

    arguments = (held or storage()) + number(offset) + tuple_of(size) + tuple_of(stride) + b"\x89" + b"}"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def state(value):
    return b"\x80\x02}" + word("weight") + value + b"s."


@pytest.mark.parametrize("wrap", [archive, legacy])
def test_a_file_made_by_hand_is_read(wrap, tmp_path):
    """So that the refusals below are of what differs from this one. Its tensor was on a GPU."""
    path = tmp_path / "good.pth"
    path.write_bytes(wrap(state(tensor())))
    assert read_torch_checkpoint(path)["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


class Run:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


MARK = Path("ran")  # each attack, if it succeeded, would leave this file in the working directory
CODE = f"open({str(MARK)!r}, 'w').close()"
EVIL = {
    "eval": pickle.dumps({"weight": Run(eval, CODE)}, 2),
    "exec in protocol 4": pickle.dumps({"weight": Run(exec, CODE)}, 4),
    "os.system": b"\x80\x02cposix\nsystem\n(" + word(f"touch {MARK}") + b"tR.",
    "subprocess": b"\x80\x02csubprocess\nrun\n((" + word("touch") + word(str(MARK)) + b"ltR.",
    "the old INST": f'(S"{CODE}"\nibuiltins\nexec\n.'.encode(),
    "the old OBJ": b"\x80\x02(cbuiltins\nexec\n" + word(CODE) + b"o.",
    "a dotted name": b"\x80\x04" + word("collections") + word("OrderedDict.__init__.__globals__") + b"\x93.",
    "getattr": b"\x80\x02cbuiltins\ngetattr\n(" + b"ccollections\nOrderedDict\n" + word("fromkeys") + b"tR.",
    "torch's own loader": b"\x80\x02ctorch.storage\n_load_from_bytes\n(" + word("x") + b"tR.",
    "a module of torch": b"\x80\x02ctorch.nn.modules.linear\nLinear\n)\x81.",
    "numpy": pickle.dumps({"weight": np.arange(3)}, 2),
    "pickle in a pickle": b"\x80\x02c_pickle\nloads\n(" + word("x") + b"tR.",
    "a registered extension": b"\x80\x02\x82\x07.",
    "state of a storage type": b"\x80\x02ctorch\nFloatStorage\n}" + word("itemsize") + number(1) + b"sb.",
    "state of what rebuilds": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}" + word("x") + number(1) + b"sb.",
    "state of OrderedDict itself": b"\x80\x02ccollections\nOrderedDict\n(N}" + word("get") + number(1) + b"stb.",
    "a call of a tensor": state(tensor() + b"(tR"),
    "a name that is none": b"\x80\x02(" + word("module") + storage() + b"tQ.",
}
NAMED = {
    "eval": "eval",
    "os.system": "posix.system",
    "subprocess": "subprocess.run",
    "getattr": "getattr",
    "torch's own loader": "torch.storage._load_from_bytes",
    "a module of torch": "torch.nn.modules.linear.Linear",
    "numpy": "numpy",
}


@pytest.mark.parametrize("wrap", [archive, legacy])
@pytest.mark.parametrize("attack", EVIL)
def test_nothing_runs(attack, wrap, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pth"
    path.write_bytes(wrap(EVIL[attack]))
    with pytest.raises(ValueError, match=r"evil\.pth is not a state dict of PyTorch") as error:
        read_torch_checkpoint(path)
    assert not MARK.exists()
    if attack in NAMED:
        assert re.search(rf"it names \S*{re.escape(NAMED[attack])}\b", str(error.value))
    assert OrderedDict(a=1).get("a") == 1


DEEP = b"\x80\x02)" + b"\x85" * 2_000_000  # a tuple in a tuple in a tuple ...
# Each tuple holds the last one twice: 60 of them have 2^60 leaves.
DOUBLED = b"\x80\x02)" + b"".join(b"q\x00h\x00h\x00\x86" for _ in range(60))
GREEDY = {
    "a deep tuple as a key": b"\x80\x02}" + DEEP[2:] + b"Ns.",
    "a doubled tuple as a key": b"\x80\x02}" + DOUBLED[2:] + b"Ns.",
    "a doubled tuple as a storage": b"\x80\x02}" + word("weight") + DOUBLED[2:] + b"Qs.",
    "a doubled tuple as a storage's key": state(
        tensor(held=b"(" + word("storage") + b"ctorch\nFloatStorage\n" + DOUBLED[2:] + word("cpu") + number(6) + b"tQ")
    ),
    "a doubled tuple as a size": state(
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage() + number(0) + DOUBLED[2:] + b")\x89}tR"
    ),
    "150,000 axes": state(tensor(size=(2**40,) * 150_000, stride=(1,) * 150_000)),
    "ten million steps": b"\x80\x02" + b"N0" * 5_000_000 + b"}.",
    "ten million values": b"\x80\x02" + b"N" * 10_000_000 + b"}.",
    "ten million marks": b"\x80\x02" + b"(" * 10_000_000 + b"}.",
    "a number of a million digits": b"\x80\x02L" + b"9" * 1_000_000 + b"L\n.",
}


@pytest.mark.parametrize("wrap", [archive, legacy])
@pytest.mark.parametrize("attack", GREEDY)
def test_a_small_file_takes_neither_long_nor_all_memory(attack, wrap, tmp_path):
    """Each of them took the interpreter, minutes, or gigabytes from Python's own machine."""
    path = tmp_path / "greedy.pth"
    path.write_bytes(wrap(GREEDY[attack]))
    with pytest.raises(ValueError, match=r"greedy\.pth is not a state dict of PyTorch") as error:
        read_torch_checkpoint(path)
    assert len(str(error.value)) < 1000


def test_an_entry_of_the_memo_takes_no_room_for_those_before_it(tmp_path):
    path = tmp_path / "memo.pth"
    path.write_bytes(archive(b"\x80\x02}r\xff\xff\xff\x7f."))
    assert read_torch_checkpoint(path) == {}


def test_a_byte_order_is_one_of_two_words(tmp_path):
    path = tmp_path / "order.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("x/data.pkl", state(tensor()), zipfile.ZIP_STORED)
        z.writestr("x/byteorder", b"l" * 100_000_000)
    with pytest.raises(ValueError, match=r"x/byteorder has 100000000 bytes, expected little or big"):
        read_torch_checkpoint(path)


def test_many_tensors_share_the_numbers_of_one_storage(tmp_path):
    """bfloat16 becomes float32 once, not for each of its tensors."""
    path, count = tmp_path / "shared.pth", 1_000_000
    held = storage(count=count, kind=b"ctorch\nBFloat16Storage\n")
    entries = b"".join(word(f"w{k}") + tensor(size=(count,), stride=(1,), held=held) for k in range(300))
    path.write_bytes(archive(b"\x80\x02}(" + entries + b"u.", {"0": np.full(count, 0x3FC0, "u2").tobytes()}))
    tracemalloc.start()
    found = read_torch_checkpoint(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 300 and (found["w299"] == 1.5).all() and peak < 50e6


def test_a_directory_of_a_million_files_is_not_read(tmp_path):
    path = tmp_path / "directory.pth"
    good = archive(state(tensor()))
    at = good.rindex(b"PK\5\6")
    entries = b"PK\1\2" + bytes(42)
    large = entries * 200_000
    end = good[at : at + 12] + struct.pack("<II", len(large), at) + bytes(2)
    path.write_bytes(good[:at] + large + end)
    with pytest.raises(ValueError, match="its directory has 9,200,000 bytes"):
        read_torch_checkpoint(path)


def test_the_attacks_would_succeed_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for attack in ("eval", "exec in protocol 4", "os.system", "subprocess", "the old INST", "the old OBJ"):
        pickle.loads(EVIL[attack])
        assert MARK.exists()
        MARK.unlink()


UNSOUND = {
    "beyond the storage": tensor(offset=1),
    "a negative offset": tensor(offset=-1),
    "a negative stride": tensor(stride=(3, -1)),
    "a stride too long": tensor(stride=(4, 1)),
    "more elements than numbers": tensor(size=(2**40, 6), stride=(0, 1)),
    "a size too many": tensor(size=(1, 2, 3)),
    "a huge size": tensor(size=(2**62, 2**62)),
    "no storage": tensor(held=b"N"),
    "a storage of another length": tensor(held=storage(count=7)),
    "a storage that is not there": tensor(held=storage("1")),
    "a path as a storage": tensor(held=storage("../../data.pkl")),
    "a type that is none": tensor(held=storage(kind=word("FloatStorage"))),
    "a negative length": tensor(held=storage(count=-6)),
    "a list instead of a tensor": b"]",
}


@pytest.mark.parametrize("wrap", [archive, legacy])
@pytest.mark.parametrize("fault", UNSOUND)
def test_nothing_is_read_outside_a_storage(fault, wrap, tmp_path):
    path = tmp_path / "unsound.pth"
    path.write_bytes(wrap(state(UNSOUND[fault])))
    with pytest.raises(ValueError, match=r"unsound\.pth is not a state dict of PyTorch"):
        read_torch_checkpoint(path)


def test_an_entry_that_declares_more_than_it_holds_is_refused(tmp_path):
    """Stored, with a CRC that matches its 24 bytes, and 6,000 numbers by its own word and by the pickle's."""
    path, count = tmp_path / "hollow.pth", 6000
    content = bytearray(archive(state(tensor(size=(count,), stride=(1,), held=storage(count=count)))))
    name = b"x/data/0"
    for header, size_at, name_at in ((b"PK\3\4", 22, 30), (b"PK\1\2", 24, 46)):
        start = next(
            k for k in range(len(content)) if content.startswith(header, k) and content.startswith(name, k + name_at)
        )
        content[start + size_at : start + size_at + 4] = struct.pack("<I", 4 * count)
    path.write_bytes(content)
    with zipfile.ZipFile(path) as z:
        assert z.getinfo(name.decode()).file_size == 4 * count and z.testzip() is None
    with pytest.raises(ValueError, match=r"hollow\.pth .* declares 24000 bytes and holds 24"):
        read_torch_checkpoint(path)


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_file_cut_short_anywhere(kind, tmp_path):
    whole = (FILES / f"tensors_{kind}.pth").read_bytes()
    path = tmp_path / "cut.pth"
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut\.pth is not a state dict of PyTorch"):
            read_torch_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html>", "begins with b'<!DOCTYPE html><"),
        (archive(state(tensor()), compression=zipfile.ZIP_DEFLATED), "compressed"),
        (archive(state(tensor()), {"0": bytes(28)}), "x/data/0 has 28 bytes, expected 6 numbers of float32"),
        (archive(b"", path="a/b"), "without one <name>/data.pkl"),
        (legacy(state(tensor()), storages=struct.pack("<q3f", 6, *range(3))), "cut short in storage '0': 3 of 6"),
        (legacy(state(tensor()), keys=("0", "1")), "storage '1' belongs to no tensor"),
        (legacy(state(tensor()), storages=struct.pack("<q6f", 2**60, *range(6))), "it counts 1152921504606846976"),
    ],
)
def test_what_is_wrong_is_said(content, words, tmp_path):
    path = tmp_path / "wrong.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="wrong.pth is not") as error:
        read_torch_checkpoint(path)
    assert words in str(error.value)


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "no.pth", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"{path.name} is missing"):
            read_torch_checkpoint(path)


# ---- The authors' checkpoints become a model


def convert_from(tmp_path, *names, **options):
    out = tmp_path / "model.safetensors"
    return convert([FILES / f"{name}.pth" for name in names], out, **options), out


def test_a_generator_and_an_encoder_in_any_order(tmp_path, capsys):
    out = tmp_path / "model.safetensors"
    main(["convert", str(FILES / "encoder.pth"), str(FILES / "generator.pth"), "--out", str(out)])
    assert f"{out}: generator of " in capsys.readouterr().out
    model, state = il.load_pretrained(out), read_torch_checkpoint(FILES / "generator.pth")
    assert model.config["preset"] == "deepfashion" and model.class_names[0] == "background"
    assert not model.generator.training and not model.encoder.training
    same = {
        "fc.weight": model.generator.fc.weight.numpy().T,
        "up_1.conv_0.weight_orig": model.generator.blocks[4].conv_0.weight.numpy(),
        "up_1.conv_0.weight_v": model.generator.blocks[4].conv_0.v.numpy(),
        "head_0.norm_1.weight": model.generator.blocks[0].norm_1.weight.numpy(),
        "G_middle_1.norm_0.param_free_norm.running_var": model.generator.blocks[2].norm_0.norm.running_var.numpy(),
        "conv_img.bias": model.generator.to_image.bias.numpy(),
    }
    for name, array in same.items():
        assert np.array_equal(state[name], array)
    encoder = read_torch_checkpoint(FILES / "encoder.pth")
    assert np.array_equal(encoder["bias_conv_var.weight"], model.encoder.heads[3].weight.numpy())
    town = il.ToyTown("val", 256)[0]
    layout = il.Layout(town["label"][None] % 8, town["instance"][None], 8)
    image = il.sample(model.generator, layout, seed=0)
    assert image.shape == [1, 3, 256, 256] and np.isfinite(image.numpy()).all()


def test_a_generator_alone_has_no_encoder(tmp_path):
    networks, out = convert_from(tmp_path, "generator")
    assert list(networks) == ["generator"] and il.load_pretrained(out).encoder is None


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (["encoder"], {}, "there is no generator in .*encoder.pth"),
        (["tensors_zip", "generator"], {}, "tensors_zip.pth is neither a generator nor an encoder; it has whole,"),
        (["generator"], {"preset": "cityscapes"}, "the generator has 8 classes, cityscapes 35"),
    ],
)
def test_what_does_not_fit_is_said(names, options, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        convert_from(tmp_path, *names, **options)
    assert not list(tmp_path.iterdir())


def test_presets_are_networks_and_readers():
    for name, preset in PRESETS.items():
        assert name in il.SETS
        il.Generator(preset.num_classes, preset.image_size, preset.noise_dim, 2, 1, preset.num_upsamplings)


@pytest.mark.parametrize(("name", "reader"), [("ade20k", "ade20k_original"), ("cityscapes", "cityscapes")])
def test_a_converted_model_and_its_data_set_name_the_classes_alike(name, reader, tmp_path):
    import set_folders

    from inade_lite.weights.original import class_names

    getattr(set_folders, name)(tmp_path)
    data = il.SETS[reader](tmp_path, "val")
    assert class_names(name) == data.class_names and PRESETS[name].num_classes == data.num_classes
