"""One animated picture of a folder of frames: python tools/film.py build/film docs/play.gif

The frames are what tests/browser/film.js has left: 000.png, 001.png, ..., and film.json with the milliseconds of each.
"""

import json
import sys
from pathlib import Path

from PIL import Image

WIDTH = 800
COLORS = 255


def film(folder, path, width=WIDTH, colors=COLORS):
    """Write the animation of a folder's frames, `width` pixels wide, as a GIF. Returns its size in bytes.

    All frames share one palette, so that what stands still does not flicker.

    >>> import tempfile
    >>> from tools.film import film
    >>> folder = Path(tempfile.mkdtemp())
    >>> for k, color in enumerate(("red", "blue")):
    ...     Image.new("RGB", (8, 4), color).save(folder / f"{k:03}.png")
    >>> size = (folder / "film.json").write_text("[100, 200]")
    >>> film(folder, folder / "film.gif", width=4) == (folder / "film.gif").stat().st_size
    True
    """
    folder = Path(folder)
    durations = json.loads((folder / "film.json").read_text("utf-8"))
    frames = []
    for k in range(len(durations)):
        frame = Image.open(folder / f"{k:03}.png").convert("RGB")
        height = round(frame.height * width / frame.width)
        frames.append(frame.resize((width, height), Image.Resampling.LANCZOS))
    side_by_side = Image.new("RGB", (width, len(frames) * frames[0].height))
    for k, frame in enumerate(frames):
        side_by_side.paste(frame, (0, k * frame.height))
    palette = side_by_side.quantize(colors, dither=Image.Dither.NONE)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)
    return Path(path).stat().st_size


if __name__ == "__main__":
    print(f"{film(*sys.argv[1:3]):,} bytes")
