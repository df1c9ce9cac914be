"""The commands of the command line, a function each, and what they share."""
