"""Which data, method, schedule and checkpoint make one run? Config in, run folder out.

`table.py` lists the stages, `pipeline.py` runs them in order. Each kind of stage is a
file, and knows no stage by name, no maths and no flags.
"""
