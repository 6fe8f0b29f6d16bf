"""Tensors to tensors: the parts that backbones and methods are made of.

A layer knows no data set and no loss. Everything here uses `keras.ops` and
`keras.random` only, so it runs on any Keras 3 backend. One file per concept;
start with `transformer_block.py`.
"""
