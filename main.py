"""`python main.py --help` says what can be done."""

import sys

from semivit_tf.cli import main

if __name__ == "__main__":
    sys.exit(main())
