"""Other drift tools, in a Python environment of their own, for `driftline bench peers`."""
