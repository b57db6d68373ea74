"""Every error that medsam2 raises on purpose.

    MedSAM2Error
    ├── InputError                what the caller gave does not fit
    │   ├── ShapeError            an array or tensor of the wrong shape
    │   ├── GeometryError         an affine, spacing or grid that does not fit
    │   ├── PromptError           a prompt outside the volume, empty, contradictory, ...
    │   └── ConfigurationError    an unknown or contradictory setting
    ├── FormatError               a file that cannot be read or written as what it claims to be
    ├── CheckpointError           weights that are missing, damaged or of another configuration
    └── MissingDependencyError    an optional package is not installed

A message says what was given, what was expected and what to do; it names the file, object and slice
where there is one.
"""


class MedSAM2Error(Exception):
    """Base of every error that medsam2 raises on purpose."""


class InputError(MedSAM2Error):
    """What the caller gave does not fit."""


class ShapeError(InputError):
    """An array or tensor has the wrong shape."""


class GeometryError(InputError):
    """An affine, a spacing or a voxel grid does not fit."""


class PromptError(InputError):
    """A prompt is outside the volume, empty, contradictory or malformed."""


class ConfigurationError(InputError):
    """A setting is unknown or contradicts another one."""


class FormatError(MedSAM2Error):
    """A file cannot be read or written as what it claims to be."""


class CheckpointError(MedSAM2Error):
    """Weights are missing, damaged, or belong to another configuration."""


class MissingDependencyError(MedSAM2Error):
    """An optional package is needed and not installed."""
