"""Validation: JSON Schema for records of every format, judged on the stored line, a block at a time.

    rules.py      what a door asks of each block: the default rules, a schema by service, a schema by header
    record.py     the default schema (record.schema.json) and its limits, told from what is counted of a block
    mend.py       text that breaks a default rule is put right and kept
    schema.py     one schema: a generated Struct admits good blocks, jsonschema-rs says what is wrong with a record
    structs.py    JSON Schema to that Struct; patterns.py the regular expressions that both understand alike
    catalog.py    the schemas of the registry, taken up while records flow; trial.py keeps costly ones out

A record is judged as it is stored: canonical, enriched, whatever format it came in.
"""
