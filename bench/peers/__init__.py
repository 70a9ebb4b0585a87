"""Servers of other makes, each as lean as its library allows."""
