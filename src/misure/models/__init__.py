"""The network: how it is loaded and shown images, what it predicts and what that costs."""
