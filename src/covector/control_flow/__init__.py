"""Loops and branches on traced values; derivatives that users give."""
