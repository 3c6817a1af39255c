"""What happens to pictures after they were made: they expire, are found again after a crash, or move.

Services for the periodic commands. Each may be stopped at any moment and run again.
"""
