"""Reading AudioSet's formats and generating a demo set in its shape."""
