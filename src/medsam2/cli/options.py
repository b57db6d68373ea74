"""Flags that several commands share."""

from typing import Annotated

import typer

from medsam2.memory import POLICIES
from medsam2.segmenter import Encoder as EncoderName
from medsam2.segmenter import PrecisionChoice

Device = Annotated[str, typer.Option("-d", "--device", help="cpu, cuda, mps, or auto.")]
Model = Annotated[str, typer.Option(help="Weights by name (see `medsam2 weights list`) or a file.")]
Precision = Annotated[
    PrecisionChoice,
    typer.Option(help="auto: bfloat16 where it is faster (large networks, processors for it; moves masks a bit)."),
]
Encoder = Annotated[
    EncoderName, typer.Option(help="What computes the image encoder; openvino is an extra, faster on most CPUs.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but warnings and errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Memory = Annotated[str, typer.Option(help=f"Memory policy: {', '.join(POLICIES)}.")]
MemoryOption = Annotated[
    list[str] | None,
    typer.Option(help="name=value of the memory policy, e.g. capacity=8 (see docs/memory.md). Repeatable."),
]
MemorySeed = Annotated[int | None, typer.Option(help="Draw memories at random from this seed; by default nothing is.")]
