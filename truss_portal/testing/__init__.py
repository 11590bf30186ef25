"""For a site's own tests: the pretend Truss as a process, and pytest fixtures over it.

`truss_portal.testing.sandbox.Sandbox` starts it; `truss_portal.testing.plugin` has the fixtures and is found by
pytest by itself once truss_portal is installed. Needs Django REST framework, but not that the site has installed the
sandbox.
"""
