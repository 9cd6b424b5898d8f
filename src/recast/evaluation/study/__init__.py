"""User studies: pairs of edits that raters choose between, who is left out, win rates and strengths."""
