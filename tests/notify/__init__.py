"""The tests of what people elsewhere are told."""
