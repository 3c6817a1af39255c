"""How much was made, how long it took, what it cost and what went wrong: counted, and read again fast."""
