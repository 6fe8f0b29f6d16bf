"""What does a person see of a run? Plots, pictures and the page that holds them.

`page.py` renders what the other files have drawn; it is given plain numbers, texts and
arrays. Start there.
"""
