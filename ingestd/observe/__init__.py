"""What workers notice in the records that pass, told to the sidecar, at next to no cost to the records."""
