"""Transfer: a registry's content carried from hub to hub where no network leads."""
