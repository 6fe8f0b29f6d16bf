"""The kind of stage that asks a person to label those images that help most."""

from semivit_tf.config.settings import InputError
from semivit_tf.data.order import permutation
from semivit_tf.evaluation.next_labels import choose_next
from semivit_tf.stages.classifier_features import features_and_answers
from semivit_tf.stages.hand_tables import HandTable
from semivit_tf.stages.served_weights import served_weights
from semivit_tf.stages.stage import Kind
from semivit_tf.stages.starting_weights import check_answer, refuse_unfinished
from semivit_tf.training.progress import CountProgress

_MOST = 50_000  # images whose features are held in memory
_STREAM = 1_000_033  # of random numbers, apart from those of the split
COLUMNS = {
    "rank": "number",
    "path": "text",
    "answer": "text",
    "probability": "number",
    "label": "text",
}


class LabelNext(Kind):
    """Chooses among the unlabelled images, by what the served network makes of them."""

    def needs_weights(self, settings):
        return True

    def check(self, run, stage):
        refuse_unfinished(run, stage)
        check_answer(run, stage)
        if not len(run.data.split.unlabeled):
            raise InputError(
                f"--stages={stage.name} has nothing to ask for: no image of this run "
                "is without a label"
            )
        return run

    def carry_out(self, run, stage):
        served = served_weights(run, stage)
        asked = {
            "--label_next_count": run.settings(stage).label_next_count,
            "weights": " ".join(served.names),
            "weights_sha256": served.digest(run),
        }
        table = HandTable(run, stage, asked)
        found = table.summary() or choose(run, stage, served, table)
        run.say(f"{stage.name}: {describe(found, run, table)}")


def choose(run, stage, served, table):
    """Chooses images and writes the table of them; returns a summary.

    Args:
        run: `Run`.
        stage: `Stage`.
        served: The `Kept` weights that answer.
        table: `HandTable`.
    """
    unlabeled, seed = run.data.split.unlabeled, run.config.run.seed
    count = min(run.settings(stage).label_next_count, len(unlabeled))
    looked_at = unlabeled
    if len(unlabeled) > max(_MOST, count):
        order = permutation(len(unlabeled), (seed, _STREAM))
        looked_at = unlabeled[sorted(order[: max(_MOST, count)])]
    network = run.classifier()
    served.load(run.quiet(), network)
    with CountProgress(f"{stage.name} images") as progress:
        features, probabilities = features_and_answers(
            network,
            run.data.as_evaluated(looked_at),
            lambda done: progress(done, len(looked_at)),
        )
    chosen = choose_next(features, probabilities, count, seed)
    names, source = run.data.class_names, run.data.parts.train
    rows = [
        {
            "rank": rank,
            "index": int(looked_at[place]),
            "path": source.name(looked_at[place]),
            "answer": names[probabilities[place].argmax()],
            "probability": round(float(probabilities[place].max()), 6),
            "label": "",
        }
        for rank, place in enumerate(chosen, start=1)
    ]
    found = {
        "images": count,
        "looked_at": len(looked_at),
        "unlabeled": len(unlabeled),
    }
    table.write(
        COLUMNS,
        rows,
        found,
        title=f"{count} images to label next",
        sentences=[
            f"They are those of which {' '.join(served.names)} would learn most: it is "
            "unsure of them, and they differ from each other. Write the class of each "
            f"into the column label of {table.table.name}; leave out what is none. "
            f"The classes are: {', '.join(names)}."
        ],
        texts=[
            f"{row['answer']}? {100 * row['probability']:.0f} % sure" for row in rows
        ],
    )
    return found


def describe(found, run, table):
    """Returns what a person should read of a summary."""
    asked, count = run.config.labelling.label_next_count, found["images"]
    lines = []
    if count < asked:
        lines.append(f"only {count} images are unlabelled, {asked} were asked for")
    if found["looked_at"] < found["unlabeled"]:
        lines.append(
            f"chosen among {found['looked_at']} of {found['unlabeled']} unlabelled "
            "images, drawn at random"
        )
    given = [*run.config.data.tables_of_labels(), str(table.table)]
    lines.append(
        f"{count} images to label in {table.table}, shown in {table.page}. Fill in the "
        f"column label, then start a run with --labels={','.join(given)} in another "
        "--workdir"
    )
    return "\n".join(lines)
