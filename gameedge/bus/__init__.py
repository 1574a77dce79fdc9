"""The control plane between regions and coordinators: MQTT 3.1.1, with a twin in memory. See `base.py`."""

from gameedge.bus.base import Bus, BusFactory, BusMessage
from gameedge.bus.open import open_bus

__all__ = ["Bus", "BusFactory", "BusMessage", "open_bus"]
