"""Banks: one kind of detector for all series of a model, as structs of arrays that compiled loops update.

Every bank keeps the same promises, and `tests/unit/detector/test_bank_conformance.py` holds all of them to each: rows
are folded in order, results do not depend on how the rows were cut into batches or on the number of threads, a value
that is not finite, or too large to add up, leaves its series untouched, and a bank restored from its snapshot continues
bit for bit.
"""
