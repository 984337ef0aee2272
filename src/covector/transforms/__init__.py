"""Program transformations: one file each."""
