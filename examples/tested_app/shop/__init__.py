"""A shop so small that its tests fit a screen; `../tests` shows how to write them."""
