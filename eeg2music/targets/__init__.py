"""What the brain encoder aims at: the CLAP embedding space and control curves in time."""
