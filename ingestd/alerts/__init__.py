"""Rules over what workers observed and counters say, and whom they tell: in the sidecar, never in the way of a record."""
