"""TCAM: its losses against literal double sums, its batches, its rounds."""

import itertools
import math

import numpy as np
import pytest
import torch

from tests.methods.planted import plant
from tests.methods.test_every_method import Stopped, fit, same
from untrimmed.data.clusters import read_clusters, rounds_of
from untrimmed.data.errors import InputError
from untrimmed.jobs.localize import localize
from untrimmed.jobs.train import train
from untrimmed.methods.base import activations_of, load_method, presets_of, resolve
from untrimmed.methods.tcam import (
    Config,
    StreamNet,
    action_background,
    cosine_distance,
    draw,
    loss_abs,
    loss_cls,
    loss_guide,
    loss_inter,
    loss_intra,
    loss_trip,
    losses_of,
)
from untrimmed.nn.votes import find_votes, guide_of
from untrimmed.runs.supervision import training_set

BRIEF = {"epochs": 2, "hidden": 8, "rounds": 2, "data": {"snippets": 8}}
PAPER = {"pooling": "attention", "guide": 0.0}


def distance(a, b):
    return 1 - sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


@pytest.fixture
def features():
    """J, B and H of Z = 3 clusters of K = 2, 3 and 2 videos, in double precision; and each video's cluster."""
    generator = torch.Generator().manual_seed(3)
    parts = [torch.randn(7, 5, generator=generator, dtype=torch.float64) for _ in range(3)]
    return *(part.requires_grad_() for part in parts), torch.tensor([4, 4, 0, 0, 0, 7, 7])


def pairs(cluster):
    return (cluster[:, None] == cluster[None]) & ~torch.eye(len(cluster), dtype=torch.bool)


@pytest.mark.parametrize(("tau_1", "tau_2", "theta"), [(0.2, 0.5, 1.0), (0.9, 0.1, 0.3)])
def test_separation_is_the_slides_double_sum(features, tau_1, tau_2, theta):
    action, background, _, cluster = features
    j, b = action.tolist(), background.tolist()
    inter = intra = 0.0
    for z in set(cluster.tolist()):
        members = [v for v, c in enumerate(cluster.tolist()) if c == z]
        for m, n in itertools.permutations(members, 2):
            inter += max(distance(j[m], j[n]) - tau_1, 0)
            intra += max(distance(j[m], j[n]) - distance(j[m], b[m]) + tau_2, 0)
    pair = pairs(cluster)
    assert inter > 0
    assert intra > 0
    assert loss_inter(action, pair, tau_1).item() == pytest.approx(inter, rel=1e-12)
    assert loss_intra(action, background, pair, tau_2).item() == pytest.approx(intra, rel=1e-12)
    assert loss_abs(action, background, pair, tau_1, tau_2, theta).item() == pytest.approx(inter + theta * intra, rel=1e-12)


@pytest.mark.parametrize("margin", [0.3, 1.5])
def test_triplet_is_the_slides_double_sum_with_the_hardest(features, margin):
    _, _, feature, cluster = features
    h, z = feature.tolist(), cluster.tolist()
    expected = 0.0
    for a in range(len(h)):
        furthest = max(distance(h[a], h[p]) for p in range(len(h)) if z[p] == z[a] and p != a)
        nearest = min(distance(h[a], h[n]) for n in range(len(h)) if z[n] != z[a])
        expected += max(furthest - nearest + margin, 0)
    assert expected > 0
    found = loss_trip(feature, pairs(cluster), cluster[:, None] != cluster[None], margin)
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_classification_is_the_slides_double_sum():
    logit = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]], dtype=torch.float64)
    target = torch.tensor([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]], dtype=torch.float64)
    expected = 0.0
    for p, y in zip(logit.tolist(), target.tolist()):
        expected -= sum(y_i * math.log(math.exp(p_i) / sum(map(math.exp, p))) for p_i, y_i in zip(p, y))
    assert loss_cls(logit, target).item() == pytest.approx(expected, rel=1e-12)


def test_action_and_background_are_the_slides_sums():
    generator = torch.Generator().manual_seed(0)
    x, a = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((2, 4, 3), (2, 4, 5)))
    action, background = action_background(x, a, torch.tensor([3, 1]))
    for k, z in enumerate((3, 1)):
        weight = [math.exp(a[k, t, z]) for t in range(4)]
        weight = [w / sum(weight) for w in weight]
        for d in range(3):
            assert action[k, d].item() == pytest.approx(sum(w * x[k, t, d].item() for t, w in enumerate(weight)), rel=1e-12)
            expected = sum((1 - w) * x[k, t, d].item() for t, w in enumerate(weight)) / 3
            assert background[k, d].item() == pytest.approx(expected, rel=1e-12)


def test_gradients_by_finite_differences(features):
    action, background, feature, cluster = features
    pair, other = pairs(cluster), cluster[:, None] != cluster[None]
    check = torch.autograd.gradcheck
    assert check(lambda j, b: loss_abs(j, b, pair, 0.2, 0.5, 0.7), (action, background))
    assert check(lambda h: loss_trip(h, pair, other, 0.5), (feature,))
    x = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    a = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64, requires_grad=True)
    assert check(lambda x, a: torch.cat(action_background(x, a, torch.tensor([3, 1]))), (x, a))
    target = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    p = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4), requires_grad=True)
    assert check(lambda p: loss_cls(p, target), (p,))


def test_an_anchor_without_a_partner_or_a_rival_is_left_out():
    feature = torch.eye(3)
    none = torch.zeros(3, 3, dtype=torch.bool)
    assert loss_trip(feature, pairs(torch.tensor([0, 0, 0])), none, 0.3) == 0
    assert loss_trip(feature, none, ~torch.eye(3, dtype=torch.bool), 0.3) == 0


def test_a_batch_is_z_clusters_of_k_distinct_videos():
    targets = np.eye(5, dtype=np.float32)[np.repeat(np.arange(5), [6, 5, 4, 3, 1])]
    for seed in range(20):
        batch = draw(targets, 3, 3, np.random.default_rng(seed))
        assert len(np.unique(batch.cluster)) == 3
        assert len(np.unique(batch.videos)) == len(batch.videos)
        for video, cluster, whole in zip(batch.videos, batch.cluster, batch.whole):
            assert targets[video, cluster] == 1
            assert whole == (cluster != 4)  # the cluster of one video gives that one, which makes no pairs
    assert len(np.unique(draw(targets, 99, 3, np.random.default_rng(0)).cluster)) == 5  # no more than there are


def test_videos_without_action_are_classified_only():
    targets = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [0, 0]], dtype=np.float32)
    batch = draw(targets, 2, 2, np.random.default_rng(0))
    assert (batch.cluster == -1).sum() == 2
    assert not batch.whole[batch.cluster == -1].any()
    net = StreamNet(4, 2, Config(hidden=8))
    net.background.fill_(True)
    wanted = torch.tensor(np.c_[targets, targets.sum(1) == 0].astype(np.float32))[batch.videos]
    x = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(0))
    several = torch.ones(6, dtype=torch.bool)
    one = losses_of(net, x, batch, wanted, several, Config(hidden=8))
    x[batch.cluster == -1] = 9.0
    other = losses_of(net, x, batch, wanted, several, Config(hidden=8))
    assert one["cls"] != other["cls"]
    torch.testing.assert_close(one["trip"], other["trip"])
    torch.testing.assert_close(one["abs"], other["abs"])


def test_losses_of_a_batch_are_means_of_the_sums():
    targets = np.eye(3, dtype=np.float32)[np.repeat(np.arange(3), 4)]
    config = Config(hidden=8)
    net = StreamNet(4, 3, config)
    batch = draw(targets, 3, 4, np.random.default_rng(0))
    x = torch.randn(12, 6, 4, generator=torch.Generator().manual_seed(0))
    several = torch.arange(12) > 2
    losses = losses_of(net, x, batch, torch.from_numpy(targets)[batch.videos], several, config)
    out, cluster = net(x), torch.from_numpy(batch.cluster)
    attention = out.attention_logit.softmax(1)
    h = torch.einsum("bt,btd->bd", attention, out.x_ca)
    p = torch.einsum("bt,btc->bc", attention, out.class_logit)
    pair = pairs(cluster)
    torch.testing.assert_close(losses["cls"] * 12, loss_cls(p, torch.from_numpy(targets)[batch.videos]))
    torch.testing.assert_close(losses["trip"] * 12, loss_trip(h, pair, cluster[:, None] != cluster[None], config.triplet_margin))
    many = pair & several[:, None] & several[None]  # a video of one snippet has no background
    action, background = action_background(out.x_cs, out.class_logit, cluster)
    torch.testing.assert_close(losses["abs"] * many.sum(), loss_abs(action, background, many, 0.2, 0.5, 1.0))


def test_a_video_of_two_classes_is_no_rival_of_either():
    targets = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]], dtype=np.float32)
    share = torch.from_numpy(targets / targets.sum(1, keepdims=True))
    batch = draw(targets, 3, 2, np.random.default_rng(1))
    config = Config(hidden=8, triplet_margin=2.0)
    net = StreamNet(4, 3, config)
    x = torch.randn(len(batch.videos), 6, 4, generator=torch.Generator().manual_seed(0))
    several = torch.ones(len(x), dtype=torch.bool)
    out = net(x)
    h = (out.attention_logit.softmax(1).unsqueeze(-1) * out.x_ca).sum(1)
    total, anchors = 0.0, 0
    for a, z in enumerate(batch.cluster):
        partners = [p for p in range(len(x)) if batch.cluster[p] == z and p != a]
        rivals = [n for n in range(len(x)) if not targets[batch.videos[n], z]]
        furthest = max(cosine_distance(h[a], h[p]) for p in partners)
        total += max(furthest - min(cosine_distance(h[a], h[n]) for n in rivals) + 2.0, 0)
        anchors += 1
    found = losses_of(net, x, batch, share[batch.videos], several, config)
    torch.testing.assert_close(found["trip"], total / anchors)


@pytest.mark.parametrize("variant", ["slides", "code"])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_outputs_and_attention(variant, count):
    net = StreamNet(6, 3, Config(hidden=16, variant=variant)).eval()
    out = net(torch.randn(2, count, 6))
    assert out.class_logit.shape == (2, count, 3)
    assert out.attention_logit.shape == (2, count)
    assert out.x_cs.shape == out.x_ca.shape == (2, count, 16)
    net.background.fill_(True)
    assert net(torch.randn(2, count, 6)).class_logit.shape == (2, count, 4)


def test_the_context_is_the_whole_video():
    """The non-local block, once its output has left zero, lets a change at one end be felt at the other."""
    net = StreamNet(6, 3, Config(hidden=16)).eval()
    x = torch.randn(1, 50, 6, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[0, 0] += 3
    with torch.no_grad():
        torch.testing.assert_close(net(x).class_logit[0, 20:], net(changed).class_logit[0, 20:])
        net.context.project.weight.normal_()
        assert (net(x).class_logit[0, 20:] - net(changed).class_logit[0, 20:]).abs().max() > 1e-4


@pytest.mark.parametrize("settings", [{}, PAPER, {"pooling": "attention"}], ids=["votes", "paper", "guided rounds"])
def test_rounds(settings, tmp_path):
    """Every round's clusters are kept, its changes are logged, and the last round's go with the detections."""
    planted = plant(tmp_path, train=12, test=2, empty=0)
    settings = {**BRIEF, **settings}
    run = train("tcam", features=planted.features, unlabelled=True, clusters=3, out=tmp_path / "run", settings=settings).run
    log = (run / "metrics.jsonl").read_text()
    assert '"round": 0, "changed": 1.0, "size_cluster_00"' in log
    files = rounds_of(run)
    assert 1 <= len(files) <= 2
    assert set(read_clusters(files[0])) == set(planted.store.videos)
    assert set(read_clusters(files[0]).values()) <= {"cluster_00", "cluster_01", "cluster_02"}
    done = localize(run, features=planted.features, out=tmp_path / "d.json")
    assert {d.label for found in done.results.values() for d in found} <= {"cluster_00", "cluster_01", "cluster_02"}


def test_without_attention_the_second_round_finds_the_first_ones_clusters(tmp_path):
    """... so that it settles: clusters keep their names though the clustering numbers them anew."""
    planted = plant(tmp_path, train=12, test=2, empty=0)
    settings = {**BRIEF, **PAPER, "attention": False, "rounds": 4}
    run = train("tcam", features=planted.features, unlabelled=True, clusters=2, out=tmp_path / "run", settings=settings).run
    assert len(rounds_of(run)) == 1
    assert '"round": 1, "changed": 0.0' in (run / "metrics.jsonl").read_text()
    stream = activations_of(load_method(run / "model"), {s: torch.zeros(5, d) for s, d in planted.store.streams.items()})["rgb"]
    np.testing.assert_allclose(stream.attention, 0.2)


def test_the_papers_presets_are_the_papers():
    """Votes and guide are ours: they are on in our presets only."""
    for preset, values in presets_of("tcam").items():
        ours = preset in ("default", "demo")
        config = resolve("tcam", preset).method
        assert (config.pooling, config.guide) == (("votes", 1.0) if ours else ("attention", 0.0)), values


@pytest.mark.parametrize("save_seconds", [0.0, 1e9], ids=["saved-often", "saved-at-the-end"])
@pytest.mark.parametrize("guide", [0.0, 1.0])
def test_the_papers_rounds_stopped_and_resumed(guide, save_seconds, tmp_path):
    planted = plant(tmp_path, train=9, test=2, empty=0)
    settings = {"pooling": "attention", "guide": guide, "epochs": 1, "rounds": 2, "settled": 0.0}
    whole, _, _ = fit("tcam", planted, tmp_path / "whole", settings, clusters=3)
    log = (tmp_path / "whole" / "metrics.jsonl").read_text()
    for stop_after in (1, 2, 4, 6):  # before and in the first round, before the second, at the very end
        folder = tmp_path / f"{stop_after}"
        with pytest.raises(Stopped):
            fit("tcam", planted, folder, settings, stop_after=stop_after, save_seconds=save_seconds, clusters=3)
        resumed, _, _ = fit("tcam", planted, folder, settings, resume=True, save_seconds=save_seconds, clusters=3)
        assert same(resumed, whole), stop_after
        assert (folder / "metrics.jsonl").read_text() == log, stop_after


def test_the_guide_is_the_divergence_from_s():
    generator = torch.Generator().manual_seed(0)
    logit = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    s = torch.tensor([[0.02, 0.9, 0.0, 0.4], [0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    expected = 0.0
    for row, its in zip(logit.detach().tolist(), s.tolist()):
        attention = [math.exp(value) / sum(map(math.exp, row)) for value in row]
        wanted = [value / (sum(its) or 1) for value in its]
        expected += sum(w * math.log(w / a) for w, a in zip(wanted, attention) if w)
    assert expected > 0
    assert loss_guide(logit, s).item() == pytest.approx(expected, rel=1e-12)
    assert loss_guide((s[:2] / s[:2].sum(1, keepdim=True)).clamp_min(1e-300).log(), s[:2]).item() == pytest.approx(0, abs=1e-9)
    assert torch.autograd.gradcheck(lambda a: loss_guide(a, s), (logit,))
    loss_guide(logit, s).backward()
    assert not logit.grad[2].any()  # where nothing is sure nothing guides


def test_the_guide_draws_the_attention_to_where_the_votes_are_sure(tmp_path):
    """From labels: what the network attends to in the training videos agrees more with the votes than without a guide."""
    planted = plant(tmp_path, train=24, test=2)
    agreement = []
    for guide in (0.0, 1.0):
        settings = {"guide": guide, "stretch": 1, "epochs": 30, "learning_rate": 0.005}
        method, _, _ = fit("tcam", planted, tmp_path / f"{guide}", settings)
        data = training_set(planted.store, planted.labels, None, resolve("tcam").data, say=lambda text: None)
        wanted = guide_of(find_votes(data.store, data.videos, 1), data.labels)
        method.eval()
        found = [activations_of(method, data.store.load(video))["rgb"].attention for video in data.videos]
        agreement.append(np.mean([np.corrcoef(s, a)[0, 1] for s, a, tags in zip(wanted, found, data.labels) if tags.any()]))
    assert agreement[1] > max(agreement[0], 0) + 0.2


@pytest.mark.parametrize(
    "case",
    [
        {"train": 1, "clusters": 1},
        {"train": 2, "clusters": 2},
        {"train": 6, "clusters": 2, "streams": {"rgb": 8}},
        {"train": 6, "clusters": 2, "length": (1, 3)},
        {"train": 6, "clusters": 3, "constant": True},
    ],
    ids=["one video", "two videos", "one stream", "fewer stretches than voters", "all alike"],
)
def test_votes_of_odd_sets(case, tmp_path):
    clusters = case.pop("clusters")
    planted = plant(tmp_path, test=2, empty=0, **case)
    method, began, _ = fit("tcam", planted, tmp_path / "run", clusters=clusters)
    assert not same(method, began)
    for stream in activations_of(method, planted.store.load("test001")).values():
        assert np.isfinite(stream.class_logit).all()
        assert np.isfinite(stream.attention).all()


@pytest.mark.parametrize("clusters", [1, 12])
def test_as_few_and_as_many_clusters_as_there_can_be(clusters, tmp_path):
    planted = plant(tmp_path, train=10, test=2, empty=0)
    run = train("tcam", features=planted.features, unlabelled=True, clusters=clusters, out=tmp_path / "run", settings=BRIEF).run
    assert len(set(read_clusters(rounds_of(run)[-1]).values())) == clusters
    localize(run, features=planted.features, out=tmp_path / "d.json")


def test_the_number_of_clusters_is_estimated_and_told(tmp_path, capsys):
    planted = plant(tmp_path, train=20, test=4, empty=0)
    run = train("tcam", features=planted.features, unlabelled=True, out=tmp_path / "run", settings=BRIEF).run
    classes = load_method(run / "model").classes
    assert 2 <= len(classes) <= 12
    assert f"{len(classes)} clusters, by how well they stand apart; `clusters` sets another number" in capsys.readouterr().err


def test_a_stream_of_its_own_settings(tmp_path):
    planted = plant(tmp_path, train=6, test=2, empty=0)
    settings = {**BRIEF, "flow": {"hidden": 16}}
    run = train("tcam", features=planted.features, labels=planted.labels, out=tmp_path / "run", settings=settings).run
    assert load_method(run / "model").streams["flow"].classifier.in_features == 16
    with pytest.raises(InputError, match=r"there is no such stream|did you mean"):
        train("tcam", features=planted.features, labels=planted.labels, out=tmp_path / "b", settings={"flwo": {"hidden": 16}})
