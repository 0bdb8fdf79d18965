"""What the command line and a notebook call: searches, results, estimates, merges, replays."""
