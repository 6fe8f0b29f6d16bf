"""Which data, method, schedule and checkpoint make one run? Config in, run folder out.

`pipeline.py` runs the stages in order; each stage is a file. A stage knows no maths and
no flags.
"""
