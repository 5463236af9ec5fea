"""Rules about metrics: bound to a baseline, judged cohort by cohort, rehearsed on the reference."""
