"""A list of all that is locked, with hashes and licenses, in CycloneDX: `make sbom`.

    python tools/sbom.py .venv/lib/python3.11/site-packages build/sbom.json

Runs in an environment of its own, which has the CycloneDX library. What the given folder lacks, because it is for other
systems or Pythons, is downloaded and read. Ends with an error if a license is not told, or not compatible.
"""

import collections
import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from tools import licenses


def distributions(folder):
    """{name: distribution} of all locked packages: those in a folder of site-packages, and the others downloaded."""
    there = {_plain(each.name): each for each in importlib.metadata.distributions(path=[folder])}
    missing = [(name, version) for name, version, _ in licenses.locked() if _plain(name) not in there]
    if missing:
        wheels = tempfile.mkdtemp()
        for name, version in missing:
            command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", f"{wheels}/{name}"]
            command += ["--platform", "win_amd64", "--only-binary=:all:", "--disable-pip-version-check"]
            subprocess.run([*command, f"{name}=={version}"], check=True)
            (there[_plain(name)],) = importlib.metadata.distributions(path=[f"{wheels}/{name}"])
    return there


def _plain(name):
    return name.lower().replace("_", "-").replace(".", "-")


def components(folder):
    """A Component of each locked package, Python's and npm's."""
    there = distributions(folder)
    for name, version, hashes in licenses.locked():
        told = licenses.license_of(there[_plain(name)])
        yield component("pypi", name, version, told, [HashType(alg=HashAlgorithm.SHA_256, content=h) for h in hashes])
    for name, version, told in licenses.npm_locked():
        yield component("npm", name, version, told)


def component(kind, name, version, told, hashes=()):
    """One of them."""
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        purl=PackageURL(kind, name=name, version=version),
        bom_ref=f"{kind}:{name}@{version}",
        hashes=hashes,
        licenses=[LicenseExpression(told)] if told else [],
    )


def main():
    """The command line."""
    folder, out = sys.argv[1:]
    found = list(components(folder))
    text = JsonV1Dot6(Bom(components=found)).output_as_string(indent=1)
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong:
        sys.exit(f"{out} would be no CycloneDX: {wrong}")
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(text + "\n", "utf-8")

    told = {each.bom_ref.value: next((str(each_license.value) for each_license in each.licenses), "") for each in found}
    for expression, count in collections.Counter(told.values()).most_common():
        print(f"{count:4} {expression}")
    unfit = []
    for name, expression in told.items():
        if not licenses.is_compatible(expression):
            unfit.append(f"{name} ({expression or 'no license told'})")
    print(f"{out}: {len(found)} packages")
    sys.exit(f"not compatible: {', '.join(unfit)}" if unfit else None)


if __name__ == "__main__":
    main()
