"""The console commands of EBDA; in a wheel, its configs and programs, too.

The library is the package ``mmseg``.
"""
