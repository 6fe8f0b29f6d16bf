"""The command line: flags made from the settings, and errors a person can act on."""

import contextlib
import dataclasses
import gc
import os
import pathlib
import shlex
import signal
import sys
import sysconfig
import tempfile
import textwrap
import time

from absl import flags

from semivit_tf.config import Config
from semivit_tf.config.backbone import BackboneConfig
from semivit_tf.config.config import described_default
from semivit_tf.config.settings import InputError
from semivit_tf.config.sweep import CNN_STAGES
from semivit_tf.one_line import one_line
from semivit_tf.stop_signals import finishing_first, stops_on_signals

_USAGE = """\
semivit_tf: from images and few labels to a served Semi-ViT.

  {command} --data_dir=photos
  {command} --flagfile={recipe} --seed=1 --workdir=runs/seed1
  {command} --data_dir=photos --sweep_labels=4,8,16

The same command on the same --workdir continues where it stopped. Later flags win, so
put your own after the flagfile; --semi_threshold= takes a value of it back."""

_COMMAND = {"command": "python main.py", "recipe": "experiments/quickstart.flags"}
_INSTALLED = {"command": "semivit", "recipe": "quickstart.flags"}
# Where flagfiles lie that came with the package.
_RECIPES = pathlib.Path(sysconfig.get_path("data"), "share", "semivit_tf")
_FLAGFILE = "--flagfile="
# The order of the main flags.
_GROUPS = ("data", "backbone", "run", "foreign_images", "new_images", "sweep")
_OWN_FLAGS = ("flagfile", "help", "helpfull")  # those that are no settings
_DEFINE = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}
_PARSERS = {
    int: flags.IntegerParser(),
    float: flags.FloatParser(),
    str: flags.ArgumentParser(),
}


class _OptionalParser(flags.ArgumentParser):
    """Takes an empty argument for none."""

    def __init__(self, parser):
        self.parser = parser
        self.syntactic_help = parser.syntactic_help

    def parse(self, argument):
        return self.parser.parse(argument) if argument != "" else None

    def flag_type(self):
        return self.parser.flag_type()


def define_flags():
    """Returns a `FlagValues` with one flag for each setting."""
    values = flags.FlagValues()
    flags.DEFINE_string(
        "flagfile", "", "File with one flag a line.", flag_values=values
    )
    flags.DEFINE_bool("help", False, "Show the main flags.", flag_values=values)
    flags.DEFINE_bool("helpfull", False, "Show all flags.", flag_values=values)
    for flag, (_, group, field) in Config.fields().items():
        kind, optional = group.types()[field.name]
        text = field.metadata["help"]
        if optional and kind in _PARSERS:
            parser = _OptionalParser(_PARSERS[kind])
            flags.DEFINE(parser, flag, field.default, text, flag_values=values)
        else:
            _DEFINE[kind](flag, field.default, text, flag_values=values)
    return values


def help_text(full, installed=False):
    """Returns the usage and the main flags, or all, a method's under the method."""
    usage = _USAGE.format_map(_INSTALLED if installed else _COMMAND)
    lines, title = [usage, *([] if full else [""])], None
    shown = Config.fields()
    if not full:
        main = {flag: of for flag, of in shown.items() if of[2].metadata["first"]}
        shown = dict(sorted(main.items(), key=lambda item: _GROUPS.index(item[1][0])))
    for flag, (name, group, field) in shown.items():
        if full and title != group:
            title = group
            text = group.__doc__.strip().splitlines()[0]
            method = getattr(group, "name", "")
            lines += ["", f"--{name}={method}: {text}" if method else text]
        text = field.metadata["help"]
        if field.metadata["choices"]:
            text += f" ({', '.join(field.metadata['choices'])})"
        default = described_default(name, field)
        if default is not None:
            text += f" [{default}]"
        lines.append(f"  --{flag}")
        lines += textwrap.wrap(
            text, 80, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    if not full:
        lines += ["", "All flags: --helpfull"]
    return "\n".join(lines)


def parse(argv):
    """Returns the `Config` of a command line, or the text of the help it asks for."""
    values = _parsed(argv)
    if values.help or values.helpfull:
        installed = pathlib.Path(argv[0]).stem == _INSTALLED["command"]
        return help_text(values.helpfull, installed)
    return Config.from_flags(_settings(values))


def parse_second_network(argv, config):
    """Returns the `Config` of `--sweep_cnn`, or None if there is no such network.

    Its flags are those of the command line, but for those that say which network it
    is, and its own.
    """
    if config.sweep.cnn is None:
        return None
    own = _parsed([argv[0], *shlex.split(config.sweep.cnn)])
    networks = {field.name for field in dataclasses.fields(BackboneConfig)}
    shared = _settings(_parsed(argv))
    given = {name: own[name].value for name in own if own[name].present}
    return Config.from_flags(
        {
            **{name: shared[name] for name in shared if name not in networks},
            "stages": CNN_STAGES,
            **{name: given[name] for name in given if name not in _OWN_FLAGS},
        }
    )


def _with_folder(argument):
    """Returns an argument; where it names an installed flagfile, with its folder.

    A file of that name in the folder where the command runs comes first.
    """
    name = argument.removeprefix(_FLAGFILE)
    if name in ("", argument) or pathlib.Path(name).exists():
        return argument
    installed = _RECIPES / name
    known = installed.parent == _RECIPES and installed.is_file()
    return f"{_FLAGFILE}{installed}" if known else argument


def _parsed(argv):
    """Returns the `FlagValues` of a command line."""
    values = define_flags()
    try:
        rest = values([argv[0], *map(_with_folder, argv[1:])])
    except flags.Error as error:
        raise InputError(" ".join(str(error).split())) from error
    if rest[1:]:
        raise InputError(f"Arguments should start with --. Received: {rest[1:]}")
    return values


def _settings(values):
    """Returns the dict of flag to value, of all that are settings."""
    found = values.flag_values_dict()
    return {name: found[name] for name in found if name not in _OWN_FLAGS}


def _import_runners():
    """Imports what runs; shows what TensorFlow prints only if that fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            from semivit_tf.stages.pipeline import run_pipeline
            from semivit_tf.sweep.run_sweep import run_sweep
        except BaseException:
            os.dup2(kept, 2)
            aside.seek(0)
            sys.stderr.write(aside.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    return run_pipeline, run_sweep


def main(argv=None):
    """Runs the command line; returns the exit code.

    0: done. 2: the input cannot be used. 130 and 143, as shells know them: stopped by
    Ctrl-C or SIGTERM, and the same command continues.
    """
    with stops_on_signals():
        try:
            return _answer_or_refuse(list(sys.argv if argv is None else argv))
        except KeyboardInterrupt as stop:
            print("\nStopped. The same command continues.", file=sys.stderr)
            return 128 + getattr(stop, "number", signal.SIGINT)
        finally:
            _flush_output()


def _answer_or_refuse(argv):
    try:
        return _answer(argv)
    except InputError as error:
        print(f"semivit_tf: {one_line(error)}", file=sys.stderr)
        return 2
    finally:
        # Ends thread pools before Python shuts threads down; after the error, whose
        # frames hold them.
        gc.collect()


def _answer(argv):
    started = time.monotonic()
    config = parse(argv)
    if isinstance(config, str):
        with contextlib.suppress(BrokenPipeError):  # as of `--help | head`
            print(config, flush=True)
        return 0
    command = [pathlib.Path(argv[0]).name, *argv[1:]]
    second = parse_second_network(argv, config)
    with finishing_first():  # an import that is broken off may go on unnoticed
        run_pipeline, run_sweep = _import_runners()
    if config.sweep.labels:
        run_sweep(config, second, command)
    else:
        run_pipeline(config, command, started=started)
    return 0


def _flush_output():
    """Gives up what nobody reads any more; Python would say so when it exits."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
