"""The command line: arguments in, calls of the API out."""
