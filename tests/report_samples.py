"""Invented facts of runs, for tests of the report: every part, every kind of task, odd names."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from ratchet.pipeline.report.facts import (
    CandidateFacts,
    CheckFacts,
    ComparisonFacts,
    DataFacts,
    FaultFacts,
    FeatureFacts,
    GateFacts,
    MemberFacts,
    MetricFacts,
    ModelFacts,
    PartFacts,
    ReportFacts,
    ReproductionFacts,
    RunFacts,
    SearchFacts,
    SliceFacts,
    StepFacts,
    TaskFacts,
    ThresholdFacts,
    TrialFacts,
)
from ratchet.pipeline.report.plot_facts import (
    BarFacts,
    ClassFacts,
    CurveFacts,
    CurvesFacts,
    EffectFacts,
    ExplanationFacts,
    HistogramFacts,
    ImportanceFacts,
)

ALGORITHMS = ("lightgbm", "xgboost", "random_forest", "extra_trees", "logistic_regression", "torch")
COLUMNS = (
    "contract",
    "support_calls",
    "tenure",
    "usage_gb",
    "internet_service",
    "payment_method",
    "monthly_charges",
    "late_payments",
    "total_charges",
    "age",
    "paperless",
    "region",
)
DIGEST = "90830eeecfeed2aa0aed6863e6c2a1afbd2ca9bb413ed48db5eed9ce9a64c773"


def binary() -> ReportFacts:
    """A promoted run with everything there is."""
    return ReportFacts(
        run=run_(),
        task=TaskFacts("binary", "churned", ("No", "Yes"), "roc_auc"),
        model=ensemble(),
        comparison=comparison(),
        data=data_(),
        checks=checks(44, failed=0),
        candidates=candidates(),
        search=search(60),
        gates=gates(),
        slices=slices(30),
        curves=binary_curves(),
        confusion=((1499, 172), (264, 439)),
        classes=(
            ClassFacts("No", 0.8503, 0.8971, 0.8731, 1671),
            ClassFacts("Yes", 0.7185, 0.6245, 0.6682, 703),
        ),
        importance=ImportanceFacts(
            "log_loss",
            tuple(
                BarFacts(name, 0.19 * 0.62**place - 0.001, 0.018 * 0.7**place)
                for place, name in enumerate(COLUMNS)
            ),
        ),
        explanation=explanation(COLUMNS),
        features=tuple(
            FeatureFacts(name, "number", f"{name}, missing filled with {place}", (name,))
            for place, name in enumerate(COLUMNS)
        ),
        reproduction=ReproductionFacts(
            "ratchet run --data-version 2 --force",
            42,
            "ratchet 0.1.0 (e23e5eaf5a9c)",
            DIGEST[::-1],
            (("numpy", "2.4.6"), ("polars", "2.1.0"), ("lightgbm", "4.7.0"), ("python", "3.11.7")),
        ),
    )


def run_() -> RunFacts:
    steps = ("ingest", "validate", "split", "features", "train", "evaluate", "package", "gate")
    took = (0.04, 0.05, 0.02, 0.01, 58.4, 2.1, 0.3, 1.2)
    return RunFacts(
        project="churn-demo",
        run_id="20261121-061921-4593",
        outcome="promoted",
        reason="all 9 gates passed; better than version 1 by 0.0213",
        started="2026-11-21T06:19:21+00:00",
        seconds=62.4,
        trigger="manual",
        description="Which customers are likely to leave within the next month.",
        version="2",
        champion="1",
        uri="models:/churn-demo/2",
        steps=tuple(
            StepFacts(name, "done", seconds, "as it should be")
            for name, seconds in zip(steps, took, strict=True)
        ),
    )


def ensemble() -> ModelFacts:
    values = {
        "roc_auc": (0.8618, 0.8441, 0.8778),
        "pr_auc": (0.7106, 0.6761, 0.7428),
        "accuracy": (0.8163, 0.8002, 0.8313),
        "precision": (0.8112, 0.7945, 0.8268),
        "recall": (0.8163, 0.8002, 0.8313),
        "f1": (0.8124, 0.7957, 0.8280),
        "precision_positive": (0.7185, 0.6815, 0.7527),
        "recall_positive": (0.6245, 0.5881, 0.6595),
        "f1_positive": (0.6682, 0.6370, 0.6979),
        "log_loss": (0.3921, 0.3702, 0.4140),
        "brier": (0.1266, 0.1183, 0.1349),
    }
    return ModelFacts(
        name="ensemble",
        algorithm="ensemble",
        reason="best mean ROC-AUC over 5 folds: 0.8611 ± 0.0087, 0.0041 more than lightgbm",
        members=(
            MemberFacts("lightgbm", "lightgbm", 0.55, (("learning_rate", "0.031"),)),
            MemberFacts("xgboost", "xgboost", 0.3, (("eta", "0.052"), ("max_depth", "4"))),
            MemberFacts("logistic_regression", "logistic_regression", 0.15, (("C", "0.7"),)),
        ),
        metrics=tuple(
            MetricFacts(name, value, low, high, "DeLong" if name == "roc_auc" else "Wilson")
            for name, (value, low, high) in values.items()
        ),
        rows=2374,
        threshold=ThresholdFacts(
            0.342,
            "most f1",
            (("f1", 0.6711), ("precision", 0.70), ("recall", 0.64), ("decided", 0.27)),
        ),
        calibration="isotonic",
        form="ensemble",
        size=1_840_221,
        digest=DIGEST,
        refused=("svm: takes 8.1 ms a row, at most 5 ms",),
    )


def comparison() -> ComparisonFacts:
    return ComparisonFacts(
        "1",
        "roc_auc",
        0.8618,
        0.8405,
        0.0213,
        0.0121,
        0.0305,
        0.0136,
        0.029,
        0.95,
        0.005,
        "superior",
        2374,
        310,
    )


def data_() -> DataFacts:
    return DataFacts(
        table="data",
        version=2,
        rows=12_063,
        digest=DIGEST,
        change="appended",
        reason="6029 rows were added at the end",
        columns=15,
        newest="2025-06-30",
        method="time",
        seed=42,
        parts=(
            PartFacts("train", 9626, (("No", 0.7318), ("Yes", 0.2682)), "2025-01-01", "2025-05-25"),
            PartFacts("test", 2374, (("No", 0.7039), ("Yes", 0.2961)), "2025-05-26", "2025-06-30"),
        ),
        duplicates=63,
    )


def checks(number: int, failed: int) -> tuple[CheckFacts, ...]:
    """``failed`` errors, one warning, and the rest passed."""
    made = [
        CheckFacts(
            "expect_column_values_to_be_between",
            f"column_{place}",
            "error",
            False,
            f"`column_{place}` is not between 0 and 120 in 1,979 of 14,073 rows (14.06 %)",
            "between 0 and 120",
            "0.8594",
            1979,
            14_073,
            tuple(f"CUST-{row:06d}" for row in range(20)),
        )
        for place in range(failed)
    ]
    made.append(
        CheckFacts(
            "id_like",
            "customer_id",
            "warn",
            False,
            "`customer_id` is different in nearly every row; leave it out with `data.exclude`",
            "values that repeat",
        )
    )
    made += [
        CheckFacts("missing", f"feature_{place}", "warn", True, "no value is missing", rows=14_073)
        for place in range(number - len(made))
    ]
    return tuple(made)


def candidates() -> tuple[CandidateFacts, ...]:
    made = [
        CandidateFacts(
            "ensemble",
            "ensemble",
            "ok",
            chosen=True,
            cv=(("roc_auc", 0.8611, 0.0087), ("log_loss", 0.3943, 0.0102)),
            test=(("roc_auc", 0.8618), ("log_loss", 0.3921)),
            seconds=1.4,
        )
    ]
    for place, name in enumerate(ALGORITHMS[:5]):
        made.append(
            CandidateFacts(
                name,
                name,
                "ok",
                cv=(
                    ("roc_auc", 0.857 - 0.004 * place, 0.009),
                    ("log_loss", 0.401 + 0.004 * place, 0.01),
                ),
                test=(("roc_auc", 0.858 - 0.003 * place), ("log_loss", 0.4 + 0.003 * place)),
                seconds=11.2 - place,
                params=(("learning_rate", "0.03"),),
            )
        )
    made.append(
        CandidateFacts(
            "torch", "torch", "failed", error="the loss was not finite in epoch 3", seconds=0.4
        )
    )
    return tuple(made)


def search(number: int, metric: str = "roc_auc", base: float = 0.83) -> SearchFacts:
    """A search that gets better, with pruned and failed trials."""
    rng = random.Random(7)
    lower = metric != "roc_auc"
    trials = []
    clock = 0.0
    for place in range(number):
        seconds = 0.2 + rng.expovariate(2)
        gain = (1 - math.exp(-place / (number / 4))) * 0.03 * base
        noise = abs(rng.gauss(0, 0.012)) * base + (0.2 * base if rng.random() < 0.06 else 0)
        mean = base - gain + noise if lower else base + gain - noise
        chance = rng.random()
        status = "pruned" if chance < 0.2 else "failed" if chance > 0.97 else "finished"
        trials.append(
            TrialFacts(
                number=place + 1,
                candidate=ALGORITHMS[min(int(rng.expovariate(0.6)), 5)],
                status=status,
                mean=None if status == "failed" else mean,
                seconds=seconds,
                started=clock,
                params=(
                    ("learning_rate", f"{rng.uniform(0.01, 0.2):.4g}"),
                    ("num_leaves", str(rng.randint(8, 200))),
                    ("min_data_in_leaf", str(rng.randint(5, 90))),
                    ("feature_fraction", f"{rng.uniform(0.4, 1):.3g}"),
                ),
                scores=(mean, mean),
                origin="defaults" if place < 5 else "portfolio" if place < 15 else "search",
                error="the loss was not finite" if status == "failed" else "",
            )
        )
        clock += seconds
    return SearchFacts(metric, tuple(trials), max(60.0, clock))


def gates() -> tuple[GateFacts, ...]:
    return (
        GateFacts(
            "minimum.roc_auc",
            "thresholds",
            True,
            "ROC-AUC 0.8618 is at least 0.75",
            0.8618,
            0.75,
            "ratchet.yaml:61",
        ),
        GateFacts(
            "above_chance", "thresholds", True, "the 95% interval lies above 0.5", 0.8441, 0.5
        ),
        GateFacts(
            "champion",
            "champion",
            True,
            "ROC-AUC 0.8618 against 0.8405 of version 1 on 2,374 rows; proven better",
            0.0136,
            -0.005,
            "ratchet.yaml:64",
        ),
        GateFacts("files", "artifacts", True, "all 9 files are there", 9),
        GateFacts("loads", "artifacts", True, "the bundle loads back"),
        GateFacts("parity", "artifacts", True, "2,374 rows score alike", 2.2e-16, 1e-6),
        GateFacts("latency_p95", "budget", True, "one row takes 0.0145 ms", 1.45e-5, 0.005),
        GateFacts("size", "budget", True, "the bundle takes 1.84 MB", 1_840_221.0, 50_000_000.0),
        GateFacts("memory", "budget", True, "serving takes 62.3 MB", 62_283_776.0, 500_000_000.0),
    )


def slices(number: int, metric: str = "roc_auc", base: float = 0.86) -> tuple[SliceFacts, ...]:
    rng = random.Random(3)
    made = []
    for place in range(number):
        value = base * (1 + rng.gauss(0, 0.03)) - (0.07 * base if place == 2 else 0)
        wide = base * rng.uniform(0.015, 0.06)
        made.append(
            SliceFacts(
                COLUMNS[place % len(COLUMNS)],
                ("Month-to-month", "above 38.6 to 63.96", "missing")[place % 3],
                rng.randint(60, 1200),
                rng.uniform(0.03, 0.5),
                MetricFacts(metric, value, value - wide, value + wide),
                value - base if metric == "roc_auc" else base - value,
                worse=place == 2,
            )
        )
    return tuple(made)


def _roc(bend: float, points: int = 60) -> tuple[tuple[float, float], ...]:
    return tuple((t / points, (t / points) ** bend) for t in range(points + 1))


def binary_curves() -> CurvesFacts:
    roc = _roc(0.22)
    recall = [t / 60 for t in range(61)]
    precision = tuple((r, 0.3 + 0.66 * (1 - r**2.4)) for r in recall)
    calibration = tuple(
        (m, min(max(m + 0.03 * math.sin(9 * m), 0), 1), max(m - 0.05, 0), min(m + 0.06, 1), 237)
        for m in (0.03, 0.08, 0.13, 0.19, 0.27, 0.36, 0.47, 0.6, 0.74, 0.88)
    )
    steps = [t / 60 for t in range(61)]
    threshold = tuple(
        (
            t,
            0.3 + 0.65 * t**0.6,
            1 - t**1.4,
            2 * (0.3 + 0.65 * t**0.6) * (1 - t**1.4) / (1.3 + 0.65 * t**0.6 - t**1.4),
            (1 - t) ** 2,
        )
        for t in steps
    )
    edges = tuple(place / 30 for place in range(31))
    low = tuple(int(300 * math.exp(-place / 6)) for place in range(30))
    high = tuple(int(18 + 22 * math.exp(-((place - 22) ** 2) / 30)) for place in range(30))
    return CurvesFacts(
        roc=(
            CurveFacts(
                "Yes",
                roc,
                0.8618,
                None,
                tuple(max(y - 0.03, 0) for _, y in roc),
                tuple(min(y + 0.03, 1) for _, y in roc),
            ),
        ),
        roc_chosen=(0.103, 0.6245),
        precision_recall=(
            CurveFacts(
                "Yes",
                precision,
                0.7106,
                0.2961,
                tuple(p - 0.04 for _, p in precision),
                tuple(min(p + 0.04, 1) for _, p in precision),
            ),
        ),
        precision_recall_chosen=(0.6245, 0.7185),
        calibration=calibration,
        gap=0.018,
        threshold=threshold,
        scores=HistogramFacts(edges, (("No", low), ("Yes", high))),
    )


def explanation(
    columns: tuple[str, ...], rows: int = 400, unit: str = "log odds"
) -> ExplanationFacts:
    """Effects of numbers, of a category in the first place, and of some missing values."""
    rng = random.Random(11)
    features = []
    for place, name in enumerate(columns):
        size = 0.9 * 0.78**place
        values: list[float | str | None] = []
        effects = []
        for _ in range(rows):
            if place == 0:
                label = rng.choice(("Month-to-month", "One year", "Two year"))
                values.append(label)
                shift = {"Month-to-month": 1.0, "One year": -0.5, "Two year": -1.3}[label]
                effects.append(size * (shift + rng.gauss(0, 0.15)))
            else:
                value = rng.lognormvariate(0, 0.8) if place % 3 == 2 else rng.gauss(40, 15)
                values.append(None if rng.random() < 0.03 else value)
                tilt = math.tanh((value - (1 if place % 3 == 2 else 40)) / 10)
                effects.append(size * (tilt * (-1) ** place + rng.gauss(0, 0.2)))
        features.append(
            EffectFacts(name, sum(map(abs, effects)) / rows, tuple(values), tuple(effects))
        )
    features.sort(key=lambda feature: -feature.importance)
    return ExplanationFacts("exact, for trees", rows, unit, tuple(features), "Yes" if unit else "")


def multiclass(classes: int = 12) -> ReportFacts:
    """A rejected run of many classes."""
    labels = tuple(f"class {chr(65 + code % 26)}{code // 26 or ''}" for code in range(classes))
    rng = random.Random(5)
    counts = tuple(
        tuple(
            rng.randint(60, 400) if one == other else max(0, int(rng.gauss(2, 9)))
            for other in range(classes)
        )
        for one in range(classes)
    )
    curves = tuple(
        CurveFacts(label, _roc(0.1 + 0.05 * code), 1 / (1.1 + 0.05 * code))
        for code, label in enumerate(labels[:7])
    )
    made = binary()
    share = 1 / classes
    parts = tuple(
        PartFacts(name, rows, tuple((label, share) for label in labels))
        for name, rows in (("train", 7000), ("validation", 1000), ("test", 2000))
    )
    assert made.model is not None
    assert made.data is not None
    assert made.curves is not None
    names = ("roc_auc", "pr_auc", "accuracy", "precision", "recall", "f1", "log_loss", "brier")
    metrics = tuple(metric for metric in made.model.metrics if metric.name in names)
    return replace(
        made,
        run=replace(
            made.run,
            outcome="rejected",
            reason="1 of 9 gates failed (champion): log loss 0.3921 against 0.3905 of version 1",
            version=None,
            uri="",
            update="refit",
            climbed=(("incremental", "random_forest cannot go on training"),),
        ),
        task=TaskFacts("multiclass", "product family", labels, "log_loss"),
        model=replace(
            made.model,
            name="lightgbm",
            algorithm="lightgbm",
            members=(),
            params=(("learning_rate", "0.03"), ("num_leaves", "31")),
            metrics=metrics,
            threshold=None,
            calibration="temperature",
        ),
        comparison=replace(
            comparison(),
            metric="log_loss",
            new=0.3921,
            old=0.3905,
            difference=-0.0016,
            low=-0.0051,
            high=0.0019,
            lower=-0.0045,
            upper=0.0013,
            margin=0.0,
            verdict="not_enough_evidence",
            rows_needed=None,
        ),
        data=replace(made.data, parts=parts, method="stratified", newest=""),
        search=search(80, "log_loss", 0.42),
        gates=tuple(
            replace(
                gate,
                passed=False,
                value=-0.0045,
                threshold=0.0,
                reason="a difference of -0.0016; no better than the champion",
            )
            if gate.name == "champion"
            else gate
            for gate in gates()
        ),
        curves=replace(
            made.curves,
            roc=curves,
            roc_chosen=None,
            precision_recall=tuple(
                CurveFacts(c.label, tuple((x, 1 - x**4) for x, _ in c.points), c.value)
                for c in curves
            ),
            precision_recall_chosen=None,
            threshold=(),
        ),
        confusion=counts,
        classes=tuple(
            ClassFacts(label, 0.8, 0.7, 0.75, sum(counts[code]))
            for code, label in enumerate(labels)
        ),
    )


def regression() -> ReportFacts:
    """The first champion of a regression."""
    rng = random.Random(9)
    made = binary()
    assert made.model is not None
    assert made.data is not None
    pairs = []
    for _ in range(200):
        estimate = rng.lognormvariate(12.2, 0.4)
        pairs.append((estimate, estimate * (1 + rng.gauss(0, 0.16))))
    pairs.sort()
    tenths = [pairs[place * 20 : place * 20 + 20] for place in range(10)]
    bins = []
    residual_bins = []
    for tenth in tenths:
        mean = sum(x for x, _ in tenth) / 20
        true = sum(y for _, y in tenth) / 20
        bins.append((mean, true, true * 0.95, true * 1.05))
        errors = sorted(y - x for x, y in tenth)
        residual_bins.append((mean, errors[2], errors[10], errors[17]))
    edges = tuple(-150_000.0 + 10_000 * place for place in range(31))
    counts = tuple(int(90 * math.exp(-((place - 15) ** 2) / 20)) for place in range(30))
    summary = (
        ("mean", 212_400.0),
        ("std", 93_000.0),
        ("min", 14_999.0),
        ("q25", 140_000.0),
        ("median", 188_000.0),
        ("q75", 262_000.0),
        ("max", 500_001.0),
    )
    return replace(
        made,
        run=replace(
            made.run,
            project="house-prices",
            version="1",
            champion=None,
            reason="all 9 gates passed; the first champion",
            uri="models:/house-prices/1",
        ),
        task=TaskFacts("regression", "median_house_value", (), "rmse"),
        model=replace(
            made.model,
            metrics=(
                MetricFacts("rmse", 48_211.4, 46_502.1, 49_984.0, "delta method, log"),
                MetricFacts("mae", 31_874.2, 30_902.0, 32_877.0, "delta method, log"),
                MetricFacts("r2", 0.8231, 0.8094, 0.8358, "delta method, log"),
            ),
            threshold=None,
            calibration="",
            interval=(0.9, -61_204.2, 74_913.8),
        ),
        comparison=None,
        data=replace(
            made.data,
            parts=(
                PartFacts("train", 16_512, (), "", "", summary),
                PartFacts("test", 4_128, (), "", "", summary),
            ),
            method="hash",
            newest="",
        ),
        candidates=tuple(
            replace(
                one,
                cv=tuple(
                    ("rmse" if name == "roc_auc" else "mae", 48_000 + 9_000 * (1 - mean), 900.0)
                    for name, mean, _ in one.cv
                ),
                test=tuple(
                    ("rmse" if name == "roc_auc" else "mae", 48_100.0) for name, _ in one.test
                ),
            )
            for one in candidates()
        ),
        search=search(40, "rmse", 50_000.0),
        gates=tuple(gate for gate in gates() if gate.group in ("artifacts", "budget")),
        slices=slices(20, "rmse", 48_000.0),
        curves=CurvesFacts(
            scatter=tuple(pairs),
            scatter_bins=tuple(bins),
            residuals=tuple((x, y - x) for x, y in pairs),
            residual_bins=tuple(residual_bins),
            errors=HistogramFacts(edges, (("median_house_value", counts),)),
        ),
        confusion=(),
        classes=(),
        importance=ImportanceFacts("rmse", (BarFacts("income", 31_000.0, 800.0),)),
        explanation=explanation(COLUMNS, unit=""),
    )


def rejected_by_checks() -> ReportFacts:
    """A run that the checks ended."""
    made = binary()
    assert made.data is not None
    reason = (
        "the check expect_column_values_to_be_between failed: `tenure` is not between 0 and 120"
    )
    return ReportFacts(
        run=replace(made.run, outcome="rejected", reason=reason, version=None, uri=""),
        data=replace(made.data, parts=(), method="", seed=None, duplicates=0),
        checks=checks(46, failed=2),
    )


def failed() -> ReportFacts:
    """A run that a fault ended before anything was known."""
    made = binary()
    fault = FaultFacts(
        "The source cannot be read: customers.csv",
        "line 4,812 has 17 fields, and the header has 15",
        "mend that line, or set `data.source.bad_lines: skip`",
        "customers.csv:4812",
    )
    steps = (StepFacts("ingest", "failed", 0.2, fault.what), StepFacts("train", "not run", 0.0))
    return ReportFacts(
        run=replace(
            made.run,
            outcome="failed",
            reason=f"step ingest: {fault.what}",
            version=None,
            fault=fault,
            steps=steps,
        )
    )


def skipped() -> ReportFacts:
    """A run that found nothing new."""
    made = binary()
    reason = "nothing changed since run 20261121-061913-3402, which ended promoted"
    return ReportFacts(
        run=replace(made.run, outcome="skipped", reason=reason, version=None, steps=())
    )


def large(odd: str = "") -> ReportFacts:
    """40 features, 300 trials, 100 checks, long names; ``odd`` is part of every name."""
    made = multiclass(12)
    names = tuple(
        f"{odd}a_column_whose_name_says_what_it_holds_in_far_too_many_words_{place}"
        for place in range(40)
    )
    assert made.task is not None
    return replace(
        made,
        task=replace(made.task, classes=tuple(f"{odd}{label}" for label in made.task.classes)),
        checks=tuple(
            replace(check, column=f"{odd}{check.column}", message=f"{odd}{check.message}")
            for check in checks(100, failed=12)
        ),
        search=search(300, "log_loss", 0.42),
        slices=tuple(
            replace(part, column=names[place % 40], label=f"{odd}{part.label}" * 4)
            for place, part in enumerate(slices(60))
        ),
        explanation=explanation(names),
        importance=ImportanceFacts(
            "log_loss",
            tuple(BarFacts(name, 0.2 * 0.8**place, 0.01) for place, name in enumerate(names)),
        ),
        features=tuple(
            FeatureFacts(name, "number", f"{name}, standardised", (name,)) for name in names
        ),
    )


SAMPLES = {
    "binary": binary,
    "multiclass": multiclass,
    "regression": regression,
    "rejected_by_checks": rejected_by_checks,
    "failed": failed,
    "skipped": skipped,
    "large": large,
}
