"""How many labels are needed? Many runs that share what they can, and one table.

Start at `sweep.py`. The ways that are compared are rows of `ways.py`; a run is a
`Task`, carried out by the stages in a process of its own.
"""
