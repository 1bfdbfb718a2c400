"""The report card of a model (`batch/evaluate.py`).

measures    its figures: recall and cost, genre precision, hubness, simulated lists
spaces      its table of spaces: each block of the features, both, as learned
figures     its drawings, matplotlib
html        the page, Jinja2; templates/ has its text and style
"""
