"""What the columns of the demo's model are called; imports nothing, for the sake of devices."""

#: What is known of a flight before it departs, as the model's clients send it.
INPUTS = (
    "carrier",
    "origin",
    "dest",
    "distance",
    "hour",
    "month",
    "temp",
    "wind_speed",
    "visib",
    "pressure",
    "precip",
)
#: Minutes in the air; missing where a flight was cancelled, diverted or not recorded.
LABEL = "air_time"
