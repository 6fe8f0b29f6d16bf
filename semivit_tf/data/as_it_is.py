"""A mark for functions of pipelines that AutoGraph should not convert.

It looks for an `if` or a loop over tensors, and for all functions that are called in
turn, which takes some tenths of a second for each function in each process.
"""

import tensorflow as tf

as_it_is = tf.autograph.experimental.do_not_convert
