"""medsam2: one prompt in, the whole volume out.

MedSAM-2 (arXiv 2408.00874) as software: a scan is the video of its slices; prompt one slice, and the object
is found in all the others.
"""

__version__ = "0.1.0"
