"""Linear algebra in terms of `lax`, for platforms whose compiler has no operation for it."""
