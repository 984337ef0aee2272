"""Products of groups of rows by a matrix each: `ragged_dot`; products with scales: `scaled_dot`."""
