"""How long several forms of the same work take."""

import time

import paddle

from .setup import runtime


def take_turns(forms, rounds=7):
    """Time several forms of the same work: {name: callable} -> {name: its times in ms, one for each round}.

    The forms run in turns, A B A B ..., so that a machine that slows down slows all of them. A first round, which fills
    caches, is not counted.

    >>> import inade_lite as il
    >>> times = il.take_turns({"list": lambda: [0] * 99, "tuple": lambda: (0,) * 99}, rounds=3)
    >>> {name: len(values) for name, values in times.items()}
    {'list': 3, 'tuple': 3}
    """
    times = {name: [] for name in forms}
    for _ in range(rounds + 1):
        for name, form in forms.items():
            start = time.perf_counter()
            form()
            if runtime.device() == "gpu":
                paddle.device.synchronize()  # a GPU only queues its work
            milliseconds = 1e3 * (time.perf_counter() - start)
            times[name].append(milliseconds)
    return {name: values[1:] for name, values in times.items()}
