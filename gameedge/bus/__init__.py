"""The control plane between regions and coordinators: MQTT 3.1.1, with a twin in memory. See `base.py`."""
