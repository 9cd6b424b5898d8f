"""Networks that we train: pure modules, without prompts or sampling. Each is imported from its own module."""
