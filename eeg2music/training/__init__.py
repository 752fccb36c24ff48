"""One accelerate loop, and one file for each thing that is trained."""
