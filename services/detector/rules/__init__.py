"""Rules that people bring: bound to a baseline, folded over closed windows, rehearsed on the reference."""
