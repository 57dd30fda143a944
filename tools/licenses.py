"""What is locked, and under which licenses: SPDX expressions, as packages tell them in one of four ways."""

import importlib.metadata
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "paddle-cpu.lock")
NPM_LOCK = ROOT / "tests/browser/package-lock.json"

# What a program under the Apache License 2.0 may depend on: permissive licenses, and two that ask only that changes of
# their own files be shared.
COMPATIBLE = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "CNRI-Python", "HPND", "ISC", "MIT"),
    *("MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib"),
}

# Free texts in the place of an expression, by what they begin with; and classifiers.
TEXTS = {
    "3-clause bsd": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "freebsd": "BSD-2-Clause",
    "isc license": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0": "MPL-2.0",
    "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
}


def locked():
    """[(name, version, sha256 of its files)] of the locks of Python packages.

    >>> from tools.licenses import locked
    >>> [name for name, _, _ in locked() if name.startswith("num")]
    ['numpy']
    """
    found = []
    for lock in LOCKS:
        text = (ROOT / lock).read_text("utf-8")
        for name, version, rest in re.findall(r"^([\w.-]+)==([^\s;]+)(.*(?:\n    .*)*)", text, re.M):
            found.append((name, version, re.findall(r"sha256:(\w+)", rest)))
    return found


def npm_locked():
    """[(name, version, license)] of the packages that build and test the explorer's page."""
    packages = json.loads(NPM_LOCK.read_text("utf-8"))["packages"]
    del packages[""]  # the tests themselves
    return [(path.split("node_modules/")[-1], told["version"], told["license"]) for path, told in packages.items()]


def license_of(distribution):
    """The SPDX expression of an installed package, or "" if it tells none.

    >>> from importlib.metadata import distribution
    >>> from tools.licenses import license_of
    >>> license_of(distribution("numpy"))
    'BSD-3-Clause'
    """
    told = distribution.metadata
    if told.get("License-Expression"):
        return told["License-Expression"]
    texts = [told.get("License") or ""]
    texts += [each.split("::")[-1] for each in told.get_all("Classifier", []) if each.startswith("License ::")]
    for file in distribution.files or ():
        if re.match(r"licen[sc]e|copying", file.name, re.I):
            texts.append(distribution.locate_file(file).read_text("utf-8", "replace")[:200])
    for text in texts:
        text = " ".join(text.split())
        if re.fullmatch(r"[\w.-]+( (AND|OR) [\w.-]+)*", text) and is_compatible(text):
            return text
        for beginning, expression in TEXTS.items():
            if text.lower().startswith(beginning):
                return expression
    return ""


def is_compatible(expression):
    """Whether an expression leaves a choice of licenses all of which are COMPATIBLE.

    >>> from tools.licenses import is_compatible
    >>> is_compatible("GPL-3.0-only OR MIT AND ISC"), is_compatible("MIT AND GPL-3.0-only"), is_compatible("")
    (True, False, False)
    """
    choices = [choice.split(" AND ") for choice in expression.split(" OR ")]
    return any(all(name.strip(" ()") in COMPATIBLE for name in choice) for choice in choices)


def installed():
    """{name: distribution} of what this environment has of the locked packages."""
    found = {}
    for name, _, _ in locked():
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system or another Python
    return found
