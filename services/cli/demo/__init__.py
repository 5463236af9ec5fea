"""The demo's pure half: what is produced in which order, and whether everything is accounted for."""
