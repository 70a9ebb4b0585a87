"""Servers of other makes that ours are measured beside, each as lean as its library allows."""
