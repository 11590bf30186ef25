"""The whole story, told against the sandbox: `manage.py truss_demo`. Installed only where Truss is pretended."""
