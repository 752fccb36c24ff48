"""What a person reads and looks at afterwards: figures, one HTML page, plain sentences."""
