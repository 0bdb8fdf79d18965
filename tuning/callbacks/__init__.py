"""What hears how a search goes: progress bars."""
