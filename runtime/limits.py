"""The longest ids and largest numbers, in one place: what a node takes, and what a hub keeps."""

#: Characters of a request's id. Longer ones are refused: ids are kept, sampled, joined to labels.
REQUEST_ID_CHARACTERS = 256

#: Characters of an id or another short text in the hub's tables, in logs and in traces. A hub
#: counts a record with a longer id as refused; labels for it cannot be sent.
STORED_ID_CHARACTERS = 128

#: The largest magnitude of a label, or of a prediction that is compared with one: its square,
#: summed over any number of pairs, is still finite.
MAXIMUM_LABEL = 1e100

#: The largest generation or epoch of a desired state that a node obeys. A larger one would leave no
#: room for newer ones.
MAXIMUM_GENERATION = 1 << 40
