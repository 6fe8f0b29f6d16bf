"""What every method of the table does by XLA and in bfloat16.

Apart from test_method_conformance.py: a process keeps what XLA has compiled.
"""

import keras
import pytest

from semivit_tf.training.optimizers import LayerWiseAdamW
from tests.conformance import METHODS, arrays, assert_learned, fit, name
from tests.memory import give_back


@pytest.mark.parametrize(
    ("precision", "jit_compile"),
    [("float32", True), ("mixed_bfloat16", False), ("mixed_bfloat16", True)],
)
@pytest.mark.parametrize("row", METHODS, ids=name)
def test_training_steps_run_in_every_other_mode(row, precision, jit_compile):
    keras.config.set_dtype_policy(precision)
    try:
        model = row.build()
        model.compile(LayerWiseAdamW(1e-3), jit_compile=jit_compile)
        before = arrays(model.trainable_variables)
        logs = fit(model, row, steps=2)
    finally:
        keras.config.set_dtype_policy("float32")
    # Keras only warns when a model goes on without XLA.
    assert model.jit_compile is jit_compile
    assert_learned(logs, before, arrays(model.trainable_variables))
    give_back()
