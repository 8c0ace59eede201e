"""`isthmus benchmark transfer`: does the federation help, whom, and does it harm anybody."""
