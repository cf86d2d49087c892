"""Synapse multi-organ CT (BTCV): its files, its labels, and phantoms of the same form."""
