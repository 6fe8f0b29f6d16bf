"""How much of its work a run has time for, with `--time_limit`.

Each stage is estimated before the first begins. What a stage really took, against its
estimate, corrects those that follow.
"""

import time

from semivit_tf.config.settings import InputError
from semivit_tf.stages.plan import plans_of
from semivit_tf.training.progress import clock

_ENDING = 15.0  # seconds for the evaluation and the export, besides the images
_NETWORKS = 6  # evaluated, at most: two stages' students and teachers, last and best
_FORWARD = 1 / 3  # of what learning an image takes
_LEAST = 0.02  # of its work that a stage does, however late it is


class Timetable:
    """What is left of a run, in seconds; without a limit, nothing.

    Args:
        run: `Run`.
        started: Float. What `time.monotonic()` was when the run began.
    """

    def __init__(self, run, started):
        self.limit = run.config.run.time_limit_seconds()
        self.end = started + self.limit if self.limit is not None else None
        self.wanted = [stage for stage in run.wanted if stage.kind.trains]
        left = [s for s in self.wanted if not run.stage_folder(s).done and not s.data]
        if self.limit is None:
            left = []
        self.plans = plans_of(run, left)
        self.slowness, self.corrected = 1.0, False
        self.ending = _ENDING
        if self.plans and run.data.parts.test is not None:
            slowest = max(p.speed.step / p.images_per_step for p in self.plans.values())
            self.ending += slowest * _FORWARD * _NETWORKS * len(run.data.parts.test)

    def describe(self):
        """Returns the estimates as a line, or None where there are none."""
        if not self.plans:
            return None
        parts = [f"{s.name} {clock(p.seconds)}" for s, p in self.plans.items()]
        seconds = sum(plan.seconds for plan in self.plans.values())
        text = f"training takes about {clock(seconds)}: {', '.join(parts)}"
        if seconds > self.end - time.monotonic():
            text += f"; less will be done, to end in {clock(self.limit)}"
        return text

    def begin(self, run, stage):
        """Returns the run with as much work for each stage as there is time for."""
        if stage not in self.plans:
            return run
        self._began = time.monotonic()
        plans = self._from(stage)
        work = self._shares(run, plans)
        later = sum(p.speed.seconds(work.get(s, 1.0) * p.steps) for s, p in plans[1:])
        deadline = self.end - self.ending - 0.8 * self.slowness * later
        named = {stage.name: share for stage, share in work.items()}
        return run.timed(work=named, deadline=deadline)

    def _from(self, stage):
        """Returns the plans of a stage and of those after it."""
        number = self.wanted.index(stage)
        return [(s, self.plans[s]) for s in self.wanted[number:] if s in self.plans]

    def _shares(self, run, plans):
        """Returns by stage for which share of what it does there is time.

        Args:
            run: `Run`.
            plans: List of pairs of `Stage` and `Plan`: what is left.
        """
        work = {
            stage: plan.speed.step * plan.steps
            for stage, plan in plans
            if run.may_derive(stage, "epochs")
        }
        fixed = sum(plan.seconds for _, plan in plans) - sum(work.values())
        left = (self.end - self.ending - time.monotonic()) / self.slowness - fixed
        least = _LEAST * sum(work.values())
        if work and left < least and not self.corrected:
            needed = self.limit + least - left
            raise InputError(
                f"--time_limit={run.config.run.time_limit} is too short: about "
                f"{clock(needed)} are needed at least"
            )
        found = allotted(list(work.values()), left)
        return {
            stage: max(_LEAST, given / wanted) if wanted else 1.0
            for (stage, wanted), given in zip(work.items(), found, strict=True)
        }

    def ended(self, run, stage):
        """Learns from how long a stage took."""
        if stage in self.plans:
            plan = self.plans.pop(stage)
            expected = plan.speed.seconds(
                max(1, round(plan.steps * run.work.get(stage.name, 1.0)))
            )
            self.slowness = (time.monotonic() - self._began) / expected
            self.corrected = True


def allotted(wanted, time_left):
    """Returns what each of several gets of the time that is left for all.

    Who wants little gets it whole, since that leaves the others hardly less: a stage
    that learns a few labels is short and decides much. The others get the same.
    """
    found, time_left = [0.0] * len(wanted), max(0.0, time_left)
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    for place, number in enumerate(order):
        found[number] = min(wanted[number], time_left / (len(order) - place))
        time_left -= found[number]
    return found
