"""The viewer: a page in the browser, served from and to this machine only."""
