"""More than one question about a target: hidden regions, reasons, robustness, effects."""
