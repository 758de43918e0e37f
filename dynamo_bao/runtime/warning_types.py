"""The warnings of the library. `dynamo_bao.errors` has them too."""

from __future__ import annotations


class ConfigurationWarning(UserWarning):
    """A setting or a model definition that works, but is probably a mistake.

    Example:
        >>> import warnings
        >>> warnings.simplefilter("error", ConfigurationWarning)
    """


class ModelFileWarning(UserWarning):
    """Something in a YAML model file that works, but is probably a mistake.

    Example:
        >>> import warnings
        >>> warnings.simplefilter("error", ModelFileWarning)
    """


class NaiveDatetimeWarning(UserWarning):
    """A datetime without a time zone was taken for UTC.

    Example:
        >>> import warnings
        >>> warnings.simplefilter("error", NaiveDatetimeWarning)
    """


class BatchContextWarning(UserWarning):
    """An operation outside any batch context, under the policy `WarnOutside`.

    Example:
        >>> import warnings
        >>> warnings.simplefilter("error", BatchContextWarning)
    """


class SeveralManagersWarning(BatchContextWarning):
    """A second manager was opened for a model, and neither is bound to a context with `Manager.activate`.

    Example:
        >>> with archive.activate():      # says which of the managers the block means
        ...     User.create(name="Ada")
    """
