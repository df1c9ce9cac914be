"""What the program ends with: 0 done, 1 a check failed, 2 bad input, 130 interrupted."""

DONE, CHECK_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
