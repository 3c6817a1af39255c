"""Who you are, and the gate that every API view stands behind."""
