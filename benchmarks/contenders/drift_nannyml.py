"""NannyML's univariate calculator on two Parquet files, all of the current one as one chunk.

``drift_nannyml.py REFERENCE CURRENT [default|all]``: its default methods, or the ones it has for
the four statistics (KS, Wasserstein and Jensen-Shannon for numbers, Jensen-Shannon and chi-squared
for categories; it has no PSI). Fitting on the reference, its profile, is not counted.
"""

import json
import os
import sys
import time

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import pandas as pd


def read(path: str) -> pd.DataFrame:
    # Categories as dictionary codes: the kindest way for pandas.
    table = pd.read_parquet(path)
    texts = [name for name in table.columns if name.startswith("c")]
    return table.astype(dict.fromkeys(texts, "category"))


reference, current = read(sys.argv[1]), read(sys.argv[2])
methods = {}
if sys.argv[3] == "all":
    methods = {
        "continuous_methods": ["kolmogorov_smirnov", "wasserstein", "jensen_shannon"],
        "categorical_methods": ["jensen_shannon", "chi2"],
    }
calculator = nannyml.UnivariateDriftCalculator(
    column_names=list(reference.columns), chunk_size=len(current), **methods
)
began = time.process_time()
calculator.fit(reference)
fitted = time.process_time()
calculator.calculate(current)
ended = time.process_time()
print(json.dumps({"cpu": ended - fitted, "fit": fitted - began}))
