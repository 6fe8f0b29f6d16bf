"""What a run is told: frozen dataclasses that check themselves, to and from JSON.

Standard library only, so `python main.py --help` answers at once. The command line
makes its flags out of these fields; nothing else knows flags.
"""

from semivit_tf.config.config import Config

__all__ = ["Config"]
