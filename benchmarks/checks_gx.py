"""The Great Expectations side of ``benchmarks/checks.py`` and of its contract test.

Runs in an environment of its own that has ``great_expectations`` and ``pandas`` and none of
Ratchet. Reads jobs as JSON on stdin and writes their verdicts as JSON on stdout::

    {"parquet": "frame.parquet", "suite": [{"type": ..., "kwargs": {...}}], "formats": ["SUMMARY"]}
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings

os.environ["GX_ANALYTICS_ENABLED"] = "false"


def main() -> None:
    job = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    started = time.process_time()
    import great_expectations as gx
    import pandas as pd

    imported = time.process_time() - started
    frame = pd.read_parquet(job["parquet"])
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    definition = (
        context.data_sources.add_pandas("source")
        .add_dataframe_asset("asset")
        .add_batch_definition_whole_dataframe("batch")
    )
    batch = definition.get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite("suite")
    for index, item in enumerate(job["suite"]):
        # Suites refuse equal expectations; the note tells them apart.
        suite.add_expectation(build(gx, item, index))
    answer = {"import": imported, "seconds": {}, "results": {}}
    for form in job["formats"]:
        seconds = []
        for _ in range(job.get("repeats", 1)):
            before = time.process_time()
            result = batch.validate(suite, result_format=form)
            seconds.append(time.process_time() - before)
        answer["seconds"][form] = min(seconds)
        answer["results"][form] = [verdict(item) for item in result.results]
    json.dump(answer, sys.stdout)


def build(gx, item, index):
    name = "".join(part.title() for part in item["type"].split("_"))
    kind = getattr(gx.expectations, name)
    return kind(**item["kwargs"], meta={"index": index})


def verdict(item) -> dict[str, object]:
    result = item.result or {}
    errors = [
        str(value.get("exception_message"))
        for value in (item.exception_info or {}).values()
        if isinstance(value, dict) and value.get("raised_exception")
    ]
    return {
        "index": item.expectation_config.meta["index"],
        "success": bool(item.success),
        "unexpected_count": result.get("unexpected_count"),
        "element_count": result.get("element_count"),
        "missing_count": result.get("missing_count"),
        "observed": str(result.get("observed_value")),
        "exception": errors[0] if errors else None,
    }


if __name__ == "__main__":
    main()
