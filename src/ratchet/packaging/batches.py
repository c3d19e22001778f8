"""Batches for a model of trees: ONNX Runtime's way, and by masks once that pays.

ONNX Runtime walks a tree with two branches a level that a processor guesses wrong half of the
time, 5 to 9 ns each. For many rows ``quickscorer`` has none. Measured on one core, 1,000 rows,
milliseconds by ONNX Runtime and by masks: 100 trees of 8 leaves over 19 columns, most of them
categories (Telco) 2.6 and 0.60; 300 trees of 31 leaves over 10 columns 10.8 and 3.7, over 30
columns 11.5 and 7.4; 1,000 trees of 15 leaves 26 and 16; 60 trees for each of 4 classes 9.1 and
3.9. Over 100 columns, or with 64 leaves a tree, nothing is gained, and nothing is changed.
"""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ratchet.errors import DataError
from ratchet.packaging.graph import INPUT, OUTPUT
from ratchet.packaging.session import CHUNK, Session
from ratchet.packaging.trees import AT_MOST, BELOW, MEMBER
from ratchet.packaging.wire import FLOAT32, FLOAT64, File, Node, UnreadableError, read_file

if TYPE_CHECKING:
    from ratchet.packaging.masks import Forest
    from ratchet.packaging.quickscorer import QuickScorer

Rows = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]

FEW: Final = 64
"""Rows from which a batch counts as one: fewer are never faster by masks."""
PAYS: Final = 8_192
"""Rows in batches after which the masks are made: it takes as long as some thousand rows save."""
LARGEST: Final = 1_000_000
"""Bytes of a file that are kept until then; its trees are small."""
_MOST_BYTES: Final = 32_000_000
"""Of masks; more would not stay in a processor's cache either."""
_NAMES: Final = {
    "feature": "nodes_featureids",
    "split": "nodes_splits",
    "mode": "nodes_modes",
    "missing_yes": "nodes_missing_value_tracks_true",
    "yes": "nodes_truenodeids",
    "yes_leaf": "nodes_trueleafs",
    "no": "nodes_falsenodeids",
    "no_leaf": "nodes_falseleafs",
    "roots": "tree_roots",
    "leaves": "leaf_weights",
    "targets": "leaf_targetids",
}
_SUM: Final = 1
_ODD: Final = (ValueError, IndexError, KeyError, TypeError, DataError)
"""What a file of another writer, which ONNX Runtime can read, may meet here."""


class BatchScorer:
    """Scores batches by a session, until so many rows came that masks are worth making.

    They are made in a thread, once, and taken only if their scores of the batch at hand are the
    session's.

    Args:
        session: the model, opened.
        content: its file's bytes; let go of when the choice is made.

    Attributes:
        making: the thread, once it was started.
    """

    def __init__(self, session: Session, content: bytes) -> None:
        self._session = session
        self._content = content if len(content) <= LARGEST else None
        self._rows = 0
        self._fast: _Masked | None = None
        self.making: Thread | None = None

    def score(self, X: Rows) -> Scores:
        """Scores (n, classes) of encoded rows (n, features)."""
        fast = self._fast
        if fast is not None and len(X) >= fast.worth:
            return fast.score(X)
        scores = self._session.run(X)
        content = self._content
        if content is not None:
            self._rows += len(X)
            if self._rows >= PAYS:
                self._content = None
                # Some ten milliseconds, up to a hundred: nobody's request should wait for them.
                given = content, X[:CHUNK].copy(), scores[:CHUNK].copy()
                self.making = Thread(target=self._choose, args=given, name="masks")
                self.making.start()
        return scores

    def _choose(self, content: bytes, X: Rows, scores: Scores) -> None:
        masked = open_masked(content)
        if masked is not None and np.array_equal(masked.score(X), scores):
            self._fast = masked


class _Masked:
    """A model whose trees are summed by masks, and what its file says of the sums."""

    def __init__(self, trees: QuickScorer, worth: int, rest: Session | None) -> None:
        self.worth, self._trees, self._rest = worth, trees, rest

    def score(self, X: Rows) -> Scores:
        """Scores (n, classes) of encoded rows (n, features)."""
        sums = self._trees.sums(X)
        return (
            np.ascontiguousarray(sums, np.float64) if self._rest is None else self._rest.run(sums)
        )


def open_masked(content: bytes) -> _Masked | None:
    """An ONNX file whose trees are summed by masks; None where that is slower or impossible."""
    from ratchet.packaging.masks import TooManyLeavesError
    from ratchet.packaging.quickscorer import make_quick_scorer

    try:
        file = read_file(content)
        node, gone = _find_trees(file)
        forest, columns = _read_forest(node)
        trees = make_quick_scorer(forest, columns, most_bytes=_MOST_BYTES)
        if trees is None or trees.worth is None:
            return None
        if node.outputs == (OUTPUT,):
            return _Masked(trees, trees.worth, None)
        kind = FLOAT64 if forest.leaves.dtype == np.float64 else FLOAT32
        rest = file.begin_behind(node.outputs[0], columns, kind, gone)
        return _Masked(trees, trees.worth, Session(rest))
    except (UnreadableError, TooManyLeavesError, *_ODD):
        return None


def _find_trees(file: File) -> tuple[Node, tuple[Node, ...]]:
    """The node that holds all trees, and the nodes that nothing but it needs.

    Raises:
        UnreadableError: there is none, or more than it reads the model's input.
    """
    wide = [node for node in file.nodes if node.op == "Cast" and node.inputs == (INPUT,)]
    given = {INPUT, *(name for node in wide for name in node.outputs)}
    readers = [node for node in file.nodes if node not in wide and given.intersection(node.inputs)]
    if len(readers) != 1 or readers[0].op != "TreeEnsemble":
        raise UnreadableError("another model than one ensemble of trees")
    return readers[0], (*wide, readers[0])


def _read_forest(node: Node) -> tuple[Forest, int]:
    """The trees of a node, and for how many columns they count."""
    from ratchet.packaging.masks import Forest

    told: dict[str, Any] = node.attributes()
    try:
        forest = Forest(
            **{name: told[key] for name, key in _NAMES.items()},
            members=told.get("membership_values", np.zeros(0)),
        )
        summed = told["aggregate_function"] == _SUM and not told["post_transform"]
        columns = int(told["n_targets"])
    except KeyError as error:
        raise UnreadableError(f"the trees have no {error}") from error
    if not summed:
        raise UnreadableError("the trees are not summed")
    known = np.isin(forest.mode, (AT_MOST, BELOW, MEMBER)).all()
    if not known or not np.isfinite(forest.split[forest.mode != MEMBER]).all():
        raise UnreadableError("the trees decide in another way")
    return forest, columns
