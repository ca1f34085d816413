"""What every page is built from: elements, markup, terminal text, readings, wiring."""
