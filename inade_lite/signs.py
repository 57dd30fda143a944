"""Signs that a training goes wrong, in plain words, while there is still time to stop it.

How good the pictures are, the losses of a GAN do not tell. They do tell when one part has stopped to teach another:

    the discriminator costs more than one that always says 0      it swings, its learning rate is too high
    it costs next to nothing                                      it knows every picture, nobody learns from it
    the encoder tells fewer than 2 nats of a picture              its noise is plain noise (posterior collapse)
    two samples differ far less than a sample and the picture     noise is not heard (mode collapse)

Notebook 6 breaks a training in five ways. Its usual run shows none of these signs from step 100 on, and those with a
fast discriminator and with much KL show theirs; a test reads what these runs have logged.
"""

import numpy as np
import paddle

from .losses import MODES

ROWS = 5  # of the log, over which a sign must last
FIRST_STEP = 100  # before it, all networks are still new
SWINGS = 2.0  # times what a discriminator costs that always says 0
WINS = 0.1  # the same
NATS = 2.0  # of KL for a picture
ALIKE = 0.1  # of the distance between a sample and the picture


def of_losses(history, config, known):
    """{sign: a sentence} of the last rows of a training's log; empty while all is well.

    history: a Trainer's, dicts of mean losses. config: its TrainConfig. known: how many pictures of a batch are to be
    rebuilt.

    >>> import inade_lite as il
    >>> row = {"step": 200, "kl": 0.001, "fake": 1.0, "real": 1.0}
    >>> list(of_losses([row] * 5, il.TrainConfig(), known=4))
    ['kl']
    """
    rows = history[-ROWS:]
    if len(rows) < ROWS or rows[0]["step"] < FIRST_STEP:
        return {}
    found = {}

    def mean(name):
        return sum(row[name] for row in rows) / ROWS

    zero = paddle.zeros([1])
    mode = MODES[config.gan_mode]
    blind = (mode.fake(zero) + mode.real(zero)).item()  # a Wasserstein discriminator's scores have no scale: 0
    cost = mean("fake") + mean("real")
    if blind and cost > SWINGS * blind:
        found["swings"] = (
            f"the discriminator's losses are {cost:.1f} together, where one that always says 0 has {blind:.1f}: it "
            f"swings and teaches little. Lower learning_rate_d (now {config.learning_rate_d:g})"
        )
    if blind and cost < WINS * blind:
        found["wins"] = (
            f"the discriminator's losses are {cost:.2f} together, it tells every picture from a real one: the "
            f"generator learns nothing from it. Lower learning_rate_d (now {config.learning_rate_d:g})"
        )
    if config.lambda_kl and "kl" in rows[-1]:
        nats = mean("kl") / (0.5 * config.lambda_kl) / known
        if nats < NATS:
            found["kl"] = (
                f"the encoder tells only {nats:.1f} nats of a picture: its noise is nearly plain noise, and rebuilt "
                f"pictures lose their looks (posterior collapse). Lower lambda_kl (now {config.lambda_kl:g})"
            )
    return found


def of_settings(config, known, level):
    """{sign: a sentence} of batches too small for what is to be learned from them.

    known: how many pictures of a batch are to be rebuilt. level: what one draw of noise decides.

    >>> import inade_lite as il
    >>> list(of_settings(il.TrainConfig(batch_size=1), known=1, level="instance"))
    ['none plain']
    """
    found = {}
    if config.plain_share and known == config.batch_size:
        found["none plain"] = (
            f"a batch of {config.batch_size} is rebuilt whole: no picture is painted from plain noise, as all samples "
            "are. Give a batch_size of 2 or more"
        )
    if level == "image" and known == 1:
        found["one known"] = (
            f"one picture of a batch of {config.batch_size} is rebuilt, and this encoder standardizes its means over "
            "those: of one, they are always 0. Give a batch_size of 4 or more"
        )
    return found


def of_samples(rows, level):
    """{sign: a sentence} of a Trainer's preview. level: what one draw of noise decides, None for a generator without.

    >>> one = np.zeros([2, 3, 8, 8], "float32")
    >>> list(of_samples({"real": one + 1, "sample 1": one, "sample 2": one}, level="instance"))
    ['alike']
    """
    between = np.abs(rows["sample 1"] - rows["sample 2"]).mean()
    away = np.abs(rows["real"] - rows["sample 1"]).mean()
    if level is None or between >= ALIKE * away:
        return {}
    return {
        "alike": "samples of other noise look the same: the generator does not hear its noise (mode collapse). Look at "
        "the previews; notebook 6 shows what breaks a training"
    }
