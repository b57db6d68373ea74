"""Validation without fooling ourselves: fixed sets, declared prompts, and the trivial baselines beside every score."""

from medsam2.datasets.cases import Case, CaseSet, CaseSource
from medsam2.evaluation.example_cases import example_set
from medsam2.evaluation.harness import evaluate
from medsam2.evaluation.protocols import PROTOCOLS, Protocol, Segmenting
from medsam2.evaluation.run_log import RunLog, ScoredCase
from medsam2.evaluation.score_files import interval_of, run_header, scores_report, write_scores
from medsam2.evaluation.scores import BASELINES, COLUMNS, Comparison, StructureScores, comparisons, means
from medsam2.evaluation.synthetic_set import SyntheticSettings, unseen_synthetic_set
from medsam2.evaluation.volume_metrics import VolumeMetric, VolumeMetrics

__all__ = [
    "BASELINES",
    "COLUMNS",
    "PROTOCOLS",
    "Case",
    "CaseSet",
    "CaseSource",
    "Comparison",
    "Protocol",
    "RunLog",
    "ScoredCase",
    "Segmenting",
    "StructureScores",
    "SyntheticSettings",
    "VolumeMetric",
    "VolumeMetrics",
    "comparisons",
    "evaluate",
    "example_set",
    "interval_of",
    "means",
    "run_header",
    "scores_report",
    "unseen_synthetic_set",
    "write_scores",
]
