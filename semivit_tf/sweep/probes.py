"""Linear probes of frozen features, which are computed once for all of a sweep."""

import dataclasses
import pathlib

import tensorflow as tf

from semivit_tf.config.sweep import PROBE
from semivit_tf.evaluation.linear_probe import probe_scores
from semivit_tf.evaluation.metrics import evaluate_probabilities
from semivit_tf.stages.evaluate import held_out
from semivit_tf.stages.pipeline import prepare
from semivit_tf.stages.probe import asked, features_of
from semivit_tf.stages.run_data import split_and_batch
from semivit_tf.sweep.measures import measures_of
from semivit_tf.sweep.tasks import from_shared, with_flags


class Probes:
    """Probes of the features of one network, with any labels.

    Args:
        config: `Config` of the network.
        folder: Path of the sweep.
        shared: Path of the run whose stage 1, if there is one, the features are of.
        parts: `Parts`, without images found to be bad.
        coarse: See `measures_of`.
        say: Function that shows a person a text.
    """

    def __init__(self, config, folder, shared, parts, coarse, say):
        self._parts = parts
        self._coarse = coarse
        own = pathlib.Path(folder) / "features"
        run = prepare(
            with_flags(
                config,
                **from_shared(config, shared),
                stages=PROBE,
                workdir=str(own / "none"),  # nothing is written there
                probe_features=config.run.probe_features or str(own),
            )
        )
        self._run = self._split(dataclasses.replace(run, say=say))
        (stage,) = run.wanted
        _, self._features = features_of(self._run, stage)

    def _split(self, run, **values):
        """Returns a run with the labels that some settings of data and run choose."""
        config = dataclasses.replace(
            run.config,
            data=run.config.data.with_values(
                **{n: v for n, v in values.items() if n != "seed"}
            ),
            run=run.config.run.with_values(
                **{n: v for n, v in values.items() if n == "seed"}
            ),
        )
        return dataclasses.replace(
            run, config=config, data=split_and_batch(config, self._parts)
        )

    def measure(self, labels, seed):
        """Returns what so many labels in each class, chosen by a seed, are worth."""
        run = self._split(self._run, labels_per_class=labels, seed=seed)
        part, _ = held_out(run)
        queries, truth = asked(run, self._features, part)
        labeled = run.data.split.labeled
        scores, _ = probe_scores(
            self._features.of_training(labeled),
            run.data.parts.train.labels[labeled],
            queries,
            run.num_classes,
        )
        row = evaluate_probabilities(
            truth, tf.nn.softmax(scores).numpy(), run.data.class_names
        )
        return measures_of(row, len(labeled), self._coarse)
