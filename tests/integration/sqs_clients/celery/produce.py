"""produce.py [<marker>]: sends tasks of each kind, or, given the path of a marker, the one that kills its worker."""

import sys

import app

if len(sys.argv) == 2:
    app.survivor.delay(sys.argv[1])
else:
    for number in range(5):
        app.add.delay(number, 1)
    app.retried.delay()
    app.backed_off.delay()
