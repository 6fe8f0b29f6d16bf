"""A sweep's results as a table, and as the lines of a plot."""

import statistics

from semivit_tf.sweep.measures import COARSE, TITLES
from semivit_tf.sweep.ways import WAYS, place_of


def values(content, way, labels, measure):
    """Returns a measure of a way in all seeds that have been measured."""
    at, name = place_of(way, labels)
    seeds = content["results"].get(str(at), {})
    cells = [seeds.get(str(seed), {}).get(name) for seed in content["seeds"]]
    return [cell[measure] for cell in cells if cell]


def spread(shares):
    """Returns the mean and the standard deviation over seeds, in per cent."""
    if not shares:
        return "-"
    mean = f"{100 * statistics.mean(shares):.1f}"
    if len(shares) < 2:
        return mean
    return f"{mean} +- {100 * statistics.stdev(shares):.1f}"


def markdown(content):
    """Returns the Markdown table of a sweep: means and deviations over seeds, in %."""
    shown = [name for name in TITLES if content["coarse"] or name != COARSE]
    header = ["labels a class", "", *(TITLES[name] for name in shown), "seeds"]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for labels in content["labels"]:
        for way in content["ways"]:
            of_all = [values(content, way, labels, name) for name in shown]
            cells = [str(labels), WAYS[way].title, *map(spread, of_all)]
            lines.append(f"| {' | '.join(cells)} | {len(of_all[0])} |")
    return "\n".join(lines)


def lines_of(content, measure):
    """Returns the lines of a plot: title, network, and points.

    A point is the number of labels, the mean and the deviation over seeds.
    """
    lines = []
    for way in content["ways"]:
        points = []
        for labels in content["labels"]:
            found = values(content, way, labels, measure)
            if found:
                deviation = statistics.stdev(found) if len(found) > 1 else 0.0
                points.append((labels, statistics.mean(found), deviation))
        if points:
            lines.append((WAYS[way].title, points))
    return lines
