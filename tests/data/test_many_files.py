"""A folder of 200,000 images: listed, split and read from without being held."""

import os
import subprocess
import sys
import textwrap

from PIL import Image

from tests.data.files import picture

CLASSES, EACH = 100, 2000


def test_a_large_folder_is_ready_in_seconds_and_in_little_memory(tmp_path):
    for kind in range(CLASSES):
        folder = tmp_path / "photos" / "train" / f"class {kind}"
        folder.mkdir(parents=True)
        Image.fromarray(picture(kind, (8, 8))).save(folder / "0.jpg")
        for number in range(1, EACH):
            os.link(folder / "0.jpg", folder / f"{number}.jpg")
    script = textwrap.dedent(
        """
        import sys, time
        import semivit_tf
        import tensorflow as tf
        start = time.process_time()  # others may hold up the clock
        data = semivit_tf.load_dataset(
            "folder", sys.argv[1], label_fraction=0.01, validation_per_class=2,
            image_size=32,
        )
        batch, labels = next(iter(data.semi_supervised(16)))
        assert batch["weak"].shape == (80, 32, 32, 3)
        split = data.split
        counts = map(len, (split.labeled, split.unlabeled, split.validation))
        seconds = time.process_time() - start
        status = open("/proc/self/status").read()
        memory = int(status.split("VmHWM:")[1].split()[0]) / 1024
        print(*counts, seconds, memory)
        """
    )
    for _ in range(2):  # native code is compiled once on a machine
        answer = subprocess.run(
            [sys.executable, "-c", script, tmp_path / "photos"],
            check=True,
            capture_output=True,
            text=True,
        )
        *counts, seconds, megabytes = map(float, answer.stdout.split())
        if seconds < 20:
            break
    assert counts == [2000, 197800, 200]
    assert seconds < 20
    assert megabytes < 1000
