"""Exercises that answer: `check` says whether an answer is right, `hint` helps; a question of a quiz is checked alike.

    il.check("5.2", (34, 3))     exercise 2 of notebook 5
    il.check("5b", "a")          question b of its quiz: each choice gets its reason

The notebooks say what an answer is: numbers, a choice, or a function, which is run beside the package's own
(`answers`). What is said of it stands in en.json.
"""

import json
from pathlib import Path

from .answers import ANSWERS

TEXTS = json.loads((Path(__file__).parent / "en.json").read_text("utf-8"))


def check(name, answer):
    """Print whether the answer to an exercise or to a question is right, and what there is to learn from it.

    name: "5.2" is exercise 2 of notebook 5, "5b" question b of its quiz. ValueError for another name.

    >>> import inade_lite as il
    >>> il.check("4.2", 0.5)
    Not yet. The KL has a term of μ and a term of σ. Which σ makes the second one smallest?
    """
    print(judge(name, answer)[1])


def hint(name):
    """Print a hint for an exercise. ValueError for another name.

    >>> import inade_lite as il
    >>> il.hint("4.2")
    Take the derivative of the KL for σ, or draw it.
    """
    print(_texts(name, ANSWERS)["hint"])


def judge(name, answer):
    """(whether the answer is right, what is said of it).

    >>> judge("4.2", 1)[0]
    True
    """
    if name in QUESTIONS:
        return _judge_choice(QUESTIONS[name], answer)
    texts = _texts(name, ANSWERS | QUESTIONS)
    try:
        right = bool(ANSWERS[name](answer))
    except Exception as error:  # an answer may be any code, and what is wrong with it is what its author wants to know
        told = f"{type(error).__name__}: {error}"
        return False, f"{TEXTS['not yet']} {TEXTS['stopped']} {told}"
    if right:
        return True, f"{TEXTS['right']} {texts['right']}"
    return False, f"{TEXTS['not yet']} {texts['wrong']}"


def _judge_choice(choices, answer):
    answer = str(answer).strip().lower().rstrip(")")
    if answer not in choices.keys() - {"right"}:
        return False, TEXTS["choose"]
    right = answer == choices["right"]
    return right, f"{TEXTS['right' if right else 'not yet']} {choices[answer]}"


def _texts(name, known):
    if name not in known:
        raise ValueError(f"no exercise {name!r}; there are {', '.join(known)}")
    return TEXTS["exercises"][name]


# {name: {"right": a letter, letter: the reason why it is right or wrong}}
QUESTIONS = TEXTS["questions"]
