"""What tests by generated input share: how much is tried, and what may be taken."""

import contextlib
import tracemalloc

from hypothesis import HealthCheck, settings

# The same examples in each run, as many as take a second or two.
bounded = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
_MOST_BYTES = 20_000_000  # that a small file may make a reader allocate


@contextlib.contextmanager
def few_bytes():
    """Fails if the block allocates much at any time."""
    tracemalloc.start()
    try:
        yield
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < _MOST_BYTES
