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
        """Returns the run with as much work for a stage as there is time for."""
        if stage not in self.plans:
            return run
        self._began = time.monotonic()
        work = self._share(run, stage)
        later = work * sum(plan.seconds for _, plan in self._from(stage)[1:])
        deadline = self.end - self.ending - 0.8 * self.slowness * later
        return run.timed(work=work, deadline=deadline)

    def _from(self, stage):
        """Returns the plans of a stage and of those after it."""
        number = self.wanted.index(stage)
        return [(s, self.plans[s]) for s in self.wanted[number:] if s in self.plans]

    def _share(self, run, stage):
        """Returns for which share of what this and later stages do there is time."""
        plans = self._from(stage)
        shrinks = [(n, p) for n, p in plans if run.may_derive(n, "epochs")]
        work = sum(p.speed.step * p.steps for _, p in shrinks)
        fixed = sum(p.seconds for _, p in plans) - work
        if not work:
            return 1.0
        left = (self.end - self.ending - time.monotonic()) / self.slowness
        share = (left - fixed) / work
        if share < _LEAST and not self.corrected:
            needed = self.limit + fixed + _LEAST * work - left
            raise InputError(
                f"--time_limit={run.config.run.time_limit} is too short: about "
                f"{clock(needed)} are needed at least"
            )
        return min(1.0, max(_LEAST, share))

    def ended(self, run, stage):
        """Learns from how long a stage took."""
        if stage in self.plans:
            plan = self.plans.pop(stage)
            expected = plan.speed.seconds(max(1, round(plan.steps * run.work)))
            self.slowness = (time.monotonic() - self._began) / expected
            self.corrected = True
