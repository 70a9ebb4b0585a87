"""What PMML says is what the compiled model answers: beside scikit-learn, and word for word."""

import math
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression

from gnomon.pipeline.pmml.compile import INPUT, LABEL, NUMBER, PROBABILITIES, compile_pmml
from gnomon.runtime.errors import PackageError
from gnomon.runtime.raw_models.probe import answer
from tests.pipeline.pmml.documents import (
    DICTIONARY,
    SCHEMA,
    document,
    mining_model,
    numbers,
    segments,
    shares,
    tree_model,
    tree_nodes,
)
from tests.pipeline.pmml.interpreter import predict

COLOURS = ("red", "green", "dark blue")
TARGET = '<MiningField name="t" usageType="target"/>'


def run(pmml, rows):
    compiled = compile_pmml(pmml)
    names = (PROBABILITIES, LABEL) if compiled.classes else (NUMBER,)
    rows = np.asarray(rows, np.float64).reshape(-1, len(compiled.inputs))
    return answer("onnx", compiled.content, {INPUT: rows}, names)


def one(model, row, **options):
    return float(run(document(model, **options), [row])[0][0, 0])


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 4))
    return rows, rows[:, 0] * 2 - np.abs(rows[:, 1]) + (rows[:, 2] > 0.3)


def test_a_random_forest_is_scikit_learns(table):
    rows, labels = table
    fitted = RandomForestRegressor(12, max_depth=6, random_state=0).fit(rows, labels)
    fields, schema = numbers(4)
    trees = [tree_model(tree_nodes(one.tree_), schema) for one in fitted.estimators_]
    pmml = document(mining_model(segments(trees, "average"), schema), fields)
    # scikit-learn takes its rows in 32 bits; so do its thresholds.
    single = rows.astype(np.float32).astype(np.float64)
    assert run(pmml, single)[0].ravel() == pytest.approx(fitted.predict(rows), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("method", ["average", "majorityVote", "weightedAverage"])
def test_a_forest_of_classifiers_is_scikit_learns(table, method):
    rows, labels = table
    classes = ("high", "low", "middle")
    truth = np.select([labels > 1, labels < -1], ["high", "low"], "middle")
    fitted = RandomForestClassifier(9, max_depth=5, random_state=0).fit(rows, truth)
    fields, schema = numbers(4)
    trees = [
        tree_model(tree_nodes(one.tree_, score=shares(classes)), schema, "classification")
        for one in fitted.estimators_
    ]
    values = "".join(f'<Value value="{name}"/>' for name in classes)
    target = f'<DataField name="t" optype="categorical" dataType="string">{values}</DataField>'
    pmml = document(
        mining_model(segments(trees, method), schema + TARGET, "classification"), fields, target
    )
    found, label = run(pmml, rows.astype(np.float32))
    single = rows.astype(np.float32)
    if method == "majorityVote":
        votes = np.stack([one.predict(single) for one in fitted.estimators_]).astype(int)
        expected = np.stack([(votes == index).mean(axis=0) for index in range(3)], axis=1)
    else:
        expected = fitted.predict_proba(rows)
    assert found == pytest.approx(expected, abs=1e-6)
    assert (label.ravel() == np.argmax(found, axis=1)).all()


def test_gradient_boosting_is_scikit_learns(table):
    rows, labels = table
    fitted = GradientBoostingRegressor(n_estimators=20, random_state=0).fit(rows, labels)
    fields, schema = numbers(4)
    trees = [tree_model(tree_nodes(one.tree_), schema) for (one,) in fitted.estimators_]
    targets = (
        f'<Targets><Target rescaleFactor="{fitted.learning_rate}" '
        f'rescaleConstant="{float(fitted.init_.constant_[0, 0])!r}"/></Targets>'
    )
    pmml = document(mining_model(segments(trees, "sum"), schema, targets=targets), fields)
    single = rows.astype(np.float32).astype(np.float64)
    assert run(pmml, single)[0].ravel() == pytest.approx(fitted.predict(rows), rel=1e-5, abs=1e-5)


def test_a_chain_of_boosting_and_a_link_is_scikit_learns(table):
    rows, labels = table
    fitted = GradientBoostingClassifier(n_estimators=15, random_state=0).fit(rows, labels > 0)
    fields, schema = numbers(4)
    trees = [tree_model(tree_nodes(one.tree_), schema) for (one,) in fitted.estimators_]
    prior = fitted.init_.class_prior_[1]
    targets = (
        f'<Targets><Target rescaleFactor="{fitted.learning_rate}" '
        f'rescaleConstant="{math.log(prior / (1 - prior))!r}"/></Targets>'
        '<Output><OutputField name="margin" feature="predictedValue"/></Output>'
    )
    boosted = mining_model(segments(trees, "sum"), schema, targets=targets)
    link = (
        '<RegressionModel functionName="classification" normalizationMethod="logit">'
        f'<MiningSchema>{TARGET}<MiningField name="margin"/></MiningSchema>'
        '<RegressionTable targetCategory="yes" intercept="0">'
        '<NumericPredictor name="margin" coefficient="1"/></RegressionTable>'
        '<RegressionTable targetCategory="no" intercept="0"/></RegressionModel>'
    )
    target = (
        '<DataField name="t" optype="categorical" dataType="string">'
        '<Value value="no"/><Value value="yes"/></DataField>'
    )
    chained = segments([boosted, link], "modelChain")
    pmml = document(mining_model(chained, schema + TARGET, "classification"), fields, target)
    found, label = run(pmml, rows.astype(np.float32))
    assert found == pytest.approx(fitted.predict_proba(rows), abs=1e-5)
    assert ((label.ravel() == 1) == fitted.predict(rows)).all()


def test_regressions_are_scikit_learns(table):
    rows, labels = table
    fields, schema = numbers(4)

    def predictors(coefficients):
        return "".join(
            f'<NumericPredictor name="f{index}" coefficient="{float(weight)!r}"/>'
            for index, weight in enumerate(coefficients)
        )

    linear = LinearRegression().fit(rows, labels)
    model = (
        f'<RegressionModel functionName="regression"><MiningSchema>{schema}</MiningSchema>'
        f'<RegressionTable intercept="{float(linear.intercept_)!r}">{predictors(linear.coef_)}'
        "</RegressionTable></RegressionModel>"
    )
    assert run(document(model, fields), rows)[0].ravel() == pytest.approx(linear.predict(rows))

    classes = np.digitize(labels, [-1, 1])
    logistic = LogisticRegression().fit(rows, classes)
    tables = "".join(
        f'<RegressionTable targetCategory="{index}" intercept="{float(start)!r}">'
        f"{predictors(weights)}</RegressionTable>"
        for index, (start, weights) in enumerate(
            zip(logistic.intercept_, logistic.coef_, strict=True)
        )
    )
    model = (
        '<RegressionModel functionName="classification" normalizationMethod="softmax">'
        f"<MiningSchema>{schema}{TARGET}</MiningSchema>{tables}</RegressionModel>"
    )
    values = "".join(f'<Value value="{index}"/>' for index in range(3))
    target = f'<DataField name="t" optype="categorical" dataType="integer">{values}</DataField>'
    found, _ = run(document(model, fields, target), rows)
    assert found == pytest.approx(logistic.predict_proba(rows), abs=1e-6)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("none", 0.4),
        ("logit", 1 / (1 + math.exp(-0.4))),
        ("exp", math.exp(0.4)),
        ("cloglog", 1 - math.exp(-math.exp(0.4))),
        ("loglog", math.exp(-math.exp(-0.4))),
        ("probit", 0.5 * (1 + math.erf(0.4 / math.sqrt(2)))),
    ],
)
def test_links_and_terms(link, expected):
    model = (
        f'<RegressionModel functionName="regression" normalizationMethod="{link}">'
        f"<MiningSchema>{SCHEMA}</MiningSchema><RegressionTable intercept='-0.6'>"
        '<NumericPredictor name="x" exponent="2" coefficient="0.5"/>'
        '<CategoricalPredictor name="c" value="green" coefficient="2"/>'
        '<PredictorTerm coefficient="-1"><FieldRef field="x"/><FieldRef field="y"/></PredictorTerm>'
        "</RegressionTable></RegressionModel>"
    )
    # −0.6 + 0.5 · 2² + 2 − 2 · 1.5
    assert one(model, [2.0, 1.5, 1.0]) == pytest.approx(expected, rel=1e-6)
    assert math.isnan(one(model, [math.nan, 1.5, 1.0]))


def test_what_is_missing_or_out_of_bounds_is_replaced():
    schema = (
        '<MiningField name="x" missingValueReplacement="7"/>'
        '<MiningField name="y" outliers="asExtremeValues" lowValue="0" highValue="10"/>'
        '<MiningField name="c" missingValueReplacement="dark blue"/>'
    )
    model = (
        f'<RegressionModel functionName="regression"><MiningSchema>{schema}</MiningSchema>'
        '<RegressionTable intercept="0"><NumericPredictor name="x" coefficient="1"/>'
        '<NumericPredictor name="y" coefficient="100"/>'
        '<CategoricalPredictor name="c" value="dark blue" coefficient="0.5"/>'
        "</RegressionTable></RegressionModel>"
    )
    assert one(model, [math.nan, 99.0, math.nan]) == 1007.5
    assert one(model, [1.0, -5.0, 0.0]) == 1.0
    compiled = compile_pmml(document(model))
    assert compiled.inputs["x"]["nullable"]
    assert "nullable" not in compiled.inputs["y"]
    assert compiled.inputs["c"]["allowed"] == COLOURS


def derived(body, x=0.0, y=0.0, c=0.0):
    field = f'<DerivedField name="d" optype="continuous" dataType="double">{body}</DerivedField>'
    model = (
        f'<RegressionModel functionName="regression"><MiningSchema>{SCHEMA}</MiningSchema>'
        f"<LocalTransformations>{field}</LocalTransformations>"
        '<RegressionTable intercept="0"><NumericPredictor name="d" coefficient="1"/>'
        "</RegressionTable></RegressionModel>"
    )
    return one(model, [x, y, c])


def call(function, *parts, attributes=""):
    return f'<Apply function="{function}" {attributes}>{"".join(parts)}</Apply>'


X, Y = '<FieldRef field="x"/>', '<FieldRef field="y"/>'
NAN = math.nan


def constant(value):
    return f"<Constant>{value}</Constant>"


@pytest.mark.parametrize(
    ("body", "x", "y", "expected"),
    [
        (call("+", X, call("*", Y, constant(3))), 1, 2, 7),
        (call("-", X, Y), 1, 2, -1),
        (call("/", X, Y), 1, 4, 0.25),
        (call("pow", X, constant(3)), 2, 0, 8),
        (call("min", X, Y, constant(5)), 9, 7, 5),
        (call("max", X, Y), NAN, 7, NAN),
        (call("sum", X, Y), 1, 7, 8),
        (call("avg", X, Y), 1, 7, 4),
        (call("log10", X), 1000, 0, 3),
        (call("ln", call("exp", X)), 1.5, 0, 1.5),
        (call("sqrt", call("abs", X)), -9, 0, 3),
        (call("floor", X), 1.7, 0, 1),
        (call("ceil", X), 1.2, 0, 2),
        (call("tanh", X), 0.3, 0, math.tanh(0.3)),
        (call("if", call("lessThan", X, Y), constant(1), constant(2)), 1, 2, 1),
        (call("if", call("lessThan", X, Y), constant(1), constant(2)), 2, 2, 2),
        (call("if", call("lessThan", X, Y), constant(1), constant(2)), NAN, 2, NAN),
        (call("if", call("isMissing", X), constant(1), X), NAN, 0, 1),
        (call("isNotMissing", X), NAN, 0, 0),
        (call("and", call("greaterThan", X, Y), call("lessOrEqual", Y, X)), 3, 2, 1),
        (call("not", call("or", call("equal", X, Y), call("notEqual", X, Y))), 3, 2, 0),
        (call("+", X, Y, attributes='mapMissingTo="-1"'), NAN, 2, -1),
        (call("ln", X, attributes='defaultValue="-5"'), -1, 0, -5),
        ('<FieldRef field="x" mapMissingTo="4"/>', NAN, 0, 4),
    ],
)
def test_functions(body, x, y, expected):
    assert derived(body, x, y) == pytest.approx(expected, nan_ok=True)


def test_norms():
    points = "".join(
        f'<LinearNorm orig="{orig}" norm="{norm}"/>' for orig, norm in ((0, 0), (10, 1), (20, 5))
    )
    for outliers, low, high in (
        ("asIs", -0.5, 9),
        ("asExtremeValues", 0, 5),
        ("asMissingValues", NAN, NAN),
    ):
        attributes = f'field="x" outliers="{outliers}" mapMissingTo="-3"'
        norm = f"<NormContinuous {attributes}>{points}</NormContinuous>"
        found = [derived(norm, x) for x in (-5, 5, 15, 30, NAN)]
        assert found == pytest.approx([low, 0.5, 3, high, -3], nan_ok=True)
    flag = '<NormDiscrete field="c" value="dark blue" mapMissingTo="0.5"/>'
    assert [derived(flag, c=c) for c in (0, 2, NAN)] == [0, 1, 0.5]
    green = call("equal", '<FieldRef field="c"/>', constant("green"))
    assert [derived(green, c=c) for c in (0, 1)] == [0, 1]


def test_a_scorecard_adds_the_first_that_is_true():
    model = f"""<Scorecard functionName="regression" initialScore="10" useReasonCodes="false">
<MiningSchema>{SCHEMA}</MiningSchema><Characteristics>
<Characteristic name="one"><Attribute partialScore="1">
  <SimplePredicate field="x" operator="lessThan" value="5"/></Attribute>
  <Attribute partialScore="2"><True/></Attribute></Characteristic>
<Characteristic name="two">
  <Attribute partialScore="-3"><SimplePredicate field="c" operator="isMissing"/></Attribute>
  <Attribute partialScore="30"><SimpleSetPredicate field="c" booleanOperator="isIn">
    <Array type="string">green "dark blue"</Array></SimpleSetPredicate></Attribute>
  <Attribute partialScore="40"><True/></Attribute></Characteristic>
</Characteristics></Scorecard>"""
    rows = [[1, 0, 0], [9, 0, 2], [NAN, 0, NAN]]
    assert run(document(model), rows)[0].ravel().tolist() == [51, 42, 9]


def test_the_first_segment_that_applies_answers():
    def regression(constant):
        return (
            f'<RegressionModel functionName="regression"><MiningSchema>{SCHEMA}</MiningSchema>'
            f'<RegressionTable intercept="{constant}"/></RegressionModel>'
        )

    inner = (
        '<Segmentation multipleModelMethod="selectFirst"><Segment>'
        f'<SimplePredicate field="c" operator="equal" value="green"/>{regression(1)}</Segment>'
        f'<Segment><SimplePredicate field="x" operator="greaterThan" value="0"/>{regression(2)}'
        "</Segment></Segmentation>"
    )
    found = run(document(mining_model(inner, SCHEMA)), [[1, 0, 1], [1, 0, 0], [-1, 0, 0]])[0]
    assert found.ravel().tolist() == pytest.approx([1, 2, NAN], nan_ok=True)


@st.composite
def predicates(draw, depth=2):
    kind = draw(st.sampled_from(["number", "text", "set", "missing", "compound"][: 3 + depth]))
    if kind == "compound":
        parts = "".join(draw(st.lists(predicates(depth - 1), min_size=1, max_size=3)))
        asked = draw(st.sampled_from(["and", "or", "xor", "surrogate"]))
        return f'<CompoundPredicate booleanOperator="{asked}">{parts}</CompoundPredicate>'
    if kind == "number":
        asked = draw(
            st.sampled_from(
                ["lessThan", "lessOrEqual", "greaterThan", "greaterOrEqual", "equal", "notEqual"]
            )
        )
        field, value = draw(st.sampled_from("xy")), draw(st.sampled_from([-1, 0, 0.5, 1]))
        return f'<SimplePredicate field="{field}" operator="{asked}" value="{value}"/>'
    if kind == "text":
        asked, value = draw(st.sampled_from(["equal", "notEqual"])), draw(st.sampled_from(COLOURS))
        return f'<SimplePredicate field="c" operator="{asked}" value="{value}"/>'
    if kind == "missing":
        asked, field = (
            draw(st.sampled_from(["isMissing", "isNotMissing"])),
            draw(st.sampled_from("xc")),
        )
        return f'<SimplePredicate field="{field}" operator="{asked}"/>'
    texts = draw(st.lists(st.sampled_from(["red", "green", '"dark blue"']), min_size=1, max_size=2))
    asked = draw(st.sampled_from(["isIn", "isNotIn"]))
    return (
        f'<SimpleSetPredicate field="c" booleanOperator="{asked}">'
        f'<Array type="string">{" ".join(texts)}</Array></SimpleSetPredicate>'
    )


@st.composite
def nodes(draw, depth=3, predicate="<True/>", name="r"):
    children = draw(st.integers(0, 3)) if depth else 0
    inner = ""
    for index in range(children):
        last = index == children - 1 and draw(st.booleans())
        inner += draw(
            nodes(
                depth - 1,
                "<True/>" if last else draw(predicates()),
                name + string.ascii_letters[index],
            )
        )
    default = draw(st.sampled_from(["", *(name + letter for letter in "abc"[:children])]))
    attributes = f'defaultChild="{default}"' if default else ""
    score = draw(st.integers(-9, 9))
    return f'<Node id="{name}" score="{score}" {attributes}>{predicate}{inner}</Node>'


numbers_or_none = st.none() | st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
rows_of_values = st.lists(
    st.tuples(numbers_or_none, numbers_or_none, st.none() | st.sampled_from(COLOURS)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(
    root=nodes(),
    strategy=st.sampled_from(["none", "lastPrediction", "nullPrediction", "defaultChild"]),
    no_child=st.sampled_from(["returnNullPrediction", "returnLastPrediction"]),
    rows=rows_of_values,
)
def test_any_tree_answers_word_for_word(root, strategy, no_child, rows):
    attributes = f'missingValueStrategy="{strategy}" noTrueChildStrategy="{no_child}"'
    model = tree_model(root, SCHEMA, attributes=attributes)
    coded = [
        [NAN if x is None else x, NAN if y is None else y, NAN if c is None else COLOURS.index(c)]
        for x, y, c in rows
    ]
    expected = [predict(model, dict(zip("xyc", row, strict=True))) for row in rows]
    found = run(document(model), coded)[0].ravel().tolist()
    assert found == pytest.approx(expected, nan_ok=True)


LEAF = "<Node score='1'><True/></Node>"
ORDERED = "<Node score='1'><SimplePredicate field='c' operator='lessThan' value='red'/></Node>"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("<NeuralNetwork functionName='regression'/>", "NeuralNetwork"),
        (tree_model("<Node><True/></Node>", SCHEMA, "clustering"), "functionName 'clustering'"),
        (
            tree_model(
                "<Node><True/></Node>",
                SCHEMA,
                attributes='missingValueStrategy="weightedConfidence"',
            ),
            "weightedConfidence",
        ),
        (tree_model("<Node><True/><Regression/></Node>", SCHEMA), "Regression .* within a tree"),
        (tree_model("<Node><True/></Node>", '<MiningField name="q"/>'), "active fields"),
        (
            mining_model(segments([tree_model("<Node><True/></Node>", SCHEMA)], "median"), SCHEMA),
            "'median'",
        ),
        (tree_model("<Node score='a'><True/></Node>", SCHEMA), "should be a number"),
        (
            tree_model(ORDERED, SCHEMA),
            "no order",
        ),
        (tree_model("<Node/>", SCHEMA), "0 predicates"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(model, message):
    with pytest.raises(PackageError, match=message):
        compile_pmml(document(model))
    with pytest.raises(PackageError, match=r"Apply .*'median'"):
        derived(call("median", X))
    with pytest.raises(PackageError, match="TextIndex"):
        derived("<TextIndex textField='c'/>")


def test_values_that_stand_for_missing_are_refused():
    leaf = tree_model("<Node score='1'><True/></Node>", '<MiningField name="z"/>')
    for kind, kept in (
        ("continuous", "missing"),
        ("continuous", "invalid"),
        ("ordinal", "missing"),
    ):
        field = f"""<DataField name="z" optype="{kind}" dataType="double">
        <Value value="-999" property="{kept}"/></DataField>"""
        with pytest.raises(PackageError, match=f"a value of 'z' that is {kept}"):
            compile_pmml(document(leaf, field))
    with pytest.raises(PackageError, match="isScorable is false"):
        compile_pmml(document(tree_model(LEAF, SCHEMA, attributes='isScorable="false"')))
    skips = segments(
        [tree_model(LEAF, SCHEMA)], "sum", None, 'missingPredictionTreatment="skipSegment"'
    )
    with pytest.raises(PackageError, match="skipSegment"):
        compile_pmml(document(mining_model(skips, SCHEMA)))


BOMB = b"""<!DOCTYPE PMML [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<PMML version="4.4"><Header copyright="&b;"/></PMML>"""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BOMB, "declares what may not be in it"),
        (b"<!DOCTYPE PMML SYSTEM 'http://127.0.0.1/x.dtd'><PMML version='4.4'/>", "may not be"),
        (b"<PMML version='4.4'>" + b"<Extension>" * 600, "deeper than 500"),
        (b"<PMML version='3.2'/>", "expected PMML of a version 4"),
        (b"<html version='4'/>", "the document is html"),
        (b"nothing", "not valid XML"),
        (b"<PMML version='4.4'></PMML>", "it holds 0 models"),
        (document("<TreeModel functionName='regression'/>", dictionary=""), "no MiningSchema"),
    ],
)
def test_hostile_and_broken_documents_are_refused(data, message):
    with pytest.raises(PackageError, match=message):
        compile_pmml(data)


def test_the_same_document_gives_the_same_bytes():
    model = tree_model("<Node score='1'><True/></Node>", SCHEMA)
    assert compile_pmml(document(model)).content == compile_pmml(document(model)).content
    assert DICTIONARY in document(model).decode()
