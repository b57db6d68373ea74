"""Validation without fooling ourselves: fixed sets, declared prompts, and the trivial baselines beside every score."""

from medsam2.datasets.cases import Case, CaseSet, CaseSource
from medsam2.evaluation.ablation import ABLATIONS, Ablation, Variant, VariantRun, run_ablation
from medsam2.evaluation.ablation_scores import Standing, Standings, standings, variant_header, write_ablation
from medsam2.evaluation.example_cases import example_set
from medsam2.evaluation.harness import evaluate
from medsam2.evaluation.protocol_options import ProtocolOptions
from medsam2.evaluation.protocols import PROTOCOLS, Protocol
from medsam2.evaluation.run_log import RunLog, ScoredCase
from medsam2.evaluation.score_files import interval_of, run_header, scores_report, write_scores
from medsam2.evaluation.scores import BASELINES, COLUMNS, Comparison, StructureScores, comparisons, means
from medsam2.evaluation.synthetic_set import SyntheticSettings, unseen_synthetic_set
from medsam2.evaluation.volume_judging import Segmenting
from medsam2.evaluation.volume_metrics import VolumeMetric, VolumeMetrics

__all__ = [
    "ABLATIONS",
    "BASELINES",
    "COLUMNS",
    "PROTOCOLS",
    "Ablation",
    "Case",
    "CaseSet",
    "CaseSource",
    "Comparison",
    "Protocol",
    "ProtocolOptions",
    "RunLog",
    "ScoredCase",
    "Segmenting",
    "Standing",
    "Standings",
    "StructureScores",
    "SyntheticSettings",
    "Variant",
    "VariantRun",
    "VolumeMetric",
    "VolumeMetrics",
    "comparisons",
    "evaluate",
    "example_set",
    "interval_of",
    "means",
    "run_ablation",
    "run_header",
    "scores_report",
    "standings",
    "unseen_synthetic_set",
    "variant_header",
    "write_ablation",
    "write_scores",
]
