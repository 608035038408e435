"""What is recorded of runs, and what follows from it: chain, verification, drift."""
