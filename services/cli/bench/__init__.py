"""`driftline bench`: what is measured, what is promised of it, and how it is told. Touches no server and no clock."""
