"""The models on this machine: listed, pulled from a hub or from packages, verified. The only room that may
touch the network, and only for `models pull`."""

from local_voice.model_store.files import PullError
from local_voice.model_store.store import Listing, ModelStore, Problem, weights_root

__all__ = ["Listing", "ModelStore", "Problem", "PullError", "weights_root"]
