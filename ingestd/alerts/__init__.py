"""Rules over what workers observed and counters say, and whom they tell: in the sidecar, in the way of no record."""
