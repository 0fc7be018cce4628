"""Results of downstream runs, gathered in a table."""
