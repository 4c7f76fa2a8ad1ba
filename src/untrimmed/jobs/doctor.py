"""`untrimmed doctor`: what is installed, and what works here."""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable
from typing import Any

import untrimmed

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "av",
    "opencv-contrib-python-headless",
    "safetensors",
    "threadpoolctl",
    "pyyaml",
    "typer",
    "rich",
    "matplotlib",
    "jinja2",
    "filelock",
)


def doctor() -> str:
    """Versions, devices, codecs and optional programs, each with the reason where something does not work."""
    lines = [f"untrimmed {untrimmed.__version__}, Python {platform.python_version()}, {platform.platform()}"]
    lines.append(f"cores: {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}")
    for package in PACKAGES:
        try:
            lines.append(f"{package}: {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{package}: MISSING; install it with: pip install {package}")
    lines += [_try("GPU", _gpu), _try("optical flow", _flow), _try("video decoding", _decoders), _try("video encoding", _encoders)]
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    lines.append(f"chromium (only the page's own test needs it): {chromium or 'not found'}")
    return "\n".join(lines)


def _try(name: str, check: Callable[[], str]) -> str:
    try:
        return f"{name}: {check()}"
    except Exception as error:
        return f"{name}: does not work ({type(error).__name__}: {error})"


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none seen by torch; --device cpu is used"
    return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def _flow() -> str:
    import cv2

    present = {
        "dis": hasattr(cv2, "DISOpticalFlow_create"),
        "farneback": hasattr(cv2, "calcOpticalFlowFarneback"),
        "tvl1": hasattr(getattr(cv2, "optflow", None), "DualTVL1OpticalFlow_create"),
    }
    return ", ".join(f"{name} {'ok' if ok else 'missing (needs opencv-contrib-python-headless)'}" for name, ok in present.items())


def _decoders() -> str:
    return _codecs(("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg"), "r")


def _encoders() -> str:
    return _codecs(("libx264", "libvpx"), "w")


def _codecs(names: tuple[str, ...], mode: Any) -> str:
    import av

    states = []
    for name in names:
        try:
            av.Codec(name, mode)
            states.append(f"{name} ok")
        except Exception:
            states.append(f"{name} missing")
    return ", ".join(states)
