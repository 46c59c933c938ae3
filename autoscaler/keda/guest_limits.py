"""How many guests there may be, and for how long: numbers that the command line shows, so that nothing is imported."""

# Each costs a forecast per interval and queries to Prometheus.
GUESTS_MAX = 2_000
# So that one namespace leaves room for others.
GUESTS_PER_NAMESPACE = 1_000
# KEDA polls every 30 s, and an hour at most makes sense; an edited trigger leaves its old self behind for as long.
FORGET_AFTER_S = 600.0
