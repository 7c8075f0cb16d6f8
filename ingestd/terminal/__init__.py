"""What a person at a terminal sees of a daemon: its records as they come (`tail`) and how it does (`top`, `status`).

Reads segments and answers, changes nothing. What senders wrote is shown through `ingestd.visible`.
"""
