"""Records of the standing tests: what was done, when, on what."""

import datetime
import json
import os
import platform

import paddle

from inade_lite.files import write_file
from inade_lite.setup.runtime import cpu_model


def machine():
    """What a record says of the machine.

    >>> from reliability.record import machine
    >>> sorted(machine())
    ['cores', 'paddle', 'processor', 'python', 'system']
    """
    return {
        "processor": cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "paddle": paddle.__version__,
    }


def write_record(path, content):
    """Write a record, with today's date, as JSON of one line for each entry."""
    content = {"date": datetime.date.today().isoformat(), **content}
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    write_file(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())
    print(f"{path}")
