"""What workers notice in the records that pass, told to the sidecar: never per record, and never at the records' cost."""
