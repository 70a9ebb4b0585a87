"""The column names of the demo's model; imports nothing, so that devices stay small."""

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
#: Minutes in the air; missing if a flight was cancelled, diverted or not recorded.
LABEL = "air_time"
