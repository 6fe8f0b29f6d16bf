"""What main.py does, by `python -m semivit_tf`."""

import sys

from semivit_tf.cli import main

if __name__ == "__main__":
    sys.exit(main(["semivit_tf", *sys.argv[1:]]))
