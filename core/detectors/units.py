"""Which units a field's values could have come in by mistake.

A field whose unit is known can only have slipped to another unit of the same quantity: miles to
kilometres, but never to kelvin. Of a field whose unit is not known, any common slip is possible.
"""

from dataclasses import dataclass

#: quantity → unit → (its names, factor and offset that lead to the quantity's first unit).
_QUANTITIES: dict[str, dict[str, tuple[tuple[str, ...], float, float]]] = {
    "length": {
        "metres": (("m", "metre", "meter", "meters"), 1.0, 0.0),
        "kilometres": (("km", "kilometre", "kilometer", "kilometers"), 1000.0, 0.0),
        "miles": (("mi", "mile"), 1609.344, 0.0),
        "nautical miles": (("nmi", "nautical mile"), 1852.0, 0.0),
        "feet": (("ft", "foot"), 0.3048, 0.0),
        "inches": (("in", "inch"), 0.0254, 0.0),
        "centimetres": (("cm", "centimetre", "centimeter", "centimeters"), 0.01, 0.0),
        "millimetres": (("mm", "millimetre", "millimeter", "millimeters"), 0.001, 0.0),
    },
    "temperature": {
        "kelvin": (("k",), 1.0, 0.0),
        "Celsius": (("c", "°c", "degc", "deg c", "degrees celsius"), 1.0, 273.15),
        "Fahrenheit": (("f", "°f", "degf", "deg f", "degrees fahrenheit"), 5 / 9, 459.67 * 5 / 9),
    },
    "mass": {
        "kilograms": (("kg", "kilogram"), 1.0, 0.0),
        "grams": (("g", "gram"), 0.001, 0.0),
        "tonnes": (("t", "tonne"), 1000.0, 0.0),
        "pounds": (("lb", "lbs", "pound"), 0.45359237, 0.0),
        "ounces": (("oz", "ounce"), 0.028349523125, 0.0),
    },
    "time": {
        "seconds": (("s", "sec", "second"), 1.0, 0.0),
        "milliseconds": (("ms", "millisecond"), 0.001, 0.0),
        "microseconds": (("µs", "us", "microsecond"), 1e-6, 0.0),
        "minutes": (("min", "mins", "minute"), 60.0, 0.0),
        "hours": (("h", "hr", "hour"), 3600.0, 0.0),
        "days": (("d", "day"), 86_400.0, 0.0),
    },
    "speed": {
        "m/s": (("metres per second", "meters per second"), 1.0, 0.0),
        "km/h": (("kph", "kmh", "kilometres per hour", "kilometers per hour"), 1 / 3.6, 0.0),
        "mph": (("miles per hour",), 0.44704, 0.0),
        "knots": (("kn", "kt", "knot"), 1852 / 3600, 0.0),
    },
    "pressure": {
        "Pa": (("pascal",), 1.0, 0.0),
        "hPa": (("mbar", "millibar", "millibars"), 100.0, 0.0),
        "kPa": (("kilopascal",), 1000.0, 0.0),
        "bar": ((), 100_000.0, 0.0),
        "psi": ((), 6894.757293168, 0.0),
        "inHg": (("inches of mercury",), 3386.389, 0.0),
        "mmHg": (("millimetres of mercury", "torr"), 133.322387415, 0.0),
    },
    "share": {
        "a fraction": (("fraction", "share", "ratio"), 1.0, 0.0),
        "per cent": (("%", "percent", "percentage"), 0.01, 0.0),
    },
}
_COMMON = (
    ("miles", "kilometres"),
    ("feet", "metres"),
    ("inches", "centimetres"),
    ("pounds", "kilograms"),
)


@dataclass(frozen=True, slots=True)
class Slip:
    """Values that came as `factor·x + offset`."""

    label: str
    factor: float
    offset: float = 0.0


def _find(unit: str) -> tuple[str, str] | None:
    """Return quantity and unit by any of the unit's names."""
    wanted = unit.strip().lower()
    for quantity, units in _QUANTITIES.items():
        for name, (others, _, _) in units.items():
            if wanted == name.lower() or wanted in others:
                return quantity, name
    return None


def _slip(quantity: str, come: str, gone: str) -> Slip:
    _, factor, offset = _QUANTITIES[quantity][come]
    _, other_factor, other_offset = _QUANTITIES[quantity][gone]
    label = f"{come} to {gone}"
    return Slip(label, factor / other_factor, (offset - other_offset) / other_factor)


_DECIMAL = (
    Slip("×1000", 1000.0),
    Slip("÷1000", 0.001),
    Slip("×100", 100.0),
    Slip("÷100", 0.01),
    Slip("sign flipped", -1.0),
)


def _any() -> tuple[Slip, ...]:
    pairs = [pair for couple in _COMMON for pair in (couple, couple[::-1])]
    named = []
    for come, gone in [*pairs, ("Fahrenheit", "Celsius"), ("Celsius", "Fahrenheit")]:
        found = _find(come)
        if found is not None:
            named.append(_slip(found[0], come, gone))
    # An offset alone (Celsius to kelvin) looks like a shift if the unit is not known.
    return (*_DECIMAL, Slip("×60", 60.0), Slip("÷60", 1 / 60), *named)


_ANY = _any()


def slips(unit: str) -> tuple[Slip, ...]:
    """Return the changes of unit that are plausible for a field with this unit.

    Args:
        unit: the field's unit, by name or sign; empty if it is not known: then all common
            slips. A unit that is not in the table can only slip by powers of ten or its sign.

    >>> [slip.label for slip in slips("°F")]
    ['Fahrenheit to kelvin', 'Fahrenheit to Celsius']
    >>> [round(32 * slip.factor + slip.offset, 2) for slip in slips("°F")]
    [273.15, 0.0]
    """
    if not unit:
        return _ANY
    found = _find(unit)
    if found is None:
        return _DECIMAL
    quantity, come = found
    return tuple(_slip(quantity, come, gone) for gone in _QUANTITIES[quantity] if gone != come)
