"""What counts as worse: more than noise, and enough to matter."""

import json

import numpy as np
import pytest

from benchmarks import together
from benchmarks.regression import NotComparableError, compare, judge, main, show


def times(middle, count=19, spread=0.05, unit="s", better="less", seed=0):
    rng = np.random.default_rng(seed)
    samples = (middle * rng.normal(1.0, spread, count)).tolist()
    return {"samples": samples, "unit": unit, "better": better, "p50": middle, "n": count}


def share(pairs, unit="%", better="less"):
    return {"samples": pairs, "unit": unit, "better": better, "n": len(pairs)}


def result(name="bench", cpu="one", gpu="none", **columns):
    return {"benchmark": name, "machine": {"cpu": cpu, "gpu": gpu}, "rows": [{"what": "row", **columns}]}


def verdict(old, new):
    return next(iter(judge("it", old, new))).verdict


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (times(0.100), times(0.100, seed=1), "same"),
        (times(0.100), times(0.130, seed=1), "worse"),
        (times(0.100), times(0.070, seed=1), "better"),
        (times(0.100), times(0.105, seed=1, spread=0.001), "same"),  # sure, but too little to matter
        (
            times(0.100, spread=0.6),
            times(0.115, seed=5, spread=0.6),
            "unclear",
        ),  # enough, but it may be noise
        (times(0.0010), times(0.0020, seed=1), "same"),  # twice as long, and still only 1 ms
        (times(16.0, unit="tokens/s", better="more"), times(12.0, unit="tokens/s", better="more"), "worse"),
        (times(16.0, unit="tokens/s", better="more"), times(20.0, unit="tokens/s", better="more"), "better"),
        (times(0.1, count=4), times(9.0, count=30), "too few samples"),
    ],
)
def test_times_are_worse_when_the_change_is_sure_and_matters(old, new, expected):
    assert verdict(old, new) == expected


def test_equal_runs_are_hardly_ever_called_worse():
    noisy = [times(0.1, count=20, spread=0.15, seed=seed) for seed in range(200)]
    worse = sum(verdict(old, new) == "worse" for old, new in zip(noisy[::2], noisy[1::2], strict=True))
    assert worse <= 1  # of 100


def test_five_samples_that_are_all_slower_are_enough():
    assert verdict(times(1.0, count=5), times(1.3, count=5, seed=1)) == "worse"


def test_a_tail_that_grew_is_seen_where_there_are_enough_samples():
    old = times(0.1, count=100, spread=0.02)
    new = {**old, "samples": [*old["samples"][:85], *[0.4] * 15]}
    found = {finding.what: finding.verdict for finding in judge("it", old, new)}
    assert found == {"it p50": "same", "it p95": "worse"}
    some, few = ({**new, "samples": new["samples"][-count:]} for count in (30, 19))
    assert [finding.what for finding in judge("it", old, some)] == ["it p50", "it p90"]
    assert [finding.what for finding in judge("it", old, few)] == ["it p50"]


def test_four_bad_turns_of_twenty_five_are_not_called_the_same():
    old = times(1.1, count=25, spread=0.15)
    new = {**old, "samples": [*sorted(old["samples"])[:-4], *[5.0] * 4]}
    median, tail = judge("it", old, new)
    assert median.verdict == "same"
    assert (tail.what, tail.verdict) == ("it p90", "unclear")
    assert 0.03 < tail.chance < 0.08  # 4 of 4 among 25 of 50: 0.055


def events(happened, count):
    return share([[1.0, 1.0]] * happened + [[0.0, 1.0]] * (count - happened))


@pytest.mark.parametrize(
    ("old", "new", "chance", "expected"),
    [
        (events(8, 54), events(20, 54), 0.0075, "worse"),
        (events(20, 54), events(8, 54), 0.0075, "better"),
        (events(5, 17), events(1, 17), 0.0874, "unclear"),
        (events(0, 26), events(4, 26), 0.055, "unclear"),
        (events(0, 26), events(13, 26), 1.64e-5, "worse"),
        (events(0, 18), events(3, 46), 0.365, "unclear"),
    ],
)
def test_events_are_judged_by_fishers_exact_test(old, new, chance, expected):
    (finding,) = judge("it", old, new)
    assert finding.chance == pytest.approx(chance, rel=0.05)
    assert finding.verdict == expected


def test_a_share_of_one_sum_is_shown_with_its_change_and_not_called_the_same(capsys):
    found = list(judge("tokens wasted", share([[55.0, 1055.0]]), share([[900.0, 1055.0]])))
    assert [finding.verdict for finding in found] == ["too few samples"]
    show(found)
    assert "+1536 %" in capsys.readouterr().out


def test_what_may_be_an_accident_is_shown_with_how_often(capsys):
    show(list(judge("it", events(5, 17), events(1, 17))))
    told = capsys.readouterr().out
    assert "0.087" in told
    assert "1 unclear" in told
    assert "0 same" in told


def test_other_models_and_settings_are_told(tmp_path, capsys):
    old, new = result(a=times(0.1)), result(a=times(0.1, seed=1))
    old |= {"configuration": {"flags": "defaults"}, "models": {"whisper-base": "model.bin 90"}}
    new |= {"configuration": {"flags": "--vad.threads 2"}, "models": {"whisper-tiny.en": "model.bin 13"}}
    for name, content in (("old", old), ("new", new)):
        (tmp_path / name).write_text(json.dumps(content))
    assert main([str(tmp_path / "old"), str(tmp_path / "new")]) == 0
    told = capsys.readouterr().out
    assert "the settings differ in flags: defaults -> --vad.threads 2" in told
    assert "the models differ in whisper-base: model.bin 90 -> not told" in told
    assert "the models differ in whisper-tiny.en: not told -> model.bin 13" in told
    main([str(tmp_path / "old"), str(tmp_path / "old")])
    assert "differ in" not in capsys.readouterr().out


def test_the_tail_of_a_rate_is_its_low_end():
    old = times(20.0, count=100, spread=0.02, unit="tokens/s", better="more")
    new = {**old, "samples": [*old["samples"][:85], *[5.0] * 15]}
    assert [finding.verdict for finding in judge("it", old, new)] == ["same", "worse"]


def test_word_errors_of_the_same_sentences_are_paired():
    sentences = [(sentence % 4, 10) for sentence in range(60)]
    one_more_each_fourth = [
        (errors + (number % 4 == 0), words) for number, (errors, words) in enumerate(sentences)
    ]
    assert verdict(share(sentences), share(one_more_each_fourth)) == "worse"
    assert verdict(share(one_more_each_fourth), share(sentences)) == "better"
    # the same change among other sentences could be luck
    others = [(errors, words + 1) for errors, words in one_more_each_fourth]
    assert verdict(share(sentences), share(others)) == "unclear"


def test_less_than_half_a_point_of_word_errors_does_not_matter():
    old = [(0, 10)] * 300
    assert verdict(share(old), share([(1, 10)] * 12 + [(0, 10)] * 288)) == "same"
    assert verdict(share(old), share([(1, 10)] * 30 + [(0, 10)] * 270)) == "worse"


def test_a_value_that_is_no_longer_measured_is_gone(capsys):
    found = compare(result(a=times(1.0), b=times(1.0)), result(a=times(1.0)))
    assert {finding.what: finding.verdict for finding in found} == {"row: a p50": "same", "row: b": "gone"}
    show(found)
    assert "nan" not in capsys.readouterr().out


def test_a_value_of_which_nothing_was_seen_is_shown_and_not_judged(tmp_path, capsys):
    old = result(cost=times(0.2), stalled=events(3, 40), b=times(1.0))
    new = result(cost={**times(0.2), "samples": []}, stalled=share([]), b=times(1.0))
    found = compare(old, new)
    unjudged = {finding.what: finding.verdict for finding in found if finding.verdict != "same"}
    assert unjudged == {"row: cost p50": "too few samples", "row: stalled": "too few samples"}
    for name, content in (("old", old), ("new", new)):
        (tmp_path / name).write_text(json.dumps(content))
    assert main([str(tmp_path / "old"), str(tmp_path / "new")]) == 0
    assert "nan" not in capsys.readouterr().out
    # Nor is it an old value that a new one could be compared with.
    assert [finding.what for finding in compare(new, old)] == ["row: b p50"]


def test_what_is_new_needs_no_old_value():
    assert len(compare(result(a=times(1.0)), result(a=times(1.0), b=times(1.0)))) == 1


def test_other_benchmarks_and_other_machines_are_not_compared():
    with pytest.raises(NotComparableError, match="two benchmarks"):
        compare(result("one"), result("other"))
    with pytest.raises(NotComparableError, match="--any-machine"):
        compare(result(cpu="slow"), result(cpu="fast"))
    assert compare(result(cpu="slow", a=times(1.0)), result(cpu="fast", a=times(1.0)), any_machine=True)


@pytest.mark.parametrize(
    ("new", "code", "said"),
    [
        (result(a=times(0.1, seed=1)), 0, "0 worse"),
        (result(a=times(0.2)), 1, "1 worse"),
        (result(), 1, "1 gone"),
        (result(cpu="other", a=times(0.1)), 2, "run both on one machine"),
    ],
)
def test_the_exit_code_is_for_machines_and_the_words_for_people(tmp_path, capsys, new, code, said):
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, content in zip(paths, (result(a=times(0.1)), new), strict=True):
        path.write_text(json.dumps(content))
    assert main([str(path) for path in paths]) == code
    printed = capsys.readouterr()
    assert said in printed.out + printed.err


def test_a_busy_machine_is_told(tmp_path, capsys):
    path = tmp_path / "result.json"
    path.write_text(json.dumps({**result(a=times(0.1)), "busy_before": 1.04}))
    assert main([str(path), str(path)]) == 0
    assert "NEW was measured beside other work (1.0 cores)" in capsys.readouterr().out


@pytest.mark.parametrize("quiet", [{"busy_before": 0.02}, {"load": 1.44}])
def test_what_the_benchmark_before_left_behind_is_no_other_work(tmp_path, capsys, quiet):
    path = tmp_path / "result.json"
    path.write_text(json.dumps({**result(a=times(0.1)), **quiet}))
    assert main([str(path), str(path)]) == 0
    assert "other work" not in capsys.readouterr().out


def test_an_old_result_without_samples_is_not_taken_for_a_pass(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(json.dumps(result(note="no samples")))
    assert main([str(path), str(path)]) == 2


def test_files_with_many_results_are_compared_benchmark_by_benchmark(tmp_path, capsys):
    one, other = result("one", a=times(0.1)), result("other: and more", b=times(0.2))
    files = {
        "old": [one, other],
        "same": [other, one],
        "slow": [one, result("other: and more", b=times(0.4))],
        "less": [one],
    }
    for name, found in files.items():
        (tmp_path / name).write_text(json.dumps({"results": found}))
    code = {name: main([str(tmp_path / "old"), str(tmp_path / name)]) for name in ("same", "slow", "less")}
    assert code == {"same": 0, "slow": 1, "less": 1}
    told = capsys.readouterr().out
    assert "other, row: b p50" in told
    assert "1 gone" in told


def test_results_are_put_together_and_replaced(tmp_path, monkeypatch, capsys):
    paths = [tmp_path / name for name in ("out.json", "one.json", "other.json", "missing.json")]
    paths[1].write_text(json.dumps(result("one", a=times(0.1))))
    paths[2].write_text(json.dumps(result("other", a=times(0.1))))
    for arguments in (paths, paths[:2]):
        monkeypatch.setattr("sys.argv", ["together", *map(str, arguments)])
        together.main()
    kept = json.loads(paths[0].read_text())["results"]
    assert [one["benchmark"] for one in kept] == ["one", "other"]
    assert main([str(paths[0]), str(paths[0])]) == 0
