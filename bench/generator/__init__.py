"""The compiled load generator and the compiled honest server."""
