"""How hypothesis runs here: no deadlines, for a busy machine is not a defect."""

from hypothesis import settings

settings.register_profile("sqslite", deadline=None)
settings.load_profile("sqslite")
