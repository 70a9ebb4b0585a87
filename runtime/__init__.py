"""All that a server and a device share: packages, engines, the predict path, routes, recorder."""
