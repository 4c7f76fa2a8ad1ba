"""The command line. It only reads options and calls the functions in `jobs/`, which it imports when a command runs.

It is long because every command is here, with a line for each of its options; there is nothing else in it to read.
"""

import csv
import json
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from untrimmed.cli_endings import SOME_LEFT_OUT, USER_FAULT, run
from untrimmed.cli_help import App, Commands
from untrimmed.console import LONGEST, note, shortened, show
from untrimmed.data.errors import InputError

app = App(
    cls=Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

Features = Annotated[Path | None, typer.Option(help="A feature store (a folder with features.json).")]
Annotated_ = Annotated[Path | None, typer.Option("--annotations", help="Ground truth, in ActivityNet's JSON.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="K=V", help="A setting, such as epochs=30 or localization.nms=0.5.")
]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Ids = Annotated[Literal["stem", "relative"], typer.Option(help="Name videos by file, or by folder and file.")]
Names = Annotated[Path | None, typer.Option(help="Names for the clusters: a CSV with cluster,name, or review's clusters.json.")]
Workers = Annotated[int | None, typer.Option(help="Processes of one thread; by default one per core.", min=1)]
Engine = Annotated[Literal["local", "ray"], typer.Option(help="Where it runs: this machine, or a Ray cluster.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch the extractor's model from the hub first.")]
VideosOf = Annotated[Path | None, typer.Option("--videos", help="The folder with the video files: names, frame rates, lengths.")]
FeaturesOf = Annotated[Path | None, typer.Option("--features", help="A feature store that knows the videos' lengths.")]
FramesASecond = Annotated[float | None, typer.Option("--fps", help="Frames per second of all videos.")]
Force = Annotated[bool, typer.Option("--force", help="Rename what is there to NAME.1 first.")]


def _version(asked: bool) -> None:
    if asked:
        from untrimmed import __version__

        print(f"untrimmed {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Say at the end where the time went.")] = False,
) -> None:
    """Find what happens when in long videos, trained from video-level labels."""
    if profile:
        from untrimmed import stages

        stages.begin()
        began = time.perf_counter()
        context.call_on_close(lambda: note(stages.table(time.perf_counter() - began)))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything; run again to resume.")] = Path("demo-out"),
    method: Annotated[str, typer.Option(help="The method to train.")] = "dgam",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer videos, a minute or two.")] = False,
) -> None:
    """Draw films, learn from their labels, localize and score."""
    from untrimmed.jobs.demo import demo as job

    show(job(out, method=method, quick=quick).text())


@app.command()
def extract(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Video files or folders.")],
    out: Annotated[Path, typer.Option(help="The feature store to make or to resume.")],
    extractor: Annotated[str, typer.Option(help="See `untrimmed extractors`; hub:ID, hub:./folder, or your own.")] = "motion",
    set_: Set = None,
    flow: Annotated[Literal["dis", "farneback", "tvl1"], typer.Option(help="Optical flow.")] = "dis",
    engine: Engine = "local",
    workers: Workers = None,
    ids: Ids = "stem",
    device: Device = "cpu",
    download: Download = False,
    force: Force = False,
) -> None:
    """Extract features from videos."""
    from untrimmed.data.settings import parse_assignments
    from untrimmed.jobs.extract import NETWORKS
    from untrimmed.jobs.extract import extract as job

    settings = parse_assignments(set_ or [])
    report = job(
        paths,
        out,
        extractor=extractor,
        settings=settings,
        flow=flow,
        engine=engine,
        workers=workers,
        device=device,
        ids=ids,
        download=download,
        force=force,
    )
    speed = ""
    if report.finished and report.seconds > 0:
        frames, media = report.frames / report.seconds, report.media_seconds / report.seconds
        speed = f" ({frames:.0f} frames/s, {media:.1f} x real time)"
    note(f"{out}: {len(report.finished)} videos extracted in {report.seconds:.0f} s{speed}")
    if extractor == "motion" and not report.skipped:
        note(NETWORKS)
    _left_out(report.failures, out / "failures.json")


@app.command()
def init(
    videos: Annotated[Path, typer.Argument(help="A folder of videos; its sub-folders' names become labels.")],
    out: Annotated[Path, typer.Option(help="The labels file to write.")] = Path("labels.csv"),
    ids: Ids = "stem",
    force: Force = False,
) -> None:
    """Write a first labels.csv, from the names of sub-folders."""
    from untrimmed.jobs.init import init as job

    show(job(videos, out, ids=ids, force=force).text())


@app.command()
def validate(
    features: Annotated[Path, typer.Option(help="A feature store.")],
    labels: Annotated[Path, typer.Option(help="labels.csv")],
    annotations: Annotated_ = None,
) -> None:
    """Check features, labels and annotations before you train."""
    from untrimmed.jobs.validate import validate as job

    report = job(features, labels, annotations)
    show("\n".join(shortened(line, LONGEST) for line in report.text().splitlines()))
    if report.faults:
        raise typer.Exit(USER_FAULT)


@app.command()
def train(
    method: Annotated[str, typer.Argument(help="The method's name; see `untrimmed methods`.")],
    out: Annotated[Path, typer.Option(help="The run folder to write.")],
    features: Features = None,
    videos: Annotated[Path | None, typer.Option(help="A folder of videos, in place of features; cached in the run.")] = None,
    extractor: Annotated[str | None, typer.Option(help="With --videos: see extract; --set extractor.NAME=VALUE.")] = None,
    download: Download = False,
    labels: Annotated[Path | None, typer.Option(help="labels.csv: video,label")] = None,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="Use no labels: cluster what recurs.")] = False,
    clusters: Annotated[int | None, typer.Option(help="With --unlabelled: how many clusters.", min=1)] = None,
    trimmed: Annotated[Path | None, typer.Option(help="A feature store of short clips of single actions.")] = None,
    trimmed_labels: Annotated[Path | None, typer.Option(help="Their labels.csv.")] = None,
    only: Annotated[Path | None, typer.Option(help="A CSV whose video column names the only videos to train on.")] = None,
    classes: Annotated[str | None, typer.Option(metavar="A,B", help="Learn only these labels.")] = None,
    init: Annotated[Path | None, typer.Option(metavar="RUN", help="Initialize with the weights of an earlier run.")] = None,
    preset: Annotated[str, typer.Option(help="Named settings; see `untrimmed methods`.")] = "default",
    set_: Set = None,
    seed: Annotated[int, typer.Option(help="Random seed.", min=0)] = 0,
    ids: Ids = "stem",
    device: Device = "cpu",
    workers: Workers = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run.")] = False,
    force: Force = False,
) -> None:
    """Train a method from video-level labels, or without any."""
    from untrimmed.data.settings import parse_assignments
    from untrimmed.jobs.train import train as job

    settings = parse_assignments(set_ or [])
    done = job(
        method,
        features=features,
        videos=videos,
        extractor=extractor,
        download=download,
        labels=labels,
        unlabelled=unlabelled,
        clusters=clusters,
        trimmed=trimmed,
        trimmed_labels=trimmed_labels,
        out=out,
        only=only,
        classes=None if classes is None else [label.strip() for label in next(csv.reader([classes]))],
        init=init,
        preset=preset,
        settings=settings,
        seed=seed,
        ids=ids,
        device=device,
        workers=workers,
        resume=resume,
        force=force,
    )
    note(done.text())
    _left_out(done.failures, out / "features" / "failures.json")


@app.command()
def refine(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Trained runs on the same videos; several: their mean.")],
    out: Annotated[Path, typer.Option(help="The run folder to write.")],
    features: Annotated[Path | None, typer.Option(help="The teachers' feature store, if it was moved.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Their labels.csv, if it was moved; or that of clusters you mended.")] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="What you marked in training videos: segments, points, rejected segments.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds of self-training.", min=1)] = None,
    preset: Annotated[str | None, typer.Option(help="Of selftrain; by default the teacher's.")] = None,
    set_: Set = None,
    seed: Annotated[int, typer.Option(help="Random seed.", min=0)] = 0,
    device: Device = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run.")] = False,
    force: Force = False,
) -> None:
    """Train a student on what runs found, and on your corrections."""
    from untrimmed.data.settings import parse_assignments
    from untrimmed.jobs.refine import refine as job

    done = job(
        runs,
        out=out,
        features=features,
        labels=labels,
        annotations=annotations,
        rounds=rounds,
        preset=preset,
        settings=parse_assignments(set_ or []),
        seed=seed,
        device=device,
        resume=resume,
        force=force,
    )
    note(done.text())


@app.command()
def localize(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="RUN... [PATH...]", help="A run, or stored activations; several vote. Then video files or folders."),
    ],
    out: Annotated[Path, typer.Option(help="The detections file to write.")],
    features: Features = None,
    subset_from: Annotated[Path | None, typer.Option(help="An annotation file that says which video is in which subset.")] = None,
    subset: Annotated[str | None, typer.Option(help="Localize only this subset.")] = None,
    set_: Set = None,
    report: Annotated[Path | None, typer.Option(help="Also write the page.")] = None,
    engine: Engine = "local",
    ids: Ids = "stem",
    device: Device = "cpu",
    no_activations: Annotated[bool, typer.Option("--no-activations", help="Do not keep the activations.")] = False,
    min_score: Annotated[float | None, typer.Option(help="Leave out detections with a lower score.")] = None,
    names: Names = None,
    force: Force = False,
) -> None:
    """Find the actions in videos."""
    from untrimmed.data.settings import parse_assignments
    from untrimmed.jobs.localize import localize as job

    settings = parse_assignments(set_ or [])
    runs = [path for path in sources if (path / "config.yaml").is_file() or (path / "activations.json").is_file()]
    runs = runs or sources[:1]
    paths = [path for path in sources if path not in runs]
    done = job(
        runs,
        paths=paths or None,
        features=features,
        out=out,
        subset_from=subset_from,
        subset=subset,
        settings=settings,
        report=report,
        engine=engine,
        ids=ids,
        device=device,
        activations=not no_activations,
        min_score=min_score,
        names=names,
        force=force,
    )
    note(done.text())
    _left_out(done.failures, out.with_name(f"{out.name.removesuffix('.json')}.failures.json"))


@app.command()
def evaluate(
    target: Annotated[Path, typer.Argument(metavar="DETECTIONS|ACTIVATIONS|RUN", help="What to score.")],
    annotations: Annotated_ = None,
    labels: Annotated[Path | None, typer.Option(help="Weak labels, for protocols that need no times.")] = None,
    subset: Annotated[str | None, typer.Option(help="Score only this subset.")] = None,
    tiou: Annotated[str, typer.Option(help="Thresholds: first:last:step, or a list.")] = "0.1:0.9:0.1",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    protocol: Annotated[
        str, typer.Option(help="Protocol: activitynet, thumos14, wtalc, classification, clustering or attention.")
    ] = "activitynet",
    map_clusters: Annotated[
        str | None, typer.Option(help="Map clusters to classes: majority, soft or hungarian, by the training videos' labels.")
    ] = None,
    map_clusters_oracle: Annotated[
        bool, typer.Option("--map-clusters-oracle", help="By the scored videos' own labels instead; marked as oracle.")
    ] = False,
    names: Names = None,
    min_score: Annotated[float | None, typer.Option(help="Also score detections above this: precision, recall, F1.")] = None,
    parts: Annotated[Path | None, typer.Option(help="For attention: JSON with the kind of each part of a video.")] = None,
    diagnose: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Also write an error analysis, with figures, to this folder.")
    ] = None,
) -> None:
    """Score a result against the truth."""
    from untrimmed.jobs.evaluate import evaluate as job

    scores = job(
        target,
        annotations=annotations,
        labels=labels,
        subset=subset,
        tiou=tiou,
        protocol=protocol,
        map_clusters=map_clusters,
        map_clusters_oracle=map_clusters_oracle,
        names=names,
        min_score=min_score,
        parts=parts,
        diagnose=diagnose,
    )
    if as_json:
        ascii_only = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")
        print(json.dumps(scores.to_json(), allow_nan=False, ensure_ascii=ascii_only))
    else:
        show(scores.table())


@app.command()
def report(
    detections: Annotated[Path, typer.Argument(help="A detections file.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    activations: Annotated[Path | None, typer.Option(help="Stored activations; by default those beside the detections.")] = None,
    annotations: Annotated_ = None,
    videos: Annotated[Path | None, typer.Option(help="The folder with the video files.")] = None,
    subset: Annotated[str | None, typer.Option(help="Show only this subset of the annotations.")] = None,
    proxies: Annotated[bool, typer.Option("--proxies", help="Write small WebM files for what browsers cannot play.")] = False,
    beside: Annotated[Path | None, typer.Option(help="Another run's detections file, to see the two side by side.")] = None,
    force: Force = False,
) -> None:
    """Show detections on a page where a click on one plays it."""
    from untrimmed.jobs.report import report as job

    print(
        job(
            detections,
            out=out,
            activations=activations,
            annotations=annotations,
            videos=videos,
            subset=subset,
            proxies=proxies,
            beside=beside,
            force=force,
        )
    )


@app.command()
def review(
    source: Annotated[Path, typer.Argument(metavar="RUN|DETECTIONS", help="A run: its training videos. Or a detections file.")],
    videos: Annotated[Path | None, typer.Option(help="The folder with the video files.")] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(help="Where marks go; by default annotations.json in the run, or X.annotations.json beside X.json."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="On 127.0.0.1; by default 8765, or any.", min=0, max=65535)] = None,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    who: Annotated[str | None, typer.Option(help="In whose name marks are made; by default yours.")] = None,
) -> None:
    """Correct what was found, on the page, and teach a student."""
    from untrimmed.jobs.review import review as job

    print(job(source, videos=videos, annotations=annotations, port=port, open_browser=open_, who=who).text())


@app.command()
def export(
    detections: Annotated[Path, typer.Argument(help="A file of detections, or of annotations.")],
    out: Annotated[Path, typer.Option(help="The file, or for several videos the folder, to write.")],
    format: Annotated[str, typer.Option(help="csv, vtt, srt, eaf, boris-tabular, edl, otio …; see docs/formats.md.")],
    min_score: Annotated[float | None, typer.Option(help="Leave out detections with a lower score.")] = None,
    videos: VideosOf = None,
    features: FeaturesOf = None,
    fps: FramesASecond = None,
) -> None:
    """Write detections for other programs."""
    from untrimmed.jobs.export import export as job

    for path in job(detections, format=format, out=out, min_score=min_score, videos=videos, features=features, fps=fps):
        print(path)


@app.command("import")
def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="What people marked in another program; or folders of it.")
    ],
    out: Annotated[Path, typer.Option(help="The annotations file to write.")],
    format: Annotated[str | None, typer.Option(help="The files' format, where it cannot be told; see docs/formats.md.")] = None,
    videos: VideosOf = None,
    features: FeaturesOf = None,
    fps: FramesASecond = None,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="What is not marked is not known, instead of background.")] = False,
    force: Force = False,
) -> None:
    """Read what people marked in other programs."""
    from untrimmed.jobs.import_ import import_ as job

    print(job(files, out=out, format=format, videos=videos, features=features, fps=fps, unchecked=unchecked, force=force).text())


@app.command()
def clips(
    detections: Annotated[Path, typer.Argument(help="A file of detections, or of annotations.")],
    videos: Annotated[Path, typer.Option(help="The folder with the video files.")],
    out: Annotated[Path, typer.Option(help="The folder for the clips and their list, clips.csv.")],
    min_score: Annotated[float | None, typer.Option(help="Leave out detections with a lower score.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only this label; may be repeated.")] = None,
    pad: Annotated[float, typer.Option(metavar="SECONDS", help="Begin earlier and end later.", min=0)] = 0.0,
    copy: Annotated[
        bool,
        typer.Option("--copy/--reencode", help="Copy the packets, from the keyframe before on, or encode exactly these frames."),
    ] = False,
) -> None:
    """Cut detections out of their videos."""
    from untrimmed.jobs.clips import clips as job

    done = job(detections, videos=videos, out=out, min_score=min_score, label=label or None, pad=pad, copy=copy)
    for path in done.clips:
        print(path)
    if done.failures:
        note(f"{len(done.failures)} video(s) could not be cut, see above: {', '.join(sorted(done.failures)[:5])}")
        raise typer.Exit(SOME_LEFT_OUT)


@app.command()
def recipe(
    name: Annotated[str, typer.Argument(help="thumos14, thumos14-101, activitynet-1.2 or activitynet-1.3.")],
    features: Annotated[Path, typer.Option(help="The pack as it was shared, or a feature store.")],
    out: Annotated[Path, typer.Option(help="The folder for everything: data, run, detections, scores.")],
    method: Annotated[str, typer.Option(help="The method to train.")] = "dgam",
    layout: Annotated[str | None, typer.Option(help="How the pack is laid out; see `untrimmed convert`.")] = None,
    annotations: Annotated_ = None,
    labels: Annotated[Path | None, typer.Option(help="Of the training videos, where the annotations do not say.")] = None,
    test_labels: Annotated[Path | None, typer.Option(help="Of all test videos, for classification.")] = None,
    subset: Annotated[str | None, typer.Option(help="The test subset of the annotations.")] = None,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="Use no labels: cluster what recurs.")] = False,
    clusters: Annotated[int | None, typer.Option(help="With --unlabelled: how many clusters.", min=1)] = None,
    trimmed: Annotated[Path | None, typer.Option(help="A feature store of short clips of single actions.")] = None,
    trimmed_labels: Annotated[Path | None, typer.Option(help="Their labels.csv.")] = None,
    fps: Annotated[float | None, typer.Option(help="Frame rate of the features.")] = None,
    stride: Annotated[int | None, typer.Option(help="Frames from one window of the features to the next.")] = None,
    allow_pickle: Annotated[bool, typer.Option("--allow-pickle", help="Unpickle W-TALC's files.")] = False,
    set_: Set = None,
    seed: Annotated[int, typer.Option(help="Random seed.", min=0)] = 0,
    device: Device = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Resume in the folder.")] = False,
    force: Force = False,
) -> None:
    """Repeat a paper's experiment on features that others share."""
    from untrimmed.data.settings import parse_assignments
    from untrimmed.jobs.recipe import recipe as job

    done = job(
        name,
        method=method,
        features=features,
        out=out,
        layout=layout,
        annotations=annotations,
        labels=labels,
        test_labels=test_labels,
        subset=subset,
        unlabelled=unlabelled,
        clusters=clusters,
        trimmed=trimmed,
        trimmed_labels=trimmed_labels,
        settings=parse_assignments(set_ or []),
        fps=fps,
        stride=stride,
        allow_pickle=allow_pickle,
        seed=seed,
        device=device,
        resume=resume,
        force=force,
    )
    show(done.text())
    _left_out(done.failures, out / "data" / "failures.json")


@app.command()
def compare(
    experiment: Annotated[Path | None, typer.Argument(metavar="[EXPERIMENT]", help="A YAML file; see docs/compare.md.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder for tables, plot and cache; run again to resume.")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many seeds, in place of the file's.", min=1)] = None,
    engine: Engine = "local",
    workers: Annotated[
        int | None, typer.Option(help="Processes of one thread; by default 1, with ray all that fit.", min=1)
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep every run's detections and activations.")] = False,
    published: Annotated[bool, typer.Option("--published", help="Also show published numbers; alone: all of them.")] = False,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="COLUMN=VALUE", help="With --published alone: only these rows.")
    ] = None,
) -> None:
    """Train and score several runs over seeds, in one table."""
    from untrimmed.reporting.published import fitting, markdown, read_published, select

    if experiment is None:
        if not published:
            raise InputError("give an experiment file, or --published for the published numbers alone")
        show(markdown(select(read_published(), where or [])))
        return
    if out is None:
        raise InputError("compare needs --out DIR: tables, plot and what is kept go there")
    if where:
        raise InputError("--where: goes with --published alone; with an experiment the rows that fit it are shown")
    from untrimmed.jobs.compare import compare as job

    done = job(experiment, out=out, seeds=seeds, engine=engine, workers=workers, keep=keep)
    show(done.markdown())
    if published:
        show("\n" + markdown(fitting(read_published(), done.methods, done.metrics)))
    if done.failures:
        _left_out(done.failures, out / "failures.json")


@app.command()
def names(
    detections: Annotated[Path, typer.Argument(help="Detections of a run that was trained without labels.")],
    out: Annotated[Path, typer.Option(help="The labels file to write, or without --names the form for the names.")],
    names: Names = None,
    force: Force = False,
) -> None:
    """Name the clusters of a run without labels."""
    from untrimmed.jobs.names import names as job

    show(job(detections, out=out, names=names, force=force).text())


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A public pack of features, or a file or folder of annotations.")],
    layout: Annotated[str, typer.Option(help="How it is packed: dgam, basnet, acmnet, wtalc, cmcs, actionformer, ...")],
    out: Annotated[Path, typer.Option(help="The folder for features.json, annotations.json and labels.csv.")],
    fps: Annotated[float | None, typer.Option(help="Frame rate of the features.")] = None,
    stride: Annotated[int | None, typer.Option(help="Frames from one window to the next.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames in a window; by default 16.")] = None,
    every: Annotated[int, typer.Option(help="Take every n-th row only.")] = 1,
    annotations: Annotated_ = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="VIDEO", help="Leave this video out; may be repeated.")] = None,
    flow_first: Annotated[bool, typer.Option("--flow-first", help="Where streams share an array, flow is its first half.")] = False,
    allow_pickle: Annotated[bool, typer.Option("--allow-pickle", help="Unpickle the files of the layout wtalc.")] = False,
    force: Force = False,
) -> None:
    """Read features or annotations that others packed."""
    from untrimmed.jobs.convert import convert as job

    done = job(
        source,
        out,
        layout=layout,
        fps=fps,
        stride=stride,
        frames=frames,
        every=every,
        annotations=annotations,
        exclude=exclude or (),
        flow_first=flow_first,
        allow_pickle=allow_pickle,
        force=force,
    )
    show(done.text())
    _left_out(done.failures, out / "failures.json")


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="Show this method's settings.")] = None,
    preset: Annotated[str, typer.Option(help="With the values of this preset.")] = "default",
) -> None:
    """List the methods, or one method's settings."""
    from untrimmed.jobs.methods import describe_methods

    show(describe_methods(name, preset))


@app.command()
def extractors(
    name: Annotated[str | None, typer.Argument(help="Show this extractor's settings.")] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Time each on this machine, with random weights.")] = False,
    device: Device = "cpu",
) -> None:
    """List the extractors, or one extractor's settings."""
    from untrimmed.jobs.extractors import describe_extractors

    show(describe_extractors(name, measure=measure, device=device))


@app.command()
def doctor() -> None:
    """Say what is installed, and what works here."""
    from untrimmed.jobs.doctor import doctor as job

    show(job())


def _left_out(failures: dict[str, str], file: Path) -> None:
    if failures:
        names = ", ".join(sorted(failures)[:5]) + (" …" if len(failures) > 5 else "")
        note(f"{len(failures)} input(s) were left out, see {file}: {names}")
        raise typer.Exit(SOME_LEFT_OUT)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; what goes wrong becomes an exit code and one line."""
    run(app, sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    main()
