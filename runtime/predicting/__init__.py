"""From a call to an answer: routes, targets, fallbacks, shadows."""
