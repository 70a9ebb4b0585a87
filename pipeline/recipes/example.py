"""A commented recipe, to start from; it can be built."""

__all__ = ["EXAMPLE"]

EXAMPLE = '''\
# How a model of your own becomes a package:
#   gnomon package build recipe.toml packages/duration-1 --key key.pem
# Paths are relative to this file. What is commented out is optional.

name = "duration"               # lower case letters, digits, - and _
version = "1"                   # a version never changes: another build, another version
owner = "logistics team"
licence = "Apache-2.0"
risk_tier = "low"
card = """
Minutes that a delivery takes, from what is known before it starts.
Not for deliveries by bicycle."""

[card_sections]                 # optional: users, uses, limits, tradeoffs, ethics
limits = "Trained on deliveries within the city; distances above 500 km were never seen."

[model]
file = "model.onnx"             # .onnx, .tflite, .pmml, or of LightGBM or XGBoost

[data]                          # what the model was trained on: the profile comes from it
files = ["train.csv"]           # .csv, .parquet or .arrow, one or several parts
# missing = ["", "NA"]          # texts that stand for no value in CSV, and no others
# encoding = "cp1252"           # of CSV without a byte order mark; also delimiter, decimal = ","
# text = ["zip"]                # CSV columns that are texts although they look like numbers
# ragged = "fill"               # CSV rows may lack their last values
block = "day"                   # rows of one day resemble each other: drift is evaluated by days
# uri = "s3://lake/deliveries"  # the data's official location
# fingerprint = "rows-1:…"      # refuse to build from other data

# The inputs, in the order in which the model takes them. Kind and range are derived from the
# data, with a margin; say what you know better. Other keys: nullable, policy ("reject", "clip",
# "impute", "flag"), impute, private, pattern, description; from = "net weight (kg)" names the
# column, if it is called otherwise.
[inputs]
distance = {minimum = 0, maximum = 500, unit = "km"}
weight = {minimum = 0, nullable = true, missing = 0, unit = "kg"}  # missing: what the model gets
vehicle = {allowed = ["car", "truck", "van"], encode = "code"}     # 0, 1, 2; or "onehot"
hour = {minimum = 0, maximum = 23, monitored = false}              # that it moves on is no drift

[outputs]
minutes = {tensor = "minutes", minimum = 0, maximum = 10_000}      # tensor: the model's own name

[[rules]]                       # conditions over several fields
name = "heavy"
expression = "weight <= 30 or vehicle != 'car'"
policy = "flag"
message = "a car carries at most 30 kg"

# [[tensors]]                   # for a model with several input tensors
# name = "numbers"
# dtype = "FP32"
# fields = ["distance", "weight", "vehicle", "hour"]

[golden]
rows = 20                       # spread evenly over the test rows

[test]                          # metrics with intervals, by blocks
files = ["test.csv"]            # or split the data: time = "day", start = 2026-03-01
label = "took"
segments = ["vehicle"]          # measured apart too, for each value

# [training]                    # what the manifest should remember of the training
# code_version = "git:…"
# seed = 0
# parameters = {trees = 100}

[needs]                         # a node without it refuses the package
memory_mib = 256                # of the whole process

[deployment]
window_seconds = 86_400         # length of the windows in which drift is counted
'''
