"""Edit prompts of clips: what each shows, and what it might show instead; a list that suites read."""
