"""Word statistics and logistic regression, by scikit-learn."""

import pickle
import time

from softcall.comparison.attempt import Attempt
from softcall.comparison.meter import Meter
from softcall.comparison.prepared import Prepared
from softcall.datasets.rows import Row
from softcall.training.loop.scoring import LabelResult

REGULARISATIONS = (0.1, 1.0, 10.0, 100.0)  # of logistic regression; dev chooses


def tfidf(prepared: Prepared, meter: Meter, seed: int) -> Attempt:
    """Train on words and pairs of words, weighted by their rarity; dev chooses the regularisation."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    def texts(rows: list[Row]) -> list[str]:
        return ["\n".join(row.texts) for row in rows]

    rows, answers = prepared.rows, {name: part.answers for name, part in prepared.examples.items()}
    meter.start()
    best, best_accuracy = None, -1.0
    for regularisation in REGULARISATIONS:
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            LogisticRegression(C=regularisation, max_iter=1_000, random_state=seed),
        ).fit(texts(rows.train), answers["train"])
        accuracy = model.score(texts(rows.dev), answers["dev"])
        if accuracy > best_accuracy:
            best, best_accuracy = model, accuracy
    meter.stop()
    dev, test = (
        LabelResult(rows.labels, best.predict_log_proba(texts(part)), answers[name])
        for name, part in (("dev", rows.dev), ("test", rows.test))
    )
    weights = best[-1].coef_.size + best[-1].intercept_.size
    stored = pickle.dumps(best)
    start = time.perf_counter()
    pickle.loads(stored)
    return Attempt(dev, test, weights, len(stored), time.perf_counter() - start)
