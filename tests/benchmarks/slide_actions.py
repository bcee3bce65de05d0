"""What is measured of slides. Each action runs in a process of its own: ``python slide_actions.py NAME JSON``.

An action is made ready first: whatever it imports is imported, by opening a small local slide in the same way. Then the
process says so, waits for a line, and is measured. It prints one JSON object: seconds, how much the peak of its memory
grew, and of what size the image is.
"""

import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
from actions import memory

MPP = 15.0


def ours(tiny: str, endpoint: str, slide: list, cache: str, method: str = "ranges", keep: bool = True):
    from intake_tcga.slides.opening import open_slide
    from intake_tcga.slides.slide import Slide

    def image(source, **options):
        return open_slide(source, mpp=MPP, cache=cache, keep=keep, **options)["image"].values

    image(tiny)
    import fsspec.implementations.http  # noqa: F401 - what a local file does not need

    import intake_tcga.slides.tile_service
    import intake_tcga.transfer.job
    import intake_tcga.transfer.ranged_http  # noqa: F401

    return lambda: image(Slide(*slide), endpoint=endpoint, method=method)


def theirs_tifffile(tiny: str, endpoint: str, slide: list, **_):
    import fsspec
    import fsspec.implementations.http
    import tifffile

    def image(url):
        with fsspec.open(url) as file, tifffile.TiffFile(file) as tiff:
            levels = tiff.series[0].levels
            base = levels[0].shape[1]
            level = next(level for level in reversed(levels) if 0.25 * base / level.shape[1] <= 1.01 * MPP)
            return resized(level.asarray(), base)

    image(tiny)
    return lambda: image(f"{endpoint}/data/{slide[0]}")


def theirs_tiffslide(tiny: str, endpoint: str, slide: list, **_):
    import fsspec
    import fsspec.implementations.http  # noqa: F401
    import tiffslide

    def image(source):
        with tiffslide.TiffSlide(source) as opened:
            level = opened.get_best_level_for_downsample(MPP / float(opened.properties["tiffslide.mpp-x"]))
            size = opened.level_dimensions[level]
            return resized(opened.read_region((0, 0), level, size, as_array=True), opened.dimensions[0])

    image(tiny)
    return lambda: image(f"{endpoint}/data/{slide[0]}")


def resized(pixels, base: int):
    """Resize as plain Pillow does: nearly 15 µm/px."""
    from PIL import Image

    scale = 0.25 * base / pixels.shape[1] / MPP
    size = int(pixels.shape[1] * scale), int(pixels.shape[0] * scale)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def batch(tiny: str, endpoint: str, slides: list, cache: str, out: str, workers: int):
    from intake_tcga.slides.images import save_images
    from intake_tcga.slides.slide import Slide

    def save(those, folder, **options):
        return save_images(those, folder, mpp=MPP, workers=workers, cache=cache, progress=False, **options)

    save([tiny], Path(out, f"tiny of {workers}"))  # a folder of its own: what is there is not made again
    import fsspec.implementations.http  # noqa: F401

    import intake_tcga.transfer.ranged_http  # noqa: F401

    shutil.rmtree(Path(out, f"of {workers}"), ignore_errors=True)
    return lambda: save([Slide(*slide) for slide in slides], Path(out, f"of {workers}"), endpoint=endpoint)


def main() -> None:
    action = globals()[sys.argv[1]](**json.loads(sys.argv[2]))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    print("ready", flush=True)
    sys.stdin.readline()
    before, start = memory("VmRSS"), time.perf_counter()
    image = action()
    seconds, grown = time.perf_counter() - start, memory("VmHWM") - before
    print(json.dumps({"seconds": seconds, "MiB": grown, "shape": list(np.shape(image))}))


if __name__ == "__main__":
    main()
