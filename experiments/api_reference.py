"""Write the reference of the package from its docstrings, as HTML, by pdoc.

python experiments/api_reference.py            # or: make docs
"""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pdoc

import semivit_tf

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "runs" / "api"
# What only the command line uses.
LEFT_OUT = ("__main__", "cli", "report", "stages", "stop_signals", "sweep")


def main():
    """Writes the pages to runs/api, and says where they begin."""
    # pdoc looks for names in the module itself, which imports them when asked for one.
    vars(semivit_tf).update(
        (name, getattr(semivit_tf, name)) for name in dir(semivit_tf)
    )
    pdoc.render.configure(docformat="google")
    left_out = [f"!semivit_tf.{name}" for name in LEFT_OUT]
    pdoc.pdoc("semivit_tf", *left_out, output_directory=FOLDER)
    print(FOLDER / "index.html")


if __name__ == "__main__":
    main()
