"""How many near-duplicates are found, how many are imagined, and how fast?

    python experiments/benchmarks/duplicates.py

Images are made again in a random size down to half and as JPEG of a random quality from
60, and looked for among all the others: pieces of scikit-learn's two photographs, and
Fashion-MNIST from --data_dir (or without it, if it is not there). What is found among
Fashion-MNIST's own images is counted, too: random 2,000 of them, and all. Searching is
timed on made-up fingerprints, in a process of its own. Writes
experiments/results/duplicates.json and prints the table made from it.
"""

import argparse
import io
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND = "python experiments/benchmarks/duplicates.py"
RESULT = ROOT / "experiments" / "results" / "duplicates.json"
PIECES = 600
SEARCHED = (100_000, 1_300_000)


# === Recall ===


def made_again(image, generator):
    """Returns an image after a random change of size and a random JPEG quality.

    Args:
        image: uint8 array `[H, W, 3]`.
        generator: `numpy.random.Generator`.

    Returns:
        Tuple of a uint8 array `[h, w, 3]` and the factor of its size.
    """
    import numpy as np
    from PIL import Image

    factor = generator.uniform(0.5, 1.0)
    size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
    way = Image.Resampling(int(generator.integers(1, 6)))
    resized = Image.fromarray(image).resize(size, way)
    file = io.BytesIO()
    resized.save(file, "JPEG", quality=int(generator.integers(60, 96)))
    return np.asarray(Image.open(file)), factor


def random_pieces(smallest, largest, generator):
    """Returns pieces of two photographs that overlap by chance only."""
    from sklearn.datasets import load_sample_images

    photographs = load_sample_images().images
    pieces = []
    for number in range(PIECES):
        photograph = photographs[number % 2]
        height, width = generator.integers(smallest, largest + 1, 2)
        top = generator.integers(0, photograph.shape[0] - height + 1)
        left = generator.integers(0, photograph.shape[1] - width + 1)
        pieces.append(photograph[top : top + height, left : left + width])
    return pieces


def fingerprints_of(images):
    """Returns the fingerprints of images of different sizes."""
    import numpy as np

    from semivit_tf.data.duplicates import make_fingerprints, make_thumbnails

    return make_fingerprints(
        np.concatenate([make_thumbnails(image[None]) for image in images])
    )


def recall(images, generator):
    """Makes every image again and looks for the pairs among all of them.

    Returns:
        Dict of the share found, the same for sizes of 0.8 and more, the pairs found
        that nobody made, and the number of images.
    """
    import numpy as np

    from semivit_tf.data.duplicates import near_duplicates

    versions, factors = zip(
        *(made_again(image, generator) for image in images), strict=True
    )
    pairs, _ = near_duplicates(fingerprints_of([*images, *versions]))
    count = len(images)
    planted = pairs[:, 1] - pairs[:, 0] == count
    found = np.zeros(count, bool)
    found[pairs[planted, 0]] = True
    # Two versions of one pair of alike originals say nothing new.
    imagined = (pairs % count)[~planted]
    return {
        "images": count,
        "found": float(found.mean()),
        "found_at_0.8": float(found[np.array(factors) >= 0.8].mean()),
        "imagined": len(np.unique(imagined, axis=0)),
    }


# === Alarms ===


def fashion_mnist(folder):
    """Returns training and test images as uint8 `[N, 28, 28, 3]`, training first."""
    import numpy as np

    from semivit_tf.data.loaders import load_parts

    parts = load_parts("idx", folder, None)
    images = np.concatenate([parts.train.images, parts.test.images])
    return np.repeat(images, 3, axis=-1), len(parts.train)


def alarms(images, training, generator):
    """Counts the pairs found among images that nobody made again."""
    import numpy as np

    from semivit_tf.data.duplicates import make_fingerprints, near_duplicates
    from semivit_tf.data.duplicates import make_thumbnails as thumbnails

    fingerprints = make_fingerprints(
        np.concatenate([thumbnails(part) for part in np.array_split(images, 20)])
    )
    pairs, _ = near_duplicates(fingerprints)
    across = (pairs[:, 0] < training) & (pairs[:, 1] >= training)
    draws = [generator.choice(len(images), 2000, replace=False) for _ in range(10)]
    return {
        "ten_times_2000": [len(near_duplicates(fingerprints[d])[0]) for d in draws],
        "all": len(pairs),
        "across_training_and_test": int(across.sum()),
        "same_pixels": len(images) - len(np.unique(images, axis=0)),
    }


# === Time ===


def search(count):
    """Returns the seconds and the memory in GB that a search takes."""
    import numpy as np

    from semivit_tf.data.duplicates import FINGERPRINT_SIZE, near_duplicates

    generator = np.random.default_rng(0)
    # Slower waves are larger, as in photographs.
    rows, columns = np.mgrid[:8, :8]
    sizes = 60.0 / (1.0 + np.hypot(rows, columns).ravel()) ** 1.5
    fingerprints = np.empty((count, FINGERPRINT_SIZE), "float16")
    for start in range(0, count, 100_000):
        part = fingerprints[start : start + 100_000]
        part[:, :64] = generator.standard_normal((len(part), 64)) * sizes
        part[:, 64:] = generator.standard_normal((len(part), 32)) * 10.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    near_duplicates(fingerprints)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "gigabytes": (after - before) * 1024 / 1e9}


def search_apart(count):
    """Returns what `search` returns, from a process of its own."""
    answer = subprocess.run(
        [sys.executable, __file__, f"--search={count}"],
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(answer.stdout.splitlines()[-1])


# === Reporting ===


def table(result):
    """Returns the result as a Markdown table."""
    lines = [
        "| copies at half to full size, JPEG quality 60 to 95 | found "
        "| found of those of 0.8 of the size or more | false pairs |",
        "|---|---|---|---|",
    ]
    for title, found in result["recall"].items():
        lines.append(
            f"| {found['images']} {title} | {100 * found['found']:.1f} % "
            f"| {100 * found['found_at_0.8']:.1f} % | {found['imagined']} |"
        )
    times = [
        f"{found['seconds']:.0f} seconds for {int(count):,} images"
        for count, found in result["search"].items()
    ]
    lines += ["", f"Searching takes {', '.join(times)}."]
    return "\n".join(lines)


def measure(folder):
    """Returns all results."""
    import numpy as np

    generator = np.random.default_rng(0)
    found = {
        "pieces of two photographs, 64 to 300 pixels": recall(
            random_pieces(64, 300, generator), generator
        ),
        "pieces of two photographs, 32 pixels": recall(
            random_pieces(32, 32, generator), generator
        ),
    }
    result = {"command": COMMAND, "recall": found}
    if pathlib.Path(folder).is_dir():
        images, training = fashion_mnist(folder)
        chosen = images[generator.choice(len(images), PIECES, replace=False)]
        found["images of Fashion-MNIST"] = recall(list(chosen), generator)
        result["fashion_mnist"] = alarms(images, training, generator)
    result["search"] = {str(count): search_apart(count) for count in SEARCHED}
    result["processors"] = os.cpu_count()
    return result


def main():
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--search", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if arguments.search:
        print(json.dumps(search(arguments.search)))
        return
    if not arguments.table:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(measure(arguments.data_dir), indent=2) + "\n")
    print(table(json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
