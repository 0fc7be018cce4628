"""What the exit codes of all commands mean."""

DONE = 0
WRONG_USE = 2
SOME_FAILED = 3
REFUSED = 4
INTERRUPTED = 130  # 128 + SIGINT, as shells count

EXIT_CODES = (
    'exit codes: 0 done, 2 wrong use, 3 some files could not be done (they are named), 4 refused, '
    '130 stopped by Ctrl-C'
)
