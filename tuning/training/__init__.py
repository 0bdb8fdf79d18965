"""What runs on a worker: training, held to one CPU thread."""
