"""The object index: in which file and row of the archive an object or a sky position is found.

It is derived from the ledger alone and can be deleted at any time: a look-up then reads the files
directly, which costs time and changes no answer.

    index/steps/<number>.json          what the index consists of after a step (manifest.py)
    index/runs/<number>-<token>/       immutable files of one run (run.py)
        objects.arrow                  (key, file, row), sorted by key
        positions.arrow                (pixel, file, row, key, ra, dec), sorted by HEALPix pixel
        files.arrow                    number, path and rows of the run's files

`IndexFollower` writes it, `ObjectIndex` reads it, `finkray.curves.lookup` uses it for light curves.
"""
